"""Holds a sidecar against `envoy/envoy.yaml`: every knob there is here, or there is a reason.

`complaints` says what is missing or other. It compares by going through what `envoy.yaml` has, so a
knob that is added there is missed here the same day; only what `DIFFERENT` names may differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from manifests import ROOT
from merge import HCM, Json, Merged

REFERENCE = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())
WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
CONTROL_PLANE = "clampd-control-plane.clampd-system.svc.cluster.local"
CONTROL_PLANE_ID = "spiffe://cluster.local/ns/clampd-system/sa/clampd-control-plane"
ABSENT = "absent"

# What differs from envoy.yaml in a sidecar, and why. Everything else must be the same.
DIFFERENT = {
    "bootstrap": {
        "admin": "Istio's; it listens on the pod's loopback only",
        "stats_config": "Istio's; the tags are asked for by annotation",
        "overload_manager": "Istio's; connections are bounded by Istio's own overload manager",
        "memory_allocator_manager": "Istio's; it gives memory back, and guards nothing",
        "bootstrap_extensions": "for internal listeners, which a sidecar has no use for",
        "static_resources": "Istio's; what is guarded in it is compared below",
        "watchdogs": "set by the bootstrap override of the strict overlay, compared there",
    },
    "listener": {
        "name": "Istio's",
        "address": "Istio's",
        "filter_chains": "Istio's; what is guarded in them is compared below",
    },
    "hcm": {
        "@type": "the same by name of the filter",
        "stat_prefix": "Istio's",
        "server_name": "Istio's: the workload's answers keep the name that they come with",
        "use_remote_address": "Istio's; the filter believes no header about who sends",
        "early_header_mutation_extensions": "header by header, see STEERING_HEADERS",
        "local_reply_config": "wording of Envoy's own refusals; Istio's stays",
        "route_config": "Istio's, made of VirtualServices",
        "http_filters": "compared one by one below",
    },
    "router": {"suppress_envoy_headers": "Istio's telemetry reads some of them"},
    "filter config": {
        "control_plane": "another address; compared field by field",
        "upstreams": "for `/v1/proxy`, which workloads of a mesh do not use",
        "egress": "for `/v1/proxy`, which workloads of a mesh do not use",
        "mint": "`local` where peers are known by certificate",
        "trace": "off: `pipeline` is for people who look at one gateway",
    },
}

# What a client could steer Envoy's router by. `envoy.yaml` strips everything that begins with
# `x-envoy-`; a sidecar cannot, for Istio's own metadata travels in such headers.
STEERING_HEADERS = {
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-ip-tags",
    "x-envoy-force-trace",
}


def complaints(manifest: Json, bare: Json, merged: Merged, guarded: list[str]) -> list[str]:
    """What is wrong with a proxy that this EnvoyFilter was laid upon: it must guard these listeners
    of the `bare` one and leave the others alone."""
    wrong = list(_of_the_manifest(manifest, merged))
    reference = _reference_listener()
    for name in guarded:
        (listener,) = (one for one in merged.listeners if one["name"] == name)
        wrong += _differences("listener", reference, listener)
        for hcm in _hcms(listener):
            wrong += _of_the_connection_manager(hcm)
    for was, listener in zip(bare["static_resources"]["listeners"], merged.listeners, strict=True):
        if listener["name"] not in guarded and listener != was:
            wrong.append(f"{listener['name']} is changed though it is not to be guarded")
    wrong += _of_the_module(merged.extensions.get("clampd", {}))
    return wrong + list(_of_the_cluster(merged))


def _of_the_manifest(manifest: Json, merged: Merged) -> Iterator[str]:
    spec = manifest["spec"]
    if not spec.get("workloadSelector", {}).get("labels", {}).get("clampd.io/guard"):
        yield "workloadSelector: it would reach every pod"
    if spec.get("priority") != 100:
        yield "priority: another EnvoyFilter could come after it"
    if set(merged.extensions) != {"clampd"}:
        yield f"extensions: {sorted(merged.extensions)}"
    if len({patch["match"]["context"] for patch in spec["configPatches"]}) != 1:
        yield "configPatches: their contexts differ"
    kind = (manifest["apiVersion"], manifest["kind"])
    if kind != ("networking.istio.io/v1alpha3", "EnvoyFilter"):
        yield f"{kind}"
    if not manifest["metadata"].get("name", "").startswith("clampd-"):
        yield "metadata.name"


def _of_the_connection_manager(hcm: Json) -> Iterator[str]:
    reference = next(_hcms(_reference_listener()))
    yield from _differences("hcm", reference, hcm)
    early = hcm.get("early_header_mutation_extensions", [])
    kinds = [(one.get("name"), one.get("typed_config", {}).get("@type")) for one in early]
    (theirs,) = reference["early_header_mutation_extensions"]
    if kinds != [(theirs["name"], theirs["typed_config"]["@type"])]:
        yield f"hcm.early_header_mutation_extensions: {kinds}"
    removed = {
        one.get("remove") for ext in early for one in ext["typed_config"].get("mutations", [])
    }
    if not removed >= STEERING_HEADERS:
        yield f"hcm.early_header_mutation_extensions: {STEERING_HEADERS - removed} stay"
    ours = reference["http_filters"][:-2]
    there = hcm["http_filters"][-5:]
    if there[:3] != ours:
        yield "http_filters: what unpacks bodies is not what envoy.yaml has"
    if [one["name"] for one in there[3:]] != ["clampd", "envoy.filters.http.router"]:
        yield "http_filters: the filter is not the last before the router"
        return
    discovery = there[3].get("config_discovery", {})
    if discovery.get("type_urls") != [WASM, RBAC]:
        yield "config_discovery.type_urls: a module that cannot be fetched must become a denial"
    waits = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    if discovery.get("config_source") != waits:
        yield "config_discovery.config_source: it must wait for the filter"
    if discovery.keys() != {"type_urls", "config_source"} or len(there[3]) != 2:
        yield "config_discovery: it must have no default to serve with"


def _of_the_module(wasm: Json) -> Iterator[str]:
    reference = next(_hcms(_reference_listener()))["http_filters"][-2]["typed_config"]
    code = wasm.get("config", {}).get("vm_config", {}).get("code", {}).get("remote", {})
    text = wasm.get("config", {}).get("configuration", {}).get("value", "{}")
    same = json.loads(json.dumps(reference))
    same["config"]["vm_config"]["code"] = {"remote": code}
    same["config"]["configuration"]["value"] = text
    yield from _differences("wasm", same, wasm)
    uri = code.get("http_uri", {})
    if not re.fullmatch(r"oci://\S+@sha256:[0-9a-f]{64}", uri.get("uri", "")):
        yield "wasm.code: the image is not pinned by its digest"
    if not re.fullmatch("[0-9a-f]{64}", code.get("sha256", "")):
        yield "wasm.code: the module is not pinned by its digest"
    if (uri.get("cluster"), uri.get("timeout")) != ("_", "30s"):
        yield "wasm.code: the agent fetches it, within a time"
    theirs, ours = json.loads(reference["config"]["configuration"]["value"]), json.loads(text)
    yield from _differences("filter config", theirs, ours)
    to, to_ours = theirs["control_plane"], ours.get("control_plane", {})
    wanted = to | {"authority": f"{CONTROL_PLANE}:3001"}
    yield from (
        f"filter config.control_plane.{key}" for key in wanted if to_ours.get(key) != wanted[key]
    )
    if ours.get("mint") not in ("exchange", "local"):
        yield "filter config.mint must be said"
    if ours.get("mint") == "local" and not ours.get("peers"):
        yield "filter config.peers: nobody is known, or `mint` could be `exchange`"


def _of_the_cluster(merged: Merged) -> Iterator[str]:
    clusters = [one for one in merged.clusters if one["name"] == "clampd_control_plane"]
    if len(clusters) != 1:
        yield "the control plane cannot be reached"
        return
    socket = {"address": CONTROL_PLANE, "port_value": 3001}
    sds = {
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}],
        },
        "initial_fetch_timeout": "0s",
        "resource_api_version": "V3",
    }
    identity = [{"san_type": "URI", "matcher": {"exact": CONTROL_PLANE_ID}}]
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": f"outbound_.3001_._.{CONTROL_PLANE}",
        "common_tls_context": {
            "alpn_protocols": ["istio"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": sds}],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": identity},
                "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": sds},
            },
        },
    }
    there = [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": socket}}}]}]
    wanted = {
        "name": "clampd_control_plane",
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "clampd_control_plane", "endpoints": there},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
    }
    if clusters[0] != wanted:
        yield "the way to the control plane is not the mesh's mutual TLS to its identity alone"


def _differences(part: str, reference: Json, ours: Json) -> Iterator[str]:
    excused = DIFFERENT.get(part, {})
    for name, value in reference.items():
        if name not in excused and ours.get(name, ABSENT) != value:
            yield f"{part}.{name}: {ours.get(name, ABSENT)}, in envoy.yaml {value}"


def _reference_listener() -> Json:
    listeners = REFERENCE["static_resources"]["listeners"]
    return next(one for one in listeners if one["name"] == "gateway")


def _hcms(listener: Json) -> Iterator[Json]:
    for chain in listener["filter_chains"]:
        yield from (one["typed_config"] for one in chain["filters"] if one["name"] == HCM)


def without(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The value once for each part of it, with that part taken away."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in parts:
        rest = (
            {k: v for k, v in value.items() if k != key}
            if isinstance(value, dict)
            else [v for i, v in enumerate(value) if i != key]
        )
        yield ".".join(map(str, (*path, key))), rest
        if isinstance(inner, dict | list):
            for name, less in without(inner, (*path, key)):
                whole = dict(value) if isinstance(value, dict) else list(value)
                whole[key] = less
                yield name, whole
