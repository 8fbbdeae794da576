"""An MCP server behind the gateway: all passes but the tool calls that must not."""

from __future__ import annotations

import json

import pytest
from gateway import EVIL_SQL, SAFE_SQL, Gateway


def rpc(gateway: Gateway, method: str, params: object = None, **more):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return gateway.call("/mcp", body, **more)


def test_a_session_begins_and_lists_tools(gateway: Gateway):
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    assert rpc(gateway, "initialize", hello).json["result"]["protocolVersion"] == "2025-06-18"
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert gateway.call("/mcp", notification).status == 202
    assert rpc(gateway, "ping").json["result"] == {}
    (tool,) = rpc(gateway, "tools/list").json["result"]["tools"]
    assert tool["name"] == "database.query"


def test_a_safe_tool_call_passes_with_a_micro_token(gateway: Gateway):
    result = gateway.mcp(SAFE_SQL).json["result"]
    assert result["isError"] is False
    assert result["structuredContent"]["rows"] == [["Ada"], ["Grace"], ["Alan"]]


def test_a_dangerous_tool_call_is_answered_with_a_result_that_a_model_can_read(gateway: Gateway):
    answer = gateway.mcp(EVIL_SQL)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    result = answer.json["result"]
    assert result["isError"] is True
    assert result["content"][0]["type"] == "text" and result["content"][0]["text"]
    assert answer.json["id"] == 7 and answer.json["jsonrpc"] == "2.0"


def test_where_authorization_belongs_to_the_server_the_agent_s_jwt_comes_beside_it(
    gateway: Gateway,
):
    call = {"name": "database.query", "arguments": SAFE_SQL}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"x-ag-agent-token": f"Bearer {gateway.agent.jwt()}", "x-clampd-token": "forged"}
    answer = gateway.ask("POST", "/mcp", body, headers=headers, key="a-token-of-the-server")
    assert answer.json["result"]["isError"] is False, answer.json
    assert {"authorization", "x-clampd-token"} <= set(gateway.last_seen()["headers"])


def test_no_credential_of_the_agent_travels_on(gateway: Gateway):
    more = {"x-ag-authorized-tools": "database.query", "x-clampd-token": "forged"}
    assert gateway.mcp(SAFE_SQL, headers=more).json["result"]["isError"] is False
    ours = {"x-ag-key", "x-ag-agent-token", "x-ag-authorized-tools", "x-clampd-token"}
    assert not ours & set(gateway.last_seen()["headers"])


@pytest.mark.parametrize("method", ["initialize", "tools/list", "tools/call", "notifications/x"])
def test_a_caller_that_is_not_known_gets_nowhere(gateway: Gateway, method: str):
    before = gateway.seen()
    for body in ({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}, b"{malformed"):
        for key, error_code in ((None, "missing_jwt"), ("a.b.c", "invalid_jwt")):
            answer = gateway.ask("POST", "/mcp", body, key=key)
            assert (answer.status, answer.json["error_code"]) == (401, error_code), answer.body
        wrong = {"x-ag-key": "ag_test_wrong"}
        answer = gateway.ask("POST", "/mcp", body, key=gateway.agent.jwt(), headers=wrong)
        assert (answer.status, answer.json["error_code"]) == (401, "invalid_api_key"), answer.body
    assert gateway.seen() == before


def test_no_attack_hides_in_a_batch(gateway: Gateway):
    before = gateway.seen()
    batch = [
        {
            "jsonrpc": "2.0",
            "id": n,
            "method": "tools/call",
            "params": {"name": "database.query", "arguments": params},
        }
        for n, params in enumerate((SAFE_SQL, EVIL_SQL))
    ]
    answer = gateway.call("/mcp", batch)
    assert b"Ada" not in answer.body and answer.status in (200, 400)
    assert gateway.seen() == before


def test_what_is_no_json_rpc_is_refused(gateway: Gateway):
    before = gateway.seen()
    for body in (b"{", b"", b"7", b"DROP TABLE users"):
        answer = gateway.call("/mcp", body)
        assert answer.status == 400, (body, answer.body)
    assert gateway.seen() == before


def test_the_kind_of_body_does_not_switch_the_judgement_off(gateway: Gateway):
    before = gateway.seen()
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "database.query", "arguments": EVIL_SQL},
    }
    for kind in (
        "text/plain",
        "application/octet-stream",
        "application/grpc",
        "multipart/form-data",
        "",
    ):
        answer = gateway.call("/mcp", json.dumps(call).encode(), headers={"content-type": kind})
        assert b'"isError": false' not in answer.body
    assert gateway.seen() == before
