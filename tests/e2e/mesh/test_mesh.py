"""What the filter promises in a mesh: two real Envoys, mutual TLS, identities of workloads."""

from __future__ import annotations

import copy
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from agent import handed_over
from certificates import Credentials, spiffe_id
from fetch import envoy_path
from merge import Json, Merged, find, write_extensions
from mesh import EVIL_SQL, SCOUT, SIDECAR, SQL_TOOL, Mesh, Sidecar, outcome
from processes import wait_until
from stack import SAMPLE_TRUST_ROOT


@pytest.fixture(scope="module")
def scout(running_mesh: Mesh) -> Credentials:
    return running_mesh.issue(SCOUT, "scout")


@pytest.fixture(scope="module")
def stranger(running_mesh: Mesh) -> Credentials:
    """A workload of the mesh that stands for no agent."""
    return running_mesh.issue(spiffe_id("agents", "somebody"), "stranger")


def test_a_workload_calls_by_its_certificate_alone(mesh: Mesh, scout: Credentials):
    answer = mesh.call(scout)
    assert answer.json["result"]["structuredContent"]["rows"] == [["Ada"], ["Grace"], ["Alan"]]


def test_what_is_dangerous_or_not_granted_reaches_no_tool(mesh: Mesh, scout: Credentials):
    before = mesh.tool_seen()["requests"]
    assert "sql-drop-table" in outcome(mesh.call(scout, EVIL_SQL))
    assert "scope not granted" in outcome(mesh.call(scout, tool="shell.exec"))
    assert mesh.tool_seen()["requests"] == before


def test_nobody_else_is_that_agent(mesh: Mesh, stranger: Credentials):
    before = mesh.tool_seen()["requests"]
    forged = {"x-forwarded-client-cert": f"By=x;Hash=0;URI={SCOUT}", "x-spiffe-id": SCOUT}
    for headers in ({}, forged):
        assert outcome(mesh.call(stranger, headers=headers)) == "missing_jwt"
    assert mesh.tool_seen()["requests"] == before


def test_a_workload_without_a_certificate_of_its_own_may_show_a_jwt(
    mesh: Mesh, stranger: Credentials
):
    assert outcome(mesh.call(stranger, headers=mesh.token("demo-exec"))) == "allowed"


def test_a_jwt_of_another_agent_does_not_go_with_a_certificate(mesh: Mesh, scout: Credentials):
    assert outcome(mesh.call(scout, headers=mesh.token("demo-scout"))) == "allowed"
    assert outcome(mesh.call(scout, headers=mesh.token("demo-exec"))) == "invalid_jwt"


def test_a_server_s_own_authorization_reaches_it(mesh: Mesh, scout: Credentials):
    answer = mesh.call(scout, headers={"authorization": "Bearer of-the-server"})
    assert outcome(answer) == "allowed"
    names = mesh.tool_seen()["last"][-1]["headers"]
    assert "authorization" in names and "x-clampd-token" in names


def test_without_the_mesh_s_tls_there_is_no_connection(mesh: Mesh):
    forged = mesh.issue(SCOUT, "forged", mesh.strangers)
    (forged.directory / "root.pem").write_text(mesh.authority.certificate)
    before = mesh.tool_seen()["requests"]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        mesh.call(forged)
    with pytest.raises(OSError):
        mesh.call(None)
    assert mesh.tool_seen()["requests"] == before


def test_an_agent_s_own_sidecar_stops_a_call_before_it_leaves_the_pod(mesh: Mesh):
    token = mesh.token("demo-exec")
    assert outcome(mesh.call_through_own_sidecar(headers=mesh.token("demo-scout"))) == "allowed"
    before = mesh.tool.stat("http.inbound_0.0.0.0_8000.downstream_rq_total")
    assert "sql-drop-table" in outcome(mesh.call_through_own_sidecar(EVIL_SQL, headers=token))
    assert outcome(mesh.call_through_own_sidecar()) == "missing_jwt"
    assert mesh.tool.stat("http.inbound_0.0.0.0_8000.downstream_rq_total") == before


def test_what_an_unguarded_port_lets_out_is_judged_at_the_tool(mesh: Mesh):
    assert outcome(mesh.call_through_own_sidecar(port=8001)) == "allowed"
    assert "sql-drop-table" in outcome(mesh.call_through_own_sidecar(EVIL_SQL, port=8001))


def test_a_killed_agent_s_workload_is_refused(mesh: Mesh, scout: Credentials):
    mesh.stack.admin("POST", "/v1/agents/demo-scout/kill", {"reason": "test"})
    try:
        refused = wait_until(lambda: outcome(mesh.call(scout)) == "agent_killed", 5)
        assert refused, outcome(mesh.call(scout))
    finally:
        mesh.stack.admin("POST", "/v1/agents/demo-scout/revive", {"reason": "test"})
    assert wait_until(lambda: outcome(mesh.call(scout)) == "allowed", 5)


CONFIG_FAILURES = r".*extension_config_discovery.*\.(config_fail|update_rejected)"


class Start(Protocol):
    def __call__(self, change: Callable[[Json], None], fetched_by: str = "agent") -> Sidecar: ...


@pytest.fixture
def another(mesh: Mesh) -> Iterator[Start]:
    """Starts one more sidecar of the tool, its EnvoyFilter changed."""
    started: list[Sidecar] = []

    def start(change: Callable[[Json], None], fetched_by: str = "agent") -> Sidecar:
        manifest = mesh.manifest("inbound")
        change(manifest)
        name = f"another-{len(started)}"
        started.append(mesh.sidecar(name, SQL_TOOL, [manifest], fetched_by=fetched_by))
        assert wait_until(lambda: started[-1].answers_admin(), 60)
        return started[-1]

    yield start
    for sidecar in started:
        mesh.stop(sidecar)


def as_it_is(_: Json) -> None:
    pass


def wrong_digest(manifest: Json) -> None:
    remote(manifest)["sha256"] = "0" * 64


def no_module(manifest: Json) -> None:
    remote(manifest)["http_uri"]["uri"] += ".missing"


def refused_configuration(manifest: Json) -> None:
    (text,) = find(manifest, "configuration")
    text["value"] = json.dumps({**json.loads(text["value"]), "mint_failure": "pass"})


def remote(manifest: Json) -> Json:
    (found,) = find(manifest, "remote")
    return found


@pytest.mark.parametrize(
    ("change", "fetched_by", "status"),
    [
        (wrong_digest, "agent", 403),
        (no_module, "agent", 403),
        (wrong_digest, "envoy", 503),
        (no_module, "envoy", 503),
        # Envoy answers where a filter's configuration never came in force.
        (refused_configuration, "agent", 500),
    ],
)
def test_without_a_good_module_and_configuration_nothing_passes(
    mesh: Mesh,
    scout: Credentials,
    another: Start,
    change: Callable[[Json], None],
    fetched_by: str,
    status: int,
):
    before = mesh.tool_seen()["requests"]
    sidecar = another(change, fetched_by)

    seen = set()

    def settled() -> bool:
        try:
            seen.add(mesh.call(scout, sidecar=sidecar).status)
        except OSError:
            # A listener that waits for its filter does not listen yet.
            return False
        return status in seen

    assert wait_until(settled, 60)
    assert seen == {status}
    assert mesh.tool_seen()["requests"] == before


def test_a_configuration_that_is_refused_later_leaves_the_good_one_in_force(
    mesh: Mesh, scout: Credentials, another: Start
):
    sidecar = another(as_it_is)
    assert wait_until(lambda: mesh.answers(lambda: mesh.call(scout, sidecar=sidecar)), 60)
    changed = copy.deepcopy(sidecar.merged.extensions)
    refused_configuration(changed["clampd"])
    write_extensions(sidecar.extensions, changed)
    assert wait_until(lambda: sidecar.stat(CONFIG_FAILURES) > 0, 60)
    assert outcome(mesh.call(scout, sidecar=sidecar)) == "allowed"
    assert "sql-drop-table" in outcome(mesh.call(scout, EVIL_SQL, sidecar=sidecar))


def test_envoy_takes_a_guarded_gateway_s_configuration(mesh: Mesh, tmp_path: Path):
    """With the filter in its place: Envoy's validation looks into no config that comes later."""
    merged = Merged(SIDECAR, [mesh.manifest("gateway")], gateway=True)
    extension = handed_over(merged.extensions["clampd"], tmp_path)
    ports = dict.fromkeys(("0.0.0.0_8000", "clampd_control_plane", "admin"), 1)
    credentials = mesh.issue(SQL_TOOL, "validated").directory
    config = json.loads(merged.write(tmp_path, ports, credentials).read_text())
    filters = [one for hcm in find(config, "typed_config") for one in hcm.get("http_filters", [])]
    for one in filters:
        if one.pop("config_discovery", None):
            one["typed_config"] = extension
    assert "clampd" in {one["name"] for one in filters}
    (tmp_path / "inlined.json").write_text(json.dumps(config))
    command = [str(envoy_path()), "--mode", "validate", "--config-path", "inlined.json"]
    keys = {"CLAMPD_PROXY_KEY": "ag_live_validate", "CLAMPD_TRUST_ROOT": SAMPLE_TRUST_ROOT}
    done = subprocess.run(
        command, cwd=tmp_path, env=keys, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_module_may_be_fetched_by_envoy_too(mesh: Mesh, scout: Credentials, another: Start):
    sidecar = another(as_it_is, fetched_by="envoy")
    assert wait_until(lambda: mesh.answers(lambda: mesh.call(scout, sidecar=sidecar)), 60)
    assert "sql-drop-table" in outcome(mesh.call(scout, EVIL_SQL, sidecar=sidecar))
