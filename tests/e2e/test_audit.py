"""Every judgement leaves an event, and the trail answers SQL."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from gateway import EVIL_SQL, SAFE_SQL, Gateway
from processes import wait_until
from stack import Stack

DOCUMENTED_SQL = "SELECT tool_name, blocked, assessed_risk, denial_reason\nFROM audit_logs LIMIT 8"
ARRIVAL_SECONDS_MAX = 10


def query(gateway: Gateway, sql: str) -> dict[str, Any]:
    answer = gateway.admin("POST", "/v1/audit/query", {"sql": sql})
    assert answer.status == 200, answer.body
    return answer.json


def event(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The one event of a request, once it has arrived."""
    found: dict[str, Any] = {}

    def arrived() -> bool:
        found.update(query(gateway, f"SELECT * FROM audit_logs WHERE request_id = '{request_id}'"))
        return len(found["rows"]) == 1

    assert wait_until(arrived, ARRIVAL_SECONDS_MAX), found
    return dict(zip(found["columns"], found["rows"][0], strict=True))


def test_the_documented_query_answers_word_for_word(gateway: Gateway):
    for _ in range(4):
        gateway.proxy(SAFE_SQL)
        gateway.proxy(EVIL_SQL)
    answer: dict[str, Any] = {}

    def arrived() -> bool:
        answer.update(query(gateway, DOCUMENTED_SQL))
        return len(answer["rows"]) == 8

    assert wait_until(arrived, ARRIVAL_SECONDS_MAX)
    assert answer["columns"] == ["tool_name", "blocked", "assessed_risk", "denial_reason"]
    for _, blocked, risk, reason in answer["rows"]:
        assert isinstance(blocked, bool)
        assert risk in ("low", "medium", "high", "critical")
        assert bool(reason) is blocked


def test_an_allowed_call_leaves_an_event(gateway: Gateway):
    left = event(gateway, gateway.proxy(SAFE_SQL).json["request_id"])
    assert left["tool_name"] == "database.query"
    assert left["agent_id"] == gateway.agent.id
    assert left["blocked"] is False
    assert (left["assessed_risk"], left["classification"]) == ("low", "Safe")
    assert left["policy_action"] == "Allow"
    assert left["scope_granted"] == "db:read"
    assert not left["denial_reason"]


def test_a_blocked_call_leaves_an_event_without_what_it_said(gateway: Gateway):
    answer = gateway.proxy({"sql": "DROP TABLE zebra_crossings"})
    left = event(gateway, answer.json["request_id"])
    assert left["blocked"] is True
    assert left["assessed_risk"] in ("high", "critical")
    assert (left["classification"], left["policy_action"]) == ("Malicious", "Deny")
    assert left["denial_reason"]
    assert "zebra_crossings" not in str(left)


def test_the_trail_cannot_be_changed_by_sql(gateway: Gateway):
    for sql in (
        "DELETE FROM audit_logs",
        "DROP TABLE audit_logs",
        "SELECT * FROM agents",
        "SELECT 1; SELECT 2",
    ):
        assert gateway.admin("POST", "/v1/audit/query", {"sql": sql}).status in (400, 403, 422), sql


def test_nothing_that_matched_is_logged(gateway: Gateway):
    gateway.proxy({"sql": "DROP TABLE quagga_sightings"})
    gateway.call("/v1/scan-output", {"text": "quagga_sightings SSN: 123-45-6789"})
    assert b"quagga_sightings" not in gateway.stack.processes.log("envoy").read_bytes()


def test_events_share_their_way_to_the_control_plane(gateway: Gateway):
    """One call carries what came up in a tenth of a second, however fast the last was answered."""
    sent = "cluster.clampd_control_plane.upstream_rq_completed"
    before, began = gateway.envoy_stat(sent), time.monotonic()
    for _ in range(1_500):
        last = gateway.call("/v1/scan-input", {"text": "hello"}).json
    calls = gateway.envoy_stat(sent) - before
    # Ten a second of each of two workers, and what else is asked.
    assert calls < 20 * (time.monotonic() - began) + 20
    assert event(gateway, last["request_id"])["tool_action"] == "scan-input"


def test_where_it_is_required_nothing_passes_before_its_event_is_kept(own_stack: Stack):
    state = own_stack.up()
    own_stack.processes.stop("envoy")
    own_stack.start_envoy(changes={"audit": {"mode": "required"}, "mint": "local"})
    gateway = Gateway(own_stack, state)
    before = gateway.seen()
    assert gateway.proxy(SAFE_SQL).json["allowed"] is True
    assert gateway.mcp(SAFE_SQL).json["result"]["isError"] is False
    assert gateway.seen() == before + 2
    counted = "SELECT count(*) FROM audit_logs WHERE tool_name = 'database.query'"
    rows = own_stack.admin("POST", "/v1/audit/query", {"sql": counted})["rows"]
    assert rows[0][0] >= 2, "the calls were answered, so their events are there"
    os.kill(state["control_plane_pid"], signal.SIGSTOP)
    try:
        for answer in (gateway.proxy(SAFE_SQL), gateway.mcp(SAFE_SQL)):
            assert "control_plane_unavailable" in answer.body.decode(), answer.body
        assert gateway.proxy(EVIL_SQL).json["allowed"] is False
        assert gateway.seen() == before + 2
    finally:
        os.kill(state["control_plane_pid"], signal.SIGCONT)
    assert wait_until(lambda: gateway.proxy(SAFE_SQL).status == 200, 30)
