"""What operators watch, on a running mesh and a real Prometheus: dashboard, alerts, access logs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from manifests import ISTIO, ROOT
from merge import HCM, Json
from mesh import EVIL_SQL, SCOUT, SQL_TOOL, Mesh
from processes import free_ports, wait_until
from rest import ask

MONITORING = ISTIO / "monitoring"
DASHBOARD: Json = json.loads((MONITORING / "dashboard.json").read_text())
ALERTS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
METRIC = re.compile(r"\b(?:agentguard|clampd|envoy_wasm)_\w+")
TRACEPARENT = f"00-{'4b' * 16}-{'a1' * 8}-01"


@pytest.fixture(scope="module")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The alerts as Prometheus reads them where no operator unpacks them."""
    directory = tmp_path_factory.mktemp("alerts")
    shutil.copy(MONITORING / "alerts-test.yaml", directory)
    path = directory / "alerts-plain.yaml"
    path.write_text(yaml.safe_dump(ALERTS))
    return path


class Prometheus:
    """A Prometheus that scrapes the mesh."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> Any:
        answer = ask("GET", f"{self.url}/api/v1/{path}")
        assert answer.status == 200, answer.body
        return answer.json["data"]

    def query(self, expression: str) -> list[Any]:
        return self.ask(f"query?query={quote(expression)}")["result"]

    def is_ready(self) -> bool:
        try:
            return ask("GET", f"{self.url}/-/ready").status == 200
        except OSError:
            return False

    def scrapes(self) -> dict[str, str]:
        """The targets and their health."""
        targets = self.ask("targets?state=active")["activeTargets"]
        return {one["labels"]["job"]: one["health"] for one in targets}


@pytest.fixture(scope="module")
def prometheus(running_mesh: Mesh, rules_file: Path) -> Iterator[Prometheus]:
    mesh = running_mesh
    (port,) = free_ports(1)
    directory = rules_file.parent
    (directory / "key").write_text(mesh.stack.identity["admin_key"])

    def job(name: str, path: str, target: int, **more: Any) -> Json:
        there = [{"targets": [f"127.0.0.1:{target}"]}]
        return {"job_name": name, "metrics_path": path, "static_configs": there, **more}

    admin = "/stats/prometheus"
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules_file)],
        "scrape_configs": [
            job("tool", admin, mesh.tool.ports["admin"]),
            job("agent", admin, mesh.agent.ports["admin"]),
            job(
                "control-plane",
                "/metrics",
                mesh.stack.ports.control_plane,
                authorization={"credentials_file": str(directory / "key")},
            ),
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [shutil.which("prometheus") or "prometheus is not installed"]
    command += [f"--config.file={directory / 'prometheus.yml'}"]
    command += [
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    make_traffic(mesh)
    mesh.stack.processes.start("prometheus", command, {}, directory)
    try:
        prometheus = Prometheus(port)
        mesh.stack.processes.wait_ready("prometheus", prometheus.is_ready, 60)
        up = {"tool": "up", "agent": "up", "control-plane": "up"}
        assert wait_until(lambda: prometheus.scrapes() == up, 60), prometheus.scrapes()
        yield prometheus
    finally:
        mesh.stack.processes.stop("prometheus")


def make_traffic(mesh: Mesh) -> None:
    """Something of each kind that is counted: allowed, denied, exchanged, introspected."""
    scout = mesh.issue(SCOUT, "scout")
    for sql in ("SELECT 1", EVIL_SQL):
        mesh.call(scout, sql)
        mesh.call_through_own_sidecar(sql, headers=mesh.token("demo-exec"))


@pytest.mark.parametrize("expression", EXPRESSIONS + [rule["expr"] for rule in RULES])
def test_what_a_panel_or_an_alert_asks_for_is_there(prometheus: Prometheus, expression: str):
    prometheus.query(expression)
    names = set(METRIC.findall(expression))
    assert names
    missing = {name for name in names if not wait_until(lambda n=name: prometheus.query(n), 10)}
    assert missing == set()


def test_what_the_guide_points_at_is_there(prometheus: Prometheus):
    names = set(METRIC.findall((ROOT / "docs/operations.md").read_text()))
    assert len(names) > 8
    assert {name for name in names if not prometheus.query(name)} == set()


def test_what_was_denied_is_seen_in_prometheus(prometheus: Prometheus):
    def denied() -> float:
        return float(prometheus.query("sum(agentguard_requests_denied_total)")[0]["value"][1])

    assert wait_until(lambda: denied() >= 2, 10)


def test_the_alerts_are_loaded_and_none_cries_over_a_healthy_mesh(prometheus: Prometheus):
    loaded = prometheus.ask("rules")["groups"][0]["rules"]
    assert [rule["name"] for rule in loaded] == [rule["alert"] for rule in RULES]
    assert {rule["health"] for rule in loaded} <= {"ok", "unknown"}
    firing = {rule["name"] for rule in loaded if rule["state"] == "firing"}
    # Another test of this run may have killed an agent.
    assert firing <= {"ClampdAgentKilled"}


def test_each_alert_comes_when_it_should(rules_file: Path):
    for words in (["check", "rules", rules_file.name], ["test", "rules", "alerts-test.yaml"]):
        command = [shutil.which("promtool") or "promtool is not installed", *words]
        done = subprocess.run(
            command, cwd=rules_file.parent, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((MONITORING / "alerts-test.yaml").read_text())["tests"]
    tested = {one["alertname"] for test in tests for one in test["alert_rule_test"]}
    assert tested == {rule["alert"] for rule in RULES}


def test_an_access_log_says_what_the_filter_made_of_a_call(mesh: Mesh, tmp_path: Path):
    config = yaml.safe_load((MONITORING / "mesh-config.yaml").read_text())
    providers = {one["name"]: one for one in config["spec"]["meshConfig"]["extensionProviders"]}
    labels = providers["clampd-access-log"]["envoyFileAccessLog"]["logFormat"]["labels"]
    lines = tmp_path / "access.log"
    logger = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(lines),
            "log_format": {"json_format": labels},
        },
    }
    manifest = mesh.manifest("inbound")
    patch = next(p for p in manifest["spec"]["configPatches"] if p["applyTo"] == "NETWORK_FILTER")
    assert patch["patch"]["value"]["name"] == HCM
    patch["patch"]["value"]["typed_config"]["access_log"] = [logger]
    sidecar = mesh.sidecar("logged", SQL_TOOL, [manifest])
    scout = mesh.issue(SCOUT, "scout")
    try:
        assert wait_until(lambda: mesh.answers(lambda: mesh.call(scout, sidecar=sidecar)), 60)
        trace = {"traceparent": TRACEPARENT}
        mesh.call(scout, EVIL_SQL, headers=trace, sidecar=sidecar)
        # Envoy writes its access logs in batches.
        assert wait_until(lambda: TRACEPARENT in lines.read_text(), 30)
    finally:
        mesh.stop(sidecar)
    assert EVIL_SQL not in lines.read_text()
    entry = next(e for e in map(json.loads, lines.read_text().splitlines()) if e["trace"])
    assert entry["trace"] == TRACEPARENT and entry["peer"] == SCOUT
    note = json.loads(entry["clampd"])
    assert (note["agent"], note["tool"], note["action"]) == ("demo-scout", "database.query", "Deny")
    assert "sql-drop-table" in note["rules"] and note["request_id"]


def test_a_call_stays_in_its_trace(mesh: Mesh):
    """What goes on to the tool carries the caller's trace, and the audit trail names it."""
    scout = mesh.issue(SCOUT, "scout")
    assert mesh.call(scout, headers={"traceparent": TRACEPARENT}).status == 200
    assert "traceparent" in mesh.tool_seen()["last"][-1]["headers"]
    sql = f"SELECT count(*) FROM audit_logs WHERE trace_id = '{'4b' * 16}' AND blocked = 0"

    def recorded() -> bool:
        return mesh.stack.admin("POST", "/v1/audit/query", {"sql": sql})["rows"][0][0] > 0

    assert wait_until(recorded, 15)
