"""The overlays' manifests: their shapes, who reaches whom, and that no safeguard goes unseen."""

from __future__ import annotations

import filecmp
import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from cluster import CONTROL_PLANE, TOOL, authorised, bootstrap_override, faults, reachable
from knobs import REFERENCE, without
from manifests import ISTIO, OVERLAYS, ROOT, Manifest, of_kind, rendered

AGENTS, INGRESS = "cluster.local/ns/agents/sa/scout", "cluster.local/ns/istio-ingress/sa/gateway"
PROMETHEUS = "cluster.local/ns/monitoring/sa/prometheus"
SHAPES, INSTALLED = ROOT / "tests/e2e/mesh/shapes", ROOT / ".tools/shapes"
overlays = pytest.mark.parametrize("overlay", OVERLAYS)
# The demo has all that the strict overlay has.
distinct = pytest.mark.parametrize("overlay", ["demo", "gateway"])


@pytest.fixture(scope="module")
def manifests() -> dict[str, list[Manifest]]:
    return {overlay: rendered(f"overlays/{overlay}") for overlay in OVERLAYS}


def broken(overlay: str, manifests: list[Manifest]) -> Iterator[str]:
    """The facts about the cluster that do not hold."""
    yield from faults(manifests)
    proxies = AGENTS if overlay != "gateway" else INGRESS
    who = [
        # to, by, port, method, path, whether it may
        (CONTROL_PLANE, proxies, 3001, "GET", "/v1/bundle", True),
        (CONTROL_PLANE, proxies, 3001, "POST", "/v1/tokens/exchange", True),
        (CONTROL_PLANE, proxies, 3001, "POST", "/v1/audit/events", True),
        (CONTROL_PLANE, proxies, 3001, "POST", "/v1/bundle", False),
        (CONTROL_PLANE, proxies, 3001, "GET", "/v1/tokens/exchange", False),
        (CONTROL_PLANE, proxies, 3001, "POST", "/v1/agents/scout/kill", False),
        (CONTROL_PLANE, proxies, 3001, "GET", "/v1/agents", False),
        (CONTROL_PLANE, proxies, 3001, "GET", "/metrics", False),
        (CONTROL_PLANE, PROMETHEUS, 3001, "GET", "/metrics", True),
        (CONTROL_PLANE, PROMETHEUS, 3001, "POST", "/metrics", False),
        (CONTROL_PLANE, PROMETHEUS, 3001, "GET", "/v1/bundle", False),
        (CONTROL_PLANE, "cluster.local/ns/default/sa/x", 3001, "GET", "/v1/bundle", False),
        (CONTROL_PLANE, "cluster.local/ns/default/sa/x", 3001, "GET", "/metrics", False),
        (("clampd-system", {"app": "other"}), "cluster.local/ns/default/sa/x", 1, "GET", "/", True),
    ]
    if overlay != "gateway":
        who += [
            (CONTROL_PLANE, proxies, 3001, "POST", "/v1/introspect", True),
            (TOOL, AGENTS, 8000, "POST", "/mcp", True),
            (TOOL, AGENTS, 9000, "POST", "/mcp", False),
            (TOOL, "cluster.local/ns/agents/sa/other", 8000, "POST", "/mcp", False),
            (("agents", {"app": "scout"}), "cluster.local/ns/x/sa/y", 9000, "GET", "/", True),
        ]
        yield from _of_the_strict_overlay(manifests)
    for to, principal, port, method, path, may in who:
        asked = {"principal": principal, "port": port, "method": method, "path": path}
        if authorised(manifests, to, **asked) != may:
            yield f"{principal} {method} {path} port {port} of {to}: not {may}"
    proxies_of, monitoring = {"clampd.io/proxies": "true"}, named("monitoring")
    for direction, peer, port, passes in (
        ("Ingress", proxies_of, 3001, True),
        ("Ingress", monitoring, 3001, True),
        ("Ingress", proxies_of, 15006, False),
        ("Ingress", monitoring, 15006, False),
        ("Ingress", named("default"), 3001, False),
        ("Egress", named("kube-system"), 53, True),
        ("Egress", named("kube-system"), 443, False),
        ("Egress", named("istio-system"), 15012, True),
        ("Egress", named("istio-system"), 15010, False),
        ("Egress", named("default"), 53, False),
        ("Egress", named("default"), 15012, False),
        ("Egress", named("default"), 443, False),
    ):
        if reachable(manifests, CONTROL_PLANE, direction, peer, port) != passes:
            yield f"{direction} {peer} {port}: not {passes}"
        other = ("clampd-system", {"app": "other"})
        if reachable(manifests, other, direction, peer, port):
            yield f"{direction} {peer} {port}: another pod of clampd-system is not shut off"
    strict = {
        one["metadata"]["namespace"]
        for one in of_kind(manifests, "PeerAuthentication")
        if one["spec"] == {"mtls": {"mode": "STRICT"}}
    }
    if strict != ({"clampd-system"} if overlay == "gateway" else {"clampd-system", "agents"}):
        yield f"mutual TLS is wanted in {strict} alone"
    for policy in of_kind(manifests, "AuthorizationPolicy"):
        if "action" not in policy["spec"]:
            yield f"{policy['metadata']['name']}: whether it allows or denies is not said"
    for monitor in of_kind(manifests, "ServiceMonitor"):
        if not all("credentials" in one["authorization"] for one in monitor["spec"]["endpoints"]):
            yield "Prometheus has no key"
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") != 1:
            yield "the control plane can be drained away, or not at all"


def _of_the_strict_overlay(manifests: list[Manifest]) -> Iterator[str]:
    if bootstrap_override(manifests) != {"watchdogs": REFERENCE["watchdogs"]}:
        yield "the watchdogs are not those of envoy.yaml"
    for service in of_kind(manifests, "VirtualService"):
        if [route["retries"]["attempts"] for route in service["spec"]["http"]] != [0]:
            yield "a guarded call is repeated"
    for one in of_kind(manifests, "EnvoyFilter"):
        if one["metadata"]["namespace"] != "agents":
            yield "an EnvoyFilter stands where no guarded pod is"


def named(namespace: str) -> dict[str, str]:
    return {"kubernetes.io/metadata.name": namespace}


@overlays
def test_every_safeguard_is_there(overlay: str, manifests: dict[str, list[Manifest]]):
    assert list(broken(overlay, manifests[overlay])) == []


# What may be taken off without harm: what a name, a label or a probe is for is not safety.
FREE = (
    "Namespace metadata.name",
    "Namespace metadata.labels.pod-security.kubernetes.io/audit",
    "Namespace metadata.labels.pod-security.kubernetes.io/warn",
    "Namespace metadata.labels.clampd.io/proxies",
    "NetworkPolicy metadata.name",
    "AuthorizationPolicy metadata.name",
    "PeerAuthentication metadata.name",
    "PodDisruptionBudget metadata",
    "PodDisruptionBudget spec.selector",
    "ServiceAccount metadata",
    "VirtualService metadata",
    "VirtualService spec.hosts",
    "VirtualService spec.http.0.route",
    # UDP beside TCP for names; the evaluator asks about TCP.
    "NetworkPolicy spec.egress.0.ports.0",
    "NetworkPolicy spec.egress.0.ports.1.protocol",
    "NetworkPolicy spec.egress.1.ports.0.protocol",
    "NetworkPolicy spec.ingress.0.ports.0.protocol",
    "NetworkPolicy spec.ingress.1.ports.0.protocol",
)
GUARDING = (
    "Namespace ServiceAccount NetworkPolicy AuthorizationPolicy PeerAuthentication VirtualService"
    " PodDisruptionBudget"
).split()


@distinct
def test_whatever_is_taken_off_a_policy_is_missed(
    overlay: str, manifests: dict[str, list[Manifest]]
):
    whole = manifests[overlay]
    unseen = []
    for at, manifest in enumerate(whole):
        if manifest["kind"] not in GUARDING:
            continue
        for name, less in without(manifest):
            words = f"{manifest['kind']} {name}"
            if name in ("kind", "apiVersion") or words.startswith(FREE):
                continue
            if not _is_missed(overlay, [*whole[:at], less, *whole[at + 1 :]]):
                unseen.append(f"{words} of {manifest['metadata']['name']}")
    assert unseen == []


@distinct
def test_whatever_is_taken_off_a_pod_s_confinement_is_missed(
    overlay: str, manifests: dict[str, list[Manifest]]
):
    whole = manifests[overlay]
    confining = ("securityContext", "automount", "annotations", ".env", "limits", "serviceAccount")
    unseen, tried = [], 0
    for at, manifest in enumerate(whole):
        if manifest["kind"] != "Deployment":
            continue
        for name, less in without(manifest):
            part = name.removeprefix("spec.template.")
            if part.endswith("fsGroup") or not any(word in part for word in confining):
                continue
            tried += 1
            if not _is_missed(overlay, [*whole[:at], less, *whole[at + 1 :]]):
                unseen.append(f"{manifest['metadata']['name']} {name}")
    assert tried > 15
    assert unseen == []


def _is_missed(overlay: str, manifests: list[Manifest]) -> bool:
    try:
        return any(True for _ in broken(overlay, manifests))
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        return True


@pytest.fixture(scope="module")
def shape_checker() -> None:
    names = sorted(file.name for file in SHAPES.iterdir())
    if filecmp.cmpfiles(SHAPES, INSTALLED, names, shallow=False)[0] != names:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        shutil.copytree(SHAPES, INSTALLED)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
        subprocess.run(command, cwd=INSTALLED, check=True, timeout=300)


def shapes_of(documents: str) -> dict[str, list[str]]:
    """What Istio's own schemas say against the manifests."""
    command = ["node", str(INSTALLED / "check.mjs")]
    done = subprocess.run(command, input=documents, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@overlays
def test_istio_s_schemas_take_the_manifests(
    overlay: str, manifests: dict[str, list[Manifest]], shape_checker: None
):
    said = shapes_of(json.dumps(manifests[overlay]))
    assert said["checked"] and said["wrong"] == []


@pytest.mark.usefixtures("shape_checker")
def test_istio_s_schemas_take_the_other_ways_and_refuse_what_is_wrong():
    others = [yaml.safe_load(file.read_text()) for file in (ISTIO / "other-ways").glob("*.yaml")]
    said = shapes_of(json.dumps(others))
    assert said["checked"] == ["WasmPlugin clampd"]
    # Newer than the schemas.
    assert [one.split(":")[0] for one in said["wrong"]] == ["TrafficExtension clampd"]
    (bad,) = rendered("filter/inbound")
    bad["spec"]["configPatches"][0]["applyTo"] = "CLUSTERS"
    assert shapes_of(json.dumps([bad]))["wrong"]


@overlays
def test_every_label_that_something_selects_by_is_there(
    overlay: str, manifests: dict[str, list[Manifest]]
):
    pods = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind(manifests[overlay], "Deployment")
    ]
    for service in of_kind(manifests[overlay], "Service"):
        selector = service["spec"]["selector"].items()
        assert any(selector <= labels.items() for labels in pods), service["metadata"]["name"]
