"""What an organisation sets decides at the gateway within a second: rules, modes, exemptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gateway import EVIL_SQL, SAFE_SQL, Agent, Gateway
from processes import wait_until
from rest import Answer, ask
from test_audit import event
from test_metrics import scrape, settled, total

SECONDS_MAX = 1.0
DEFAULTS = {"block_at": 0.7, "flag_at": 0.4}
RULES = """
category = "project-names"

[[keywords]]
id = "own-project-names"
name = "Name of a project that is not announced"
severity = "high"
why = "Nobody outside may know them."
words = ["Bluefin Heron"]
"""


def put_rules(gateway: Gateway, text: str) -> Answer:
    """Puts a file of rules as the administrator."""
    return ask(
        "PUT",
        f"{gateway.state['control_plane_url']}/v1/rules/house",
        text.encode(),
        key=gateway.state["admin_key"],
        headers={"content-type": "application/toml"},
    )


def put_settings(gateway: Gateway, **more: Any) -> None:
    answer = gateway.admin("PUT", "/v1/settings", {**DEFAULTS, **more})
    assert answer.status == 200, answer.body


@pytest.fixture(autouse=True)
def as_it_was(gateway: Gateway) -> Iterator[None]:
    """Leaves the shared stack with the settings and rules that it came with."""
    yield
    put_settings(gateway)
    gateway.admin("DELETE", "/v1/rules/house")
    restored = wait_until(
        lambda: gateway.verify(EVIL_SQL).json["action"] == "block"
        and gateway.verify({"sql": "SELECT 'Bluefin Heron'"}).json["action"] == "pass",
        SECONDS_MAX,
    )
    assert restored


def test_a_keyword_pushed_over_rest_is_blocked_within_a_second(gateway: Gateway):
    said = {"sql": "SELECT budget FROM projects WHERE name = 'ＢＬＵＥＦＩＮ heron'"}
    assert gateway.proxy(said).json["allowed"] is True
    assert put_rules(gateway, RULES).status == 201
    assert wait_until(lambda: gateway.verify(said).json["action"] == "block", SECONDS_MAX)
    before = gateway.seen()
    for _ in range(10):  # on every worker
        answer = gateway.proxy(said).json
        assert answer["matched_rules"] == ["own-project-names"]
    assert gateway.mcp(said).json["result"]["isError"] is True
    scanned = gateway.call("/v1/scan-output", {"text": "our bluefin heron ships in May"})
    assert scanned.json["matched_rules"] == ["own-project-names"]
    assert gateway.seen() == before
    assert gateway.proxy(SAFE_SQL).json["action"] == "pass"

    refused = put_rules(gateway, RULES.replace("own-project-names", "sql-drop-table"))
    assert refused.status == 422
    assert "house.toml:4: rule `sql-drop-table`" in refused.json["error"]
    assert gateway.verify(said).json["action"] == "block"


def test_what_is_monitored_passes_and_the_trail_says_what_would_have_happened(gateway: Gateway):
    put_settings(gateway, modes=[{"category": "destructive-sql", "mode": "monitor"}])
    assert wait_until(lambda: gateway.verify(EVIL_SQL).json["action"] == "pass", SECONDS_MAX)
    counted = total(settled(gateway), "agentguard_would_block_total")
    answer = gateway.verify(EVIL_SQL).json
    assert answer["session_flags"] == ["monitored:sql-drop-table", "would_block"]
    assert (answer["risk_score"], answer["matched_rules"]) == (0, [])
    left = event(gateway, answer["request_id"])
    assert left["blocked"] is False
    assert left["session_flags"] == '["monitored:sql-drop-table","would_block"]'
    assert "would have blocked" in left["policy_reason"]
    assert wait_until(
        lambda: total(scrape(gateway), "agentguard_would_block_total") == counted + 1, 5
    )


def test_an_exemption_is_for_one_agent_only(
    gateway: Gateway, new_agent: Callable[..., Agent]
):
    migrator, other = new_agent(), new_agent()
    exemption = {"rule": "sql-drop-table", "agent": migrator.id, "reason": "runs migrations"}
    put_settings(gateway, exemptions=[exemption])

    def action(agent: Agent) -> str:
        return gateway.verify(EVIL_SQL, agent=agent).json["action"]

    assert wait_until(lambda: action(migrator) == "exempt", SECONDS_MAX)
    for _ in range(10):  # on every worker
        assert (action(migrator), action(other)) == ("exempt", "block")
    answer = gateway.verify(EVIL_SQL, agent=migrator).json
    assert answer["allowed"] is True and answer["scope_token"]
    assert answer["session_flags"] == ["exempted:sql-drop-table"]
    unknown = {**exemption, "agent": "nobody-of-this-name"}
    refused = gateway.admin("PUT", "/v1/settings", {**DEFAULTS, "exemptions": [unknown]})
    assert refused.status == 422
    assert "nobody-of-this-name" in refused.json["error"]


def test_a_threshold_is_for_the_agent_that_it_names(
    gateway: Gateway, new_agent: Callable[..., Agent]
):
    watched, other = new_agent(), new_agent()
    put_settings(gateway, thresholds=[{"agent": watched.id, "block_at": 0}])

    def action(agent: Agent) -> str:
        return gateway.verify(SAFE_SQL, agent=agent).json["action"]

    assert wait_until(lambda: action(watched) == "block", SECONDS_MAX)
    assert action(other) == "pass"
