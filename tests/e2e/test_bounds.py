"""What agents may use at most, counted exactly over all workers of an Envoy."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gateway import EVIL_SQL, SAFE_SQL, Gateway
from processes import wait_until
from stack import Stack

CALLERS = 16
CALLS_EACH = 10
CALLS_MAX = 50


@pytest.fixture
def start(own_stack: Stack):
    """Starts the test's own stack with these boundaries for every agent."""

    def start(boundaries: dict[str, Any]) -> Gateway:
        state = own_stack.up()
        own_stack.processes.stop("envoy")
        own_stack.start_envoy(changes={"mint": "local", "boundaries": boundaries})
        return Gateway(own_stack, state)

    return start


def in_session(gateway: Gateway, session: str, **headers: str):
    send = {"x-ag-session": session} | {n.replace("_", "-"): v for n, v in headers.items()}
    return gateway.verify(SAFE_SQL, headers=send)


def test_calls_a_minute_are_exact_however_many_workers_and_connections(start):
    gateway = start({"calls_per_minute": CALLS_MAX})
    together = threading.Barrier(CALLERS)

    def calls(_: int) -> list[int]:
        together.wait()
        return [gateway.verify(SAFE_SQL).status for _ in range(CALLS_EACH)]

    with ThreadPoolExecutor(CALLERS) as callers:
        statuses = Counter(s for some in callers.map(calls, range(CALLERS)) for s in some)
    assert statuses == {200: CALLS_MAX, 429: CALLERS * CALLS_EACH - CALLS_MAX}
    refused = gateway.proxy(SAFE_SQL)
    assert refused.status == 429 and refused.json["error_code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 65
    assert refused.headers["x-ratelimit-limit"] == str(CALLS_MAX)
    assert gateway.mcp(SAFE_SQL).status == 429
    other = next(a for a in gateway.agents.values() if a.id != gateway.agent.id)
    assert gateway.verify(SAFE_SQL, agent=other).status == 200


def test_answers_of_an_hour_are_bounded_on_every_worker(start):
    gateway = start({"answer_bytes_per_hour": 1_000})
    before = 0
    while gateway.mcp(SAFE_SQL).status == 200:
        before += 1
        assert before < 1_000
    assert before > 1
    for _ in range(8):
        refused = gateway.proxy(SAFE_SQL)
        assert (refused.status, refused.json["error_code"]) == (429, "rate_limited")
        assert 3_000 <= int(refused.headers["retry-after"]) <= 3_900
    assert gateway.call("/v1/scan-input", b'{"text": "hello"}').status == 200


def test_a_session_has_its_budget_on_every_worker(start):
    gateway = start({"calls_per_session": 20})

    def call(_: int) -> int:
        return in_session(gateway, "one").status

    with ThreadPoolExecutor(CALLERS) as callers:
        statuses = Counter(callers.map(call, range(40)))
    assert statuses == {200: 20, 429: 20}
    over = in_session(gateway, "one")
    assert over.json["error_code"] == "session_budget_exceeded" and over.headers["retry-after"]
    assert in_session(gateway, "two").status == 200


def test_a_session_keeps_the_tools_that_it_was_begun_with(start):
    gateway = start({})
    assert in_session(gateway, "one", x_ag_authorized_tools="file.read").status == 403
    for _ in range(8):
        refused = in_session(gateway, "one")
        assert refused.status == 403 and refused.json["error_code"] == "unauthorized_tool"
    assert in_session(gateway, "one", x_ag_authorized_tools="database.query").status == 403
    assert in_session(gateway, "two", x_ag_authorized_tools="database.query").status == 200


def test_a_call_that_names_another_host_is_stopped_and_no_tool_is_reached(start):
    gateway = start({"domains": ["api.example.com"]})
    before = gateway.seen()
    evil = {**SAFE_SQL, "report_to": "https://api.example.com.evil.example/"}
    denied = gateway.proxy(evil).json
    assert denied["allowed"] is False and denied["denial"]["rule_id"] == "outside-domains"
    assert gateway.seen() == before
    good = {**SAFE_SQL, "report_to": "https://api.example.com/reports"}
    assert gateway.verify(good).json["allowed"] is True


def test_a_policy_can_forbid_calls_of_an_agent_that_was_risky_of_late(start):
    gateway = start({})
    policy = (
        '@reason("it was risky of late") forbid (principal, action == Action::"call", resource) '
        'when { context.labels.contains("agent-at-risk") };'
    )
    put = gateway.admin("PUT", "/v1/policies/not-of-late", {"cedar": policy})
    assert put.status < 300, put.body
    assert gateway.verify(SAFE_SQL).json["allowed"] is True

    def is_forbidden() -> bool:
        for _ in range(12):
            assert gateway.verify(EVIL_SQL).json["allowed"] is False
        return "risky of late" in (gateway.verify(SAFE_SQL).json["denial_reason"] or "")

    assert wait_until(is_forbidden, 10)
    other = gateway.agents["demo-scout"]
    body = {"tool": "database.query", "params": SAFE_SQL, "target_url": ""}
    assert gateway.call("/v1/verify", body, agent=other).json["allowed"] is True
