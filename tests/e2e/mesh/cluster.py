"""What the manifests make true in a cluster: who reaches whom, and what pods may do.

Small evaluators of Istio's AuthorizationPolicy and Kubernetes' NetworkPolicy, as far as ours use
them, so that tests state facts ("an agent's proxy may not kill") and not the words of a manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from knobs import REFERENCE
from manifests import Manifest, of_kind

SECRETS = {"CLAMPD_PROXY_KEY", "CLAMPD_TRUST_ROOT", "CLAMPD_TOOL_KEY", "CLAMPD_MASTER_KEY"}
# Without its variable the control plane would keep its master key beside its data.
NEEDED = {"control-plane": {"CLAMPD_MASTER_KEY"}, "sql-tool": {"CLAMPD_URL", "CLAMPD_TOOL_KEY"}}
CONTROL_PLANE = ("clampd-system", {"app": "clampd-control-plane"})
TOOL = ("agents", {"clampd.io/guard": "inbound"})
Workload = tuple[str, dict[str, str]]


def authorised(
    manifests: list[Manifest],
    to: Workload,
    *,
    principal: str,
    port: int = 3001,
    method: str = "GET",
    path: str = "/",
) -> bool:
    """Whether Istio lets the request through to the workload."""
    namespace = principal.split("/")[2]
    facts = {
        "principals": principal,
        "namespaces": namespace,
        "ports": str(port),
        "methods": method,
        "paths": path,
    }
    policies = [
        one["spec"]
        for one in of_kind(manifests, "AuthorizationPolicy")
        if one["metadata"].get("namespace") == to[0]
        and _selects(one["spec"].get("selector", {}).get("matchLabels", {}), to[1])
    ]
    by_action = {"ALLOW": [], "DENY": []}
    for policy in policies:
        by_action[policy.get("action", "ALLOW")].append(_matches(policy, facts))
    allows = by_action["ALLOW"]
    return not any(by_action["DENY"]) and (not allows or any(allows))


def _matches(policy: dict[str, Any], facts: dict[str, str]) -> bool:
    def holds(conditions: dict[str, list[str]]) -> bool:
        for name, values in conditions.items():
            negated = name.startswith("not")
            fact = facts[name[3].lower() + name[4:] if negated else name]
            if (fact in values) == negated:
                return False
        return True

    return any(
        ("from" not in rule or any(holds(one.get("source", {})) for one in rule["from"]))
        and ("to" not in rule or any(holds(one.get("operation", {})) for one in rule["to"]))
        for rule in policy.get("rules", [])
    )


def reachable(
    manifests: list[Manifest], workload: Workload, direction: str, peer: dict[str, str], port: int
) -> bool:
    """Whether the network lets TCP pass between the workload and a namespace with these labels."""
    policies = [
        one["spec"]
        for one in of_kind(manifests, "NetworkPolicy")
        if one["metadata"].get("namespace") == workload[0]
        and _selects(one["spec"]["podSelector"].get("matchLabels", {}), workload[1])
        and direction in one["spec"].get("policyTypes", ["Ingress"])
    ]
    side, other = ("ingress", "from") if direction == "Ingress" else ("egress", "to")

    def lets(rule: dict[str, Any]) -> bool:
        peers = [one["namespaceSelector"].get("matchLabels", {}) for one in rule.get(other, [])]
        ports = [
            (one.get("protocol", "TCP"), one.get("port", port)) for one in rule.get("ports", [])
        ]
        from_here = other not in rule or any(_selects(labels, peer) for labels in peers)
        return from_here and ("ports" not in rule or ("TCP", port) in ports)

    return not policies or any(lets(rule) for policy in policies for rule in policy.get(side, []))


def _selects(wanted: dict[str, str], labels: dict[str, str]) -> bool:
    return wanted.items() <= labels.items()


def faults(manifests: list[Manifest]) -> Iterator[str]:
    """What pods may do though they must not, and what they lack."""
    for account in of_kind(manifests, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{account['metadata']['name']}: its token is mounted"
    for namespace in of_kind(manifests, "Namespace"):
        labels = namespace["metadata"].get("labels", {})
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{namespace['metadata']['name']}: pods are not restricted"
        if labels.get("istio-injection") != "enabled":
            yield f"{namespace['metadata']['name']}: pods have no sidecar"
    for deployment in of_kind(manifests, "Deployment"):
        template = deployment["spec"]["template"]
        for fault in _of_the_pod(template["spec"]):
            yield f"{deployment['metadata']['name']}: {fault}"
        if "clampd.io/guard" in template["metadata"]["labels"]:
            yield from _of_a_guarded_pod(template)


def _of_the_pod(spec: dict[str, Any]) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if spec.get("automountServiceAccountToken") is not False:
        yield "its account's token is mounted"
    if not spec.get("serviceAccountName"):
        yield "it has the namespace's account"
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "it may run as root"
    if not security.get("runAsGroup"):
        yield "it may run in root's group"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "system calls are not confined"
    for container in spec["containers"]:
        name, own = container["name"], container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: it may gain privileges"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: it may write its file system"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name}: it has capabilities"
        if name != "istio-proxy" and not container.get("resources", {}).get("limits", {}).get(
            "memory"
        ):
            yield f"{name}: its memory has no limit"
        if name == "control-plane" and "@sha256:" not in container["image"]:
            yield f"{name}: its image is not pinned"
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
            if variable["name"] in SECRETS and not reference.keys() >= {"name", "key"}:
                yield f"{name}: {variable['name']} is no Secret"
            if variable["name"] not in SECRETS and "value" not in variable:
                yield f"{name}: {variable['name']} is empty"
        if not _variables(container) >= NEEDED.get(name, set()):
            yield f"{name}: it lacks {NEEDED[name] - _variables(container)}"
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
    if not kinds <= {"persistentVolumeClaim", "emptyDir", "configMap", "secret"}:
        yield f"volumes: {kinds}"


def _of_a_guarded_pod(template: dict[str, Any]) -> Iterator[str]:
    annotations = template["metadata"].get("annotations", {})
    tags = ",".join(one["tag_name"] for one in REFERENCE["stats_config"]["stats_tags"])
    if annotations.get("sidecar.istio.io/extraStatTags") != tags:
        yield "the filter's metrics lose their labels"
    if annotations.get("sidecar.istio.io/bootstrapOverride") != "clampd-bootstrap":
        yield "a proxy that hangs would go on listening"
    if "holdApplicationUntilProxyStarts: true" not in annotations.get("proxy.istio.io/config", ""):
        yield "the application would start before its guard"
    proxies = [one for one in template["spec"]["containers"] if one["name"] == "istio-proxy"]
    if [_variables(one) for one in proxies] != [{"CLAMPD_PROXY_KEY", "CLAMPD_TRUST_ROOT"}]:
        yield "the filter gets no keys"


def _variables(container: dict[str, Any]) -> set[str]:
    return {variable["name"] for variable in container.get("env", [])}


def bootstrap_override(manifests: list[Manifest]) -> dict[str, Any]:
    """What guarded proxies' bootstrap gets beside Istio's own."""
    maps = of_kind(manifests, "ConfigMap")
    (found,) = (one for one in maps if one["metadata"]["name"] == "clampd-bootstrap")
    return json.loads(found["data"]["custom_bootstrap.json"])
