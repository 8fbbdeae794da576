"""What is allowed reaches the tool with a micro-token; of what is blocked nothing reaches it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attacks import CALLS
from gateway import EVIL_SQL, SAFE_SQL, Agent, Gateway
from processes import wait_until

PROXY_RESPONSE = {
    "request_id", "allowed", "action", "risk_score", "scope_granted", "tool_response",
    "denial_reason", "reasoning", "matched_rules", "latency_ms", "degraded_stages",
    "session_flags", "scope_token",
}  # fmt: skip


def test_an_allowed_call_is_forwarded_and_its_rows_returned(gateway: Gateway):
    before = gateway.seen()
    answer = gateway.proxy(SAFE_SQL)
    assert answer.status == 200
    assert PROXY_RESPONSE <= answer.json.keys()
    assert answer.json["allowed"] is True and answer.json["action"] == "pass"
    assert answer.json["tool_response"]["rows"] == [["Ada"], ["Grace"], ["Alan"]]
    assert gateway.seen() == before + 1


def test_parameters_beyond_ascii_keep_their_binding(gateway: Gateway):
    answer = gateway.proxy({"sql": "SELECT 'größer – 漢字 🙂' AS \"naïve\""})
    assert answer.json["allowed"] is True, answer.json
    assert answer.json["tool_response"]["rows"] == [["größer – 漢字 🙂"]]


@pytest.fixture(scope="module")
def sinks(running: Gateway) -> dict[str, str]:
    """A tool of each category whose calls would all reach the example tool."""
    names = {category: f"sink.{category}" for category, _ in CALLS}
    for category, name in names.items():
        wanted = {"scope": f"sink:{category}", "category": category}
        wanted["upstream"] = f"{running.tool_url}/query"
        assert running.admin("PUT", f"/v1/tools/{name}", wanted).status < 300
        assert wait_until(lambda: running.verify({}, tool=name).status == 200, 5)  # noqa: B023
    return names


def test_no_blocked_call_reaches_the_tool_through_proxy(gateway: Gateway, sinks: dict[str, str]):
    assert len(CALLS) == 20
    for category, params in CALLS:
        before = gateway.seen()
        answer = gateway.proxy(params, tool=sinks[category])
        assert answer.status == 200, (category, params, answer.body)
        assert answer.json["allowed"] is False, (category, params)
        assert PROXY_RESPONSE | {"denial"} <= answer.json.keys()
        assert answer.json["matched_rules"], (category, params)
        assert answer.json["scope_token"] is None and answer.json["tool_response"] is None
        assert gateway.seen() == before, (category, params)


def test_no_blocked_call_reaches_the_tool_through_mcp(gateway: Gateway, sinks: dict[str, str]):
    for category, params in CALLS:
        before = gateway.seen()
        answer = gateway.mcp(params, tool=sinks[category])
        assert answer.json["id"] == 7
        assert answer.json["result"]["isError"] is True, (category, params, answer.json)
        assert gateway.seen() == before, (category, params)


def test_harmless_calls_do_reach_the_tool(gateway: Gateway, sinks: dict[str, str]):
    """Without this the two tests above would pass with nothing connected."""
    before = gateway.seen()
    for category, name in sinks.items():
        assert gateway.proxy({"note": "hello"}, tool=name).json["allowed"] is True, category
    assert gateway.seen() == before + len(sinks)


def test_a_denial_says_what_to_do_and_never_what_matched(gateway: Gateway):
    answer = gateway.proxy({"sql": "DROP TABLE zebra_crossings"})
    denial = answer.json["denial"]
    assert denial.keys() >= {
        "rule_id",
        "violated_predicate",
        "corrective",
        "reason_codes",
        "idempotency_key",
    }
    assert denial["corrective"].keys() >= {"kind", "human_explanation", "confidence"}
    assert b"zebra_crossings" not in answer.body


def test_a_target_outside_the_catalogue_is_refused(gateway: Gateway):
    before = gateway.seen()
    for target in (
        "http://169.254.169.254/latest/meta-data/",
        f"{gateway.tool_url}/admin",
        f"{gateway.tool_url}/query/../seen",
        f"{gateway.tool_url}@example.com/query",
        gateway.state["control_plane_url"] + "/v1/agents",
        "not a url",
    ):
        body = {"tool": "database.query", "params": SAFE_SQL, "target_url": target}
        answer = gateway.call("/v1/proxy", body)
        assert (answer.status, answer.json["error_code"]) == (403, "ssrf_blocked"), target
    assert gateway.seen() == before


def test_a_tool_that_is_registered_later_is_reached_at_its_own_host(gateway: Gateway):
    """At a host that no cluster of envoy.yaml names; the path decides that it is not the other."""
    upstream = f"http://localhost:{gateway.stack.ports.tool}/elsewhere"
    wanted = {"scope": "user:read", "category": "other", "upstream": upstream}
    assert gateway.admin("PUT", "/v1/tools/user.lookup", wanted).status == 200
    body = {"tool": "user.lookup", "params": {"name": "Ada"}, "target_url": upstream + "/users"}

    def reached() -> bool:
        return gateway.call("/v1/proxy", body).json.get("tool_response") == {"error": "not found"}

    assert wait_until(reached, 5)
    assert gateway.last_seen()["line"] == "POST /elsewhere/users HTTP/1.1"


def test_an_agent_gets_no_scope_that_it_does_not_hold(
    gateway: Gateway, new_agent: Callable[..., Agent]
):
    reader = new_agent(("db:read",))
    assert gateway.verify(SAFE_SQL, agent=reader).json["allowed"] is True
    harmless = {"command": "ls"}
    answer = gateway.verify(harmless, tool="shell.exec", agent=reader)
    assert answer.json["allowed"] is False and answer.json["scope_token"] is None, answer.json


@pytest.mark.parametrize("path", ["/v1/verify", "/v1/proxy"])
def test_the_answer_is_the_same_for_verify_and_proxy(gateway: Gateway, path: str):
    body = {"tool": "database.query", "params": EVIL_SQL, "target_url": ""}
    answer = gateway.call(path, body)
    assert (answer.status, answer.json["allowed"], answer.json["action"]) == (200, False, "block")
