"""Without its control plane the gateway keeps deciding by what it has, and never hangs or opens."""

from __future__ import annotations

import os
import signal
import time

import catalogue
from fetch import envoy_path
from gateway import EVIL_SQL, SAFE_SQL, Gateway
from processes import wait_until
from rest import ask
from stack import Stack

ANSWER_SECONDS_MAX = 5.0


def timely(call):
    began = time.monotonic()
    answer = call()
    assert time.monotonic() - began < ANSWER_SECONDS_MAX
    return answer


def decides_but_mints_nothing(gateway: Gateway) -> None:
    """Blocks what it must; a safe call fails for want of a token and is not forwarded."""
    before = gateway.seen()
    for _ in range(4):
        assert timely(lambda: gateway.proxy(EVIL_SQL)).json["allowed"] is False
        assert (
            timely(lambda: gateway.call("/v1/scan-input", {"text": "hello"})).json["allowed"]
            is True
        )
        safe = timely(lambda: gateway.proxy(SAFE_SQL))
        assert (safe.status, safe.json["error_code"]) == (503, "control_plane_unavailable"), (
            safe.body
        )
        assert (
            timely(lambda: gateway.mcp(SAFE_SQL)).json.get("result", {}).get("isError") is not False
        )
    assert gateway.seen() == before


def test_a_dead_control_plane_leaves_what_was_loaded_in_force(own_stack: Stack):
    gateway = Gateway(own_stack, own_stack.up())
    assert gateway.proxy(SAFE_SQL).json["allowed"] is True
    own_stack.processes.stop("control-plane")
    decides_but_mints_nothing(gateway)
    own_stack.start_control_plane()
    assert wait_until(lambda: gateway.proxy(SAFE_SQL).status == 200, 30)


def test_a_control_plane_that_hangs_leaves_no_call_hanging(own_stack: Stack):
    state = own_stack.up()
    gateway = Gateway(own_stack, state)
    os.kill(state["control_plane_pid"], signal.SIGSTOP)
    try:
        decides_but_mints_nothing(gateway)
    finally:
        os.kill(state["control_plane_pid"], signal.SIGCONT)
    assert wait_until(lambda: gateway.proxy(SAFE_SQL).status == 200, 30)


def test_calls_stop_waiting_for_a_control_plane_that_hangs(own_stack: Stack):
    state = own_stack.up()
    gateway = Gateway(own_stack, state)
    os.kill(state["control_plane_pid"], signal.SIGSTOP)
    try:
        opened = "agentguard_circuit_breaker_open_total"
        assert wait_until(
            lambda: gateway.proxy(SAFE_SQL).status == 503 and gateway.metric(opened) == 1, 30
        )
        timeouts = "cluster.clampd_control_plane.upstream_rq_timeout"
        waited = gateway.envoy_stat(timeouts)
        assert waited >= 5
        refused = [gateway.proxy(SAFE_SQL).json["error_code"] for _ in range(50)]
        assert set(refused) == {"control_plane_unavailable"}
        # The probes waited, and what else asks the control plane; the fifty did not.
        assert gateway.envoy_stat(timeouts) - waited < 25
        assert gateway.metric(opened) == 1
    finally:
        os.kill(state["control_plane_pid"], signal.SIGCONT)
    assert wait_until(lambda: gateway.proxy(SAFE_SQL).status == 200, 30)


def test_before_the_first_bundle_nothing_is_decided(own_stack: Stack):
    own_stack.up()
    own_stack.processes.stop("envoy")
    own_stack.processes.stop("control-plane")
    own_stack.launch_envoy(envoy_path(), {})

    def health() -> int:
        try:
            return ask("GET", f"{own_stack.gateway_url}/health", timeout_seconds=2).status
        except OSError:
            return 0

    assert wait_until(lambda: health() == 503, 30)
    for path in ("/v1/verify", "/v1/scan-input", "/mcp"):
        answer = ask(
            "POST", own_stack.gateway_url + path, {}, headers={"x-ag-key": catalogue.API_KEY}
        )
        assert (answer.status, answer.json["error_code"]) == (503, "not_ready"), path
    own_stack.start_control_plane()
    assert wait_until(lambda: health() == 200, 30)
