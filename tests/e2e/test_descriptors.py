"""A tool whose server tells another descriptor than it is pinned to waits for an operator."""

from __future__ import annotations

from typing import Any

import pytest
from gateway import SAFE_SQL, Gateway
from processes import wait_until
from stack import Stack

TOOL = "/v1/tools/database.query"
SECONDS_MAX = 5.0


@pytest.fixture
def own(own_stack: Stack) -> Gateway:
    return Gateway(own_stack, own_stack.up())


def listed(gateway: Gateway) -> list[str]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    return [tool["name"] for tool in gateway.call("/mcp", body).json["result"]["tools"]]


def shown(gateway: Gateway) -> dict[str, Any]:
    return gateway.admin("GET", TOOL).json


def test_drift_is_withheld_told_and_approved(own: Gateway):
    assert listed(own) == ["database.query"]
    # What the server tells from now on is not what the tool is pinned to.
    kept = shown(own)
    asked = ("scope", "category", "audience", "upstream")
    put = {field: kept[field] for field in asked} | {"descriptor": {"name": "another"}}
    assert own.admin("PUT", TOOL, put).status == 200
    assert wait_until(lambda: not listed(own), SECONDS_MAX)
    assert wait_until(lambda: shown(own)["state"] == "pending", SECONDS_MAX)
    assert wait_until(lambda: own.verify(SAFE_SQL).status == 422, SECONDS_MAX)
    seen = own.seen()
    assert own.mcp(SAFE_SQL).json["result"]["isError"] is True
    assert own.proxy(SAFE_SQL).status == 422
    assert own.seen() == seen
    (drifted,) = [d for d in shown(own)["descriptors"] if d["state"] == "pending"]
    assert drifted["sha256"] == kept["binding"]
    sql = "SELECT blocked, denial_reason FROM audit_logs WHERE tool_action = 'descriptor_drift'"
    noted = own.admin("POST", "/v1/audit/query", {"sql": sql}).json
    assert noted["rows"] == [[True, "descriptor-drift"]]

    decision = {"tool": "database.query", "descriptor": drifted["sha256"], "state": "approved"}
    assert own.admin("POST", "/v1/tool-approvals", decision).status == 200
    assert wait_until(lambda: listed(own) == ["database.query"], SECONDS_MAX)
    assert own.mcp(SAFE_SQL).json["result"]["isError"] is False


def test_the_first_descriptor_that_is_told_is_trusted(own: Gateway):
    kept = shown(own)
    put = {field: kept[field] for field in ("scope", "category", "audience", "upstream")}
    assert own.admin("DELETE", TOOL).status == 204
    assert own.admin("PUT", TOOL, put).status == 201
    assert wait_until(lambda: listed(own) == ["database.query"], SECONDS_MAX)
    assert wait_until(lambda: len(shown(own)["descriptors"]) == 1, SECONDS_MAX)
    assert shown(own)["descriptors"][0]["state"] == "approved"
    assert shown(own)["binding"] == kept["binding"]
    assert listed(own) == ["database.query"]
