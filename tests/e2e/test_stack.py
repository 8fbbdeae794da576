"""What `make up` promises of itself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

from gateway import Gateway
from processes import Processes
from rest import ask
from stack import ROOT, Ports, Stack

PROMISED = {
    "gateway_url", "control_plane_url", "admin_key", "api_key", "org_id", "agents", "clampd_jwt",
    "envoy_admin_url", "envoy_pid", "control_plane_pid",
}  # fmt: skip


def test_the_state_file_holds_what_is_promised_and_is_private(gateway: Gateway):
    assert gateway.state.keys() >= PROMISED
    assert stat.S_IMODE(gateway.stack.state_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(gateway.stack.data.stat().st_mode) == 0o700


def test_no_secret_stands_on_a_command_line_or_in_envoy_s_configuration(gateway: Gateway):
    state = gateway.state
    proxy_key = gateway.stack.identity["proxy_key"]
    secrets = [state["admin_key"], state["tool_key"], proxy_key]
    secrets += [agent["secret"] for agent in state["agents"]]
    config = (gateway.stack.run_dir / "envoy.yaml").read_text()
    for pid in (state["envoy_pid"], state["control_plane_pid"], state["tool_pid"]):
        config += Path(f"/proc/{pid}/cmdline").read_text()
    assert not [secret for secret in secrets if secret in config]


def test_a_pid_that_belongs_to_somebody_else_is_not_stopped(tmp_path: Path):
    processes = Processes(tmp_path)
    processes.pids.mkdir()
    (processes.pids / "envoy.pid").write_text(f"{os.getpid()} 1\n")
    assert processes.stop_all() == []


def test_a_stack_that_fails_to_start_leaves_nothing_running(tmp_path: Path, monkeypatch):
    stack = Stack(tmp_path, Ports.free())
    monkeypatch.setattr(stack, "seed_tools", lambda: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):
        stack.up()
    assert not list(stack.processes.pids.glob("*.pid"))
    assert stack.running() is None


def command(word: str, run_dir: Path, **chosen: str) -> subprocess.CompletedProcess[str]:
    """Runs what `make up`, `make down` and `make status` run."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLAMPD_")}
    env |= {"CLAMPD_RUN_DIR": str(run_dir), **chosen}
    script = [sys.executable, str(ROOT / "envoy/stack.py"), word]
    return subprocess.run(script, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_a_stack_is_started_asked_about_and_ended_by_commands(tmp_path: Path):
    assert command("status", tmp_path).returncode == 3
    try:
        port = str(Ports.free().gateway)
        up = command("up", tmp_path, CLAMPD_PORTS="free", CLAMPD_GATEWAY_PORT=port)
        assert up.returncode == 0, up.stderr
        state = json.loads((tmp_path / "stack.json").read_text())
        assert state["gateway_url"] == f"http://127.0.0.1:{port}"
        assert state["admin_key"] in up.stdout
        assert ask("GET", state["gateway_url"] + "/health").status == 200
        again = command("up", tmp_path, CLAMPD_PORTS="free")
        assert again.returncode == 0 and "already up" in again.stdout
        assert command("status", tmp_path).stdout == f"up: {state['gateway_url']}\n"
    finally:
        down = command("down", tmp_path)
    assert down.stdout == "stopped envoy, sql-tool, control-plane\n"
    assert command("down", tmp_path).returncode == 0
    assert not (tmp_path / "stack.json").exists()


def test_a_port_in_use_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = command("up", tmp_path, CLAMPD_PORTS="free", CLAMPD_TOOL_PORT=port)
    assert up.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in up.stderr and "CLAMPD_TOOL_PORT" in up.stderr


def test_a_port_that_is_none_is_refused(tmp_path: Path):
    up = command("up", tmp_path, CLAMPD_PORTS="free", CLAMPD_GATEWAY_PORT="eighty")
    assert (up.returncode, up.stderr) == (
        1,
        "envoy/stack.py: CLAMPD_GATEWAY_PORT=eighty is no port\n",
    )
