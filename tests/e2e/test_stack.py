"""What `make up` promises of itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gateway import Gateway
from processes import Processes
from stack import Ports, Stack

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
    proxy_key = gateway.stack._identity["proxy_key"]
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
    try:
        stack.up()
    except ZeroDivisionError:
        pass
    assert not list(stack.processes.pids.glob("*.pid"))
    assert stack.running() is None
