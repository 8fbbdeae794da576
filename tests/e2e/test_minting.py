"""Who signs micro-tokens, by configuration, and that tools cannot tell the difference."""

from __future__ import annotations

from typing import Any

import pytest
from gateway import SAFE_SQL, Gateway
from stack import Stack
from test_tokens import claims, header


@pytest.fixture
def start(own_stack: Stack):
    """Starts the test's own stack with its filter configured in another way."""

    def start(changes: dict[str, Any]) -> Gateway:
        state = own_stack.up()
        own_stack.processes.stop("envoy")
        own_stack.start_envoy(changes=changes)
        return Gateway(own_stack, state)

    return start


def test_a_token_of_the_gateway_s_own_is_as_good_and_good_once(start):
    gateway = start({"mint": "local"})
    assert gateway.proxy(SAFE_SQL).json["tool_response"]["rows"] == [["Ada"], ["Grace"], ["Alan"]]
    assert gateway.mcp(SAFE_SQL).json["result"]["isError"] is False
    token = gateway.verify(SAFE_SQL).json["scope_token"]
    assert header(token)["alg"] == "HS256"
    assert claims(token)["exp"] - claims(token)["iat"] == 30
    assert gateway.introspect(token)["active"] is True
    assert gateway.introspect(token) == {"active": False, "reason": "already_used"}


def test_a_gateway_that_signs_itself_needs_nobody(start):
    gateway = start({"mint": "local"})
    gateway.stack.processes.stop("control-plane")
    answer = gateway.verify(SAFE_SQL).json
    assert answer["allowed"] is True and answer["scope_token"]


def test_a_gateway_may_be_told_to_go_on_when_nobody_signs_and_says_so(start):
    gateway = start({"mint_failure": "degrade"})
    assert "ag:trust_level" not in claims(gateway.verify(SAFE_SQL).json["scope_token"])
    gateway.stack.processes.stop("control-plane")
    answer = gateway.verify(SAFE_SQL).json
    assert answer["allowed"] is True and answer["degraded_stages"]
    assert claims(answer["scope_token"])["ag:trust_level"] == "degraded"
