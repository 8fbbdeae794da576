"""A filter in front of a tool looks into the micro-tokens that come, so that the tool need not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fetch import envoy_path
from gateway import EVIL_SQL, SAFE_SQL, Gateway
from processes import wait_until
from rest import Answer, ask
from stack import Ports, Stack
from upstream import Upstream

IN_FRONT_OF_A_TOOL = {"mode": "tool", "introspection": {"key_env": "CLAMPD_TOOL_KEY"}}


@pytest.fixture(scope="module")
def tool() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, tool: Upstream) -> Iterator[Gateway]:
    """A stack whose tool is one that knows nothing of tokens."""
    stack = Stack(tmp_path_factory.mktemp("introspection"), Ports.free(), mcp_port=tool.port)
    try:
        yield Gateway(stack, stack.up())
    finally:
        stack.down()


def guarding_the_tool(gateway: Gateway) -> None:
    """Puts the filter in front of the tool, where it answers nothing of its own."""
    gateway.stack.processes.stop("envoy")
    gateway.stack.launch_envoy(envoy_path(), IN_FRONT_OF_A_TOOL)

    def answers() -> bool:
        try:
            return ask("POST", f"{gateway.url}/mcp", {}).status == 401
        except OSError:
            return False

    assert wait_until(answers, 60)


def call(gateway: Gateway, token: str, params: dict[str, str]) -> Answer:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "database.query", "arguments": params},
    }
    return ask("POST", f"{gateway.url}/mcp", body, key=token)


def test_a_good_token_lets_its_call_through_once(gateway: Gateway, tool: Upstream):
    tokens = [gateway.verify(SAFE_SQL).json["scope_token"] for _ in range(3)]
    guarding_the_tool(gateway)
    for token in tokens[:2]:
        before = len(tool.received)
        answer = call(gateway, token, SAFE_SQL)
        assert answer.status == 200 and "error" not in answer.json, answer.body
        (came,) = tool.received[before:]
        assert came.values("authorization") == [] and came.values("x-clampd-token") == []
    reached = len(tool.received)
    assert "replay_detected" in call(gateway, tokens[0], SAFE_SQL).body.decode()
    assert "invalid_jwt" in call(gateway, tokens[2], EVIL_SQL).body.decode()
    claimed, _, signature = tokens[1].rpartition(".")
    forged = f"{claimed}.{signature[::-1]}"
    assert "invalid_jwt" in call(gateway, forged, SAFE_SQL).body.decode()
    assert len(tool.received) == reached


def test_without_a_token_the_agent_says_who_it_is(gateway: Gateway, tool: Upstream):
    reached = len(tool.received)
    jwt = gateway.agent.jwt()
    assert "sql-drop-table" in call(gateway, jwt, EVIL_SQL).body.decode()
    assert len(tool.received) == reached
    assert call(gateway, jwt, SAFE_SQL).status == 200
    assert len(tool.received) == reached + 1
