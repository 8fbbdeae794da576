"""Whom the control plane stops, the gateway stops within a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from gateway import SAFE_SQL, Agent, Gateway
from processes import wait_until
from rest import Answer

SECONDS_MAX = 1.0


@pytest.mark.parametrize(
    ("order", "error_code"), [("kill", "agent_killed"), ("suspend", "agent_suspended")]
)
def test_a_stopped_agent_is_refused_within_a_second_and_serves_again_when_revived(
    gateway: Gateway, new_agent: Callable[..., Agent], order: str, error_code: str
):
    agent = new_agent()
    assert gateway.verify(SAFE_SQL, agent=agent).status == 200
    began = time.monotonic()
    assert gateway.admin("POST", f"/v1/agents/{agent.id}/{order}", {"reason": "test"}).status == 200

    def refusal() -> Answer:
        return gateway.verify(SAFE_SQL, agent=agent)

    assert wait_until(lambda: refusal().status == 403, SECONDS_MAX)
    assert time.monotonic() - began < SECONDS_MAX
    assert refusal().json["error_code"] == error_code
    before = gateway.seen()
    for _ in range(20):  # on every worker, by every way
        assert gateway.proxy(SAFE_SQL, agent=agent).status == 403
        assert gateway.call("/v1/scan-input", {"text": "hello"}, agent=agent).status == 403
        assert "result" not in gateway.mcp(SAFE_SQL, agent=agent).json or (
            gateway.mcp(SAFE_SQL, agent=agent).json["result"]["isError"] is True
        )
    assert gateway.seen() == before

    assert gateway.admin("POST", f"/v1/agents/{agent.id}/revive", {"reason": "test"}).status == 200
    assert wait_until(lambda: refusal().status == 200, SECONDS_MAX)


def test_killing_one_agent_leaves_the_others_alone(
    gateway: Gateway, new_agent: Callable[..., Agent]
):
    killed, spared = new_agent(), new_agent()
    gateway.admin("POST", f"/v1/agents/{killed.id}/kill", {"reason": "test"})
    assert wait_until(lambda: gateway.verify(SAFE_SQL, agent=killed).status == 403, SECONDS_MAX)
    assert gateway.verify(SAFE_SQL, agent=spared).json["allowed"] is True
