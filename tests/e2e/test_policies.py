"""A policy in Cedar, pushed over REST, changes what the gateway decides within a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from gateway import SAFE_SQL, Agent, Gateway
from processes import wait_until
from rest import Answer

SECONDS_MAX = 2.0


@pytest.fixture
def put(gateway: Gateway) -> Iterator[Callable[[str, str], Answer]]:
    """Puts a document of policies; it is deleted afterwards."""
    names: list[str] = []

    def put(name: str, cedar: str) -> Answer:
        names.append(name)
        return gateway.admin("PUT", f"/v1/policies/{name}", {"cedar": cedar})

    yield put
    for name in names:
        gateway.admin("DELETE", f"/v1/policies/{name}")


def forbid(agent: Agent, condition: str = "true", annotations: str = "") -> str:
    return (
        f'{annotations} @reason("closed for the test") '
        f'forbid (principal == Agent::"{agent.id}", action == Action::"call", resource) '
        f"when {{ {condition} }};"
    )


def test_a_pushed_policy_stops_calls_on_every_way_and_its_deletion_lets_them_pass(
    gateway: Gateway, new_agent: Callable[..., Agent], put: Callable[[str, str], Answer]
):
    agent = new_agent()
    assert gateway.proxy(SAFE_SQL, agent=agent).json["allowed"] is True
    assert put("closed", forbid(agent)).status == 201
    stopped = wait_until(
        lambda: gateway.verify(SAFE_SQL, agent=agent).json["allowed"] is False, SECONDS_MAX
    )
    assert stopped
    before = gateway.seen()
    answer = gateway.proxy(SAFE_SQL, agent=agent).json
    assert answer["denial_reason"] == "policy closed: closed for the test"
    assert (answer["denial"]["rule_id"], answer["scope_token"]) == ("closed", None)
    assert gateway.mcp(SAFE_SQL, agent=agent).json["result"]["isError"] is True
    assert gateway.seen() == before
    # Nobody else is touched.
    assert gateway.verify(SAFE_SQL).json["allowed"] is True
    assert gateway.admin("DELETE", "/v1/policies/closed").status == 204
    assert wait_until(
        lambda: gateway.verify(SAFE_SQL, agent=agent).json["allowed"] is True, SECONDS_MAX
    )


def test_what_is_pushed_is_what_is_explained_and_what_the_gateway_does(
    gateway: Gateway, new_agent: Callable[..., Agent], put: Callable[[str, str], Answer]
):
    agent = new_agent()
    number = "context.parameters.number"
    capped = f'{number}.hasTag("limit") && {number}.getTag("limit").lessThan(decimal("10.0"))'
    cedar = forbid(agent).replace("when { true }", f"unless {{ {capped} }}")
    assert put("capped", cedar).status == 201
    params = [({**SAFE_SQL, "limit": limit}, limit in (9, "9.5")) for limit in (9, "9.5", 10, [1])]
    params.append((SAFE_SQL, False))
    assert wait_until(
        lambda: gateway.verify(SAFE_SQL, agent=agent).json["allowed"] is False, SECONDS_MAX
    )
    for given, allowed in params:
        asked = {"agent": agent.id, "tool": "database.query", "context": {"params": given}}
        explained = gateway.admin("POST", "/v1/evaluate", asked).json
        assert explained["allowed"] is allowed, explained
        assert gateway.verify(given, agent=agent).json["allowed"] is allowed, given


def test_a_flag_marks_what_it_would_stop(
    gateway: Gateway, new_agent: Callable[..., Agent], put: Callable[[str, str], Answer]
):
    agent = new_agent()
    assert put("watched", forbid(agent, annotations="@flag")).status == 201
    assert wait_until(
        lambda: gateway.verify(SAFE_SQL, agent=agent).json["action"] == "flag", SECONDS_MAX
    )
    answer = gateway.verify(SAFE_SQL, agent=agent).json
    assert answer["allowed"] is True
    assert "flagged by policy watched: closed for the test" in answer["reasoning"]


def test_what_cannot_be_put_in_force_leaves_the_gateway_as_it_was(
    gateway: Gateway, put: Callable[[str, str], Answer]
):
    for cedar in ("forbid (principal, action, resource) when { context.rsik };", "permit", ""):
        refused = put("broken", cedar)
        assert (refused.status, refused.json["error_code"]) == (422, "invalid_policy")
        assert "line 1, column" in refused.json["error"]
    assert gateway.verify(SAFE_SQL).json["allowed"] is True
