"""Lays EnvoyFilters upon a sidecar's configuration as istiod does, as far as ours need it.

Every patch must find what it is for: one that matches nothing is an error here, where istiod would
say nothing and the pod would run unguarded. What istiod hands over by xDS (extension configs,
certificates) is handed over by files; `localise` puts free ports in the place of Istio's.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HCM = "envoy.filters.network.http_connection_manager"
ROUTER = "envoy.filters.http.router"

Json = dict[str, Any]


class PatchError(Exception):
    """A patch that does nothing, or one of a kind that is not known here."""


class Merged:
    """A bootstrap with EnvoyFilters laid upon it."""

    def __init__(self, bootstrap: Json, filters: list[Json], *, gateway: bool = False) -> None:
        # By way of JSON, so that what YAML shares by reference is patched apart.
        self.bootstrap: Json = json.loads(json.dumps(bootstrap))
        self.extensions: dict[str, Json] = {}
        self._gateway = gateway
        for envoy_filter in filters:
            for number, patch in enumerate(envoy_filter["spec"]["configPatches"]):
                if self._apply(patch) == 0:
                    name = envoy_filter["metadata"]["name"]
                    raise PatchError(f"{name}: patch {number} ({patch['applyTo']}) matches nothing")

    @property
    def listeners(self) -> list[Json]:
        return self.bootstrap["static_resources"]["listeners"]

    @property
    def clusters(self) -> list[Json]:
        return self.bootstrap["static_resources"]["clusters"]

    def _apply(self, patch: Json) -> int:
        """Applies one patch and says how many places it found."""
        match, operation = patch.get("match", {}), patch["patch"]["operation"]
        value = copy.deepcopy(patch["patch"]["value"])
        context = match.get("context", "ANY")
        match patch["applyTo"], operation:
            case "CLUSTER" | "EXTENSION_CONFIG" as kind, "ADD":
                # Without a context istiod adds to outbound and gateways only, so ours name theirs.
                if context not in {self._context(one) for one in self.listeners}:
                    return 0
                if kind == "CLUSTER":
                    self.clusters.append(value)
                else:
                    self.extensions[value["name"]] = value["typed_config"]
                return 1
            case "LISTENER", "MERGE":
                places = list(self._listeners(match))
                for listener in places:
                    merge(listener, value)
                return len(places)
            case "NETWORK_FILTER", "MERGE":
                places = list(self._network_filters(match))
                for network_filter in places:
                    same = network_filter["typed_config"]["@type"] == value["typed_config"]["@type"]
                    if value["name"] != network_filter["name"] or not same:
                        raise PatchError("a network filter is merged with another kind")
                    merge(network_filter, value)
                return len(places)
            case "HTTP_FILTER", "INSERT_BEFORE":
                return self._insert_before(match, value)
            case kind:
                raise PatchError(f"{kind} is not known here")

    def _context(self, listener: Json) -> str:
        if self._gateway:
            return "GATEWAY"
        return "SIDECAR_INBOUND" if listener["name"] == "virtualInbound" else "SIDECAR_OUTBOUND"

    def _listeners(self, match: Json) -> Iterator[Json]:
        port = match.get("listener", {}).get("portNumber")
        for listener in self.listeners:
            its_port = listener["address"]["socket_address"]["port_value"]
            if match.get("context", "ANY") in ("ANY", self._context(listener)) and (
                port is None or port == its_port
            ):
                yield listener

    def _network_filters(self, match: Json) -> Iterator[Json]:
        wanted = match["listener"]["filterChain"]["filter"]["name"]
        for listener in self._listeners(match):
            for chain in listener["filter_chains"]:
                yield from (one for one in chain["filters"] if one["name"] == wanted)

    def _insert_before(self, match: Json, value: Json) -> int:
        before = match["listener"]["filterChain"]["filter"]["subFilter"]["name"]
        places = 0
        for network_filter in self._network_filters(match):
            http_filters = network_filter["typed_config"]["http_filters"]
            at = [i for i, one in enumerate(http_filters) if one["name"] == before]
            if at:
                http_filters.insert(at[0], copy.deepcopy(value))
                places += 1
        return places

    def write(self, directory: Path, ports: dict[str, int], credentials: Path) -> Path:
        """Writes what Envoy reads and gives the file to start it with."""
        directory.mkdir(parents=True, exist_ok=True)
        config = localise(self.bootstrap, ports)
        extensions = directory / "extensions.json"
        write_extensions(extensions, self.extensions)
        for place in find(config, "config_discovery"):
            place["config_source"].pop("ads", None)
            place["config_source"]["path_config_source"] = {"path": str(extensions)}
        for secret in find_secrets(config):
            path = credentials / f"{secret['name']}.json"
            secret["sds_config"] = {"path_config_source": {"path": str(path)}}
        started = directory / "envoy.json"
        started.write_text(json.dumps(config, indent=1))
        return started


def merge(into: Json, value: Json) -> None:
    """Merges as protobuf does: messages by field, lists end to end, the rest replaced."""
    for name, new in value.items():
        old = into.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            merge(old, new)
        elif isinstance(old, list) and isinstance(new, list):
            old.extend(copy.deepcopy(new))
        else:
            into[name] = copy.deepcopy(new)


def write_extensions(path: Path, extensions: dict[str, Json]) -> None:
    """Hands extension configs over; Envoy sees the file change when it is moved into place."""
    resources = [
        {
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": name,
            "typed_config": config,
        }
        for name, config in extensions.items()
    ]
    version = str(path.stat().st_mtime_ns) if path.exists() else "1"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"version_info": version, "resources": resources}))
    partial.rename(path)


def localise(bootstrap: Json, ports: dict[str, int]) -> Json:
    """The same on loopback, for a machine where nothing is redirected: what listens or is reached
    under a name in `ports` has that port. A listener without one is left out."""
    config = copy.deepcopy(bootstrap)
    config["admin"]["address"]["socket_address"]["port_value"] = ports["admin"]
    resources = config["static_resources"]
    resources["listeners"] = [one for one in resources["listeners"] if one["name"] in ports]
    for listener in resources["listeners"]:
        port = ports[listener["name"]]
        listener["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        listener["listener_filters"] = [
            one for one in listener.get("listener_filters", []) if "original_dst" not in one["name"]
        ]
        for chain in listener["filter_chains"]:
            if "destination_port" in chain.get("filter_chain_match", {}):
                chain["filter_chain_match"]["destination_port"] = port
    for cluster in resources["clusters"]:
        if cluster["name"] in ports:
            # The name of a host in the mesh has no meaning here; TLS still checks the identity.
            cluster["type"] = "STATIC"
            address = {"address": "127.0.0.1", "port_value": ports[cluster["name"]]}
            for place in find(cluster, "endpoint"):
                place["address"] = {"socket_address": dict(address)}
    return config


def find(value: Any, name: str) -> Iterator[Json]:
    """Every object that stands under the name, anywhere."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, dict):
                yield inner
            yield from find(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from find(inner, name)


def find_secrets(value: Any) -> Iterator[Json]:
    """Every reference to a secret that is handed over by SDS."""
    if isinstance(value, dict):
        if "sds_config" in value:
            yield value
        for inner in value.values():
            yield from find_secrets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from find_secrets(inner)
