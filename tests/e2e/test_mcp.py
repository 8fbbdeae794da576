"""An MCP server behind the gateway: all passes but the tool calls that must not."""

from __future__ import annotations

import json

from gateway import EVIL_SQL, SAFE_SQL, Gateway


def rpc(gateway: Gateway, method: str, params: object = None, **more):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return gateway.call("/mcp", body, **more)


def test_a_session_begins_and_lists_tools(gateway: Gateway):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
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


def test_the_agent_s_jwt_may_come_in_a_header_of_its_own_and_never_travels_on(gateway: Gateway):
    call = {"name": "database.query", "arguments": SAFE_SQL}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"x-ag-key": gateway.api_key, "x-ag-agent-token": f"Bearer {gateway.agent.jwt()}"}
    answer = gateway.ask("POST", "/mcp", body, headers=headers, key="a-token-of-the-upstream")
    assert answer.json["result"]["isError"] is False, answer.json


def test_no_attack_hides_in_a_batch(gateway: Gateway):
    before = gateway.seen()
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": "database.query", "arguments": params}}
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
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "database.query", "arguments": EVIL_SQL}}
    for kind in ("text/plain", "application/octet-stream", "application/grpc", "multipart/form-data", ""):
        answer = gateway.call("/mcp", json.dumps(call).encode(), headers={"content-type": kind})
        assert b'"isError": false' not in answer.body
    assert gateway.seen() == before
