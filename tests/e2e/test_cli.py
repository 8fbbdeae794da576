"""The operator's command against the running stack."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway import SAFE_SQL, Agent, Gateway
from processes import wait_until

CLAMPD = Path(__file__).resolve().parents[2] / "target/service/clampd"
SECONDS_MAX = 60
CATEGORIES = {"sqli", "xss", "ssrf", "shell", "traversal", "injection"}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clampd(gateway: Gateway, tmp_path: Path) -> Run:
    """Runs the command as the stack's administrator, with a home of the test's own."""
    agent = gateway.agents["my-agent"]
    env = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "CLAMPD_DASHBOARD_URL": gateway.state["control_plane_url"],
        "CLAMPD_GATEWAY_URL": gateway.url,
        "CLAMPD_API_TOKEN": gateway.state["admin_key"],
        "CLAMPD_API_KEY": gateway.api_key,
        "CLAMPD_AGENT_ID": agent.id,
        "CLAMPD_AGENT_SECRET": agent.secret,
    }

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [str(CLAMPD), *arguments]
        return subprocess.run(
            command,
            env=env | changes,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    return run


def test_a_cluster_that_works_is_well(clampd: Run):
    done = clampd("cluster", "status", "--json")
    assert done.returncode == 0, done
    services = json.loads(done.stdout)["services"]
    assert {service["service"] for service in services} >= {"gateway", "control plane", "database"}
    assert all(service["ok"] for service in services)


def test_attacks_are_fired_and_their_fate_told(clampd: Run):
    done = clampd("test", "--attacks", "all", "--json")
    assert done.returncode == 0, done
    report = json.loads(done.stdout)
    assert {row["category"] for row in report["results"]} == CATEGORIES
    fates = [row["result"] for row in report["results"]]
    for fate in ("blocked", "flagged", "allowed", "not_registered"):
        assert report[fate] == fates.count(fate)
    assert report["total"] == len(fates) and report["not_registered"] == 0
    passed = [row["name"] for row in report["results"] if row["result"] != "blocked"]
    # How many the rules find is the rules' own matter; that most are told to be blocked is ours.
    assert len(passed) <= 0.1 * report["total"], passed


def test_one_category_can_be_fired_as_a_gate(clampd: Run, gateway: Gateway):
    done = clampd("test", "--gateway", gateway.url, "--attacks", "ssrf", "--exit-on-fail")
    assert done.returncode == 0, done
    assert "ssrf" in done.stdout and "sqli" not in done.stdout


def test_a_jwt_serves_as_well_as_a_secret_and_a_bad_one_is_told(clampd: Run, gateway: Gateway):
    jwt = gateway.state["clampd_jwt"]
    done = clampd("test", "--attacks", "xss", CLAMPD_JWT=jwt, CLAMPD_AGENT_SECRET="")
    assert done.returncode == 0, done
    done = clampd("test", "--attacks", "xss", "--jwt", "not.a.jwt")
    assert done.returncode == 1 and "401 invalid_jwt" in done.stderr, done
    done = clampd("test", CLAMPD_API_KEY="")
    assert done.returncode == 2 and "CLAMPD_API_KEY" in done.stderr, done


def test_a_kill_is_told_and_ends_the_agent(
    clampd: Run, gateway: Gateway, new_agent: Callable[..., Agent]
):
    agent = new_agent()
    done = clampd("kill", agent.id, "--reason", "Breach pattern detected")
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0] == f"Kill cascade initiated for agent {agent.id}"
    assert lines[-2:] == ["✓ Agent terminated across all layers", "✓ Agent state → killed"]
    refused = wait_until(lambda: gateway.verify(SAFE_SQL, agent=agent).status == 403, 1)
    assert refused


def test_the_screen_shows_the_cluster(clampd: Run):
    done = clampd("watch", "--once")
    assert done.returncode == 0, done
    assert done.stdout.startswith("╔═ SERVICES ═")
    assert "gateway         [OK]" in done.stdout and "╠═ LIVE EVENTS ═" in done.stdout


def test_the_breach_is_played_and_its_agents_cannot_act_after_it(clampd: Run):
    done = clampd("demo", "--scenario", "breach", "--plain", CLAMPD_API_KEY="")
    assert done.returncode == 0, done.stdout + done.stderr
    for part in (
        "Starting demo scenario: breach",
        "Gateway reachable",
        "ALLOW forwarded",
        "BLOCK destructive SQL",
        "BLOCK SSRF detected",
        "automatic kill cascade",
        "REFUSED agent_killed",
    ):
        assert part in done.stdout, done.stdout
    agents = json.loads(clampd("agent", "list", "--json").stdout)["agents"]
    for name, state in (("demo-scout", "suspended"), ("attacker-bot", "killed")):
        assert any(agent["name"] == name and agent["state"] == state for agent in agents)
    keys = json.loads(clampd("key", "list", "--json").stdout)["keys"]
    assert not any(key["name"] == "clampd demo" for key in keys)
