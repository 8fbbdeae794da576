#!/usr/bin/env python3
"""Measures the control plane by itself, and writes what `docs/performance.md` shows of it.

One service over a new SQLite database, on loopback, is loaded over HTTP: exchanges and
introspections of tokens, batches of audit events, a bundle of many agents, and kills while many long
polls wait. The service flushes to the disk as it always does.

    control.py [--agents 10000] [--pollers 1000] [--write]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Iterable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "envoy"))

from rest import agent_jwt  # noqa: E402

PROGRAM = ROOT / "target/service/clampd-control-plane"
TOOL = ROOT / "target/bench-tool/release/clampd-bench"
RESULT = ROOT / "target/bench-control.json"
DOCUMENT = ROOT / "docs/performance.md"
SECRET = "ags_for_the_bench"
EXCHANGES = 5_000
CONNECTIONS = 16
EVENT_BATCHES = 200
EVENTS_A_BATCH = 1_000
KILLS = 20


class Service:
    """A control plane of its own, stopped at the end."""

    def __init__(self, data: Path) -> None:
        init = [str(PROGRAM), "init", "--data", str(data), "--org-id", "bench"]
        self.keys = json.loads(subprocess.run(init, check=True, stdout=subprocess.PIPE).stdout)
        command = [str(PROGRAM), "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.address = ""
        for line in self.process.stderr or ():
            if found := re.search(r"serving address=(\S+)", line):
                self.address = found[1]
                break

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def request(self, method: str, path: str, key: str, body: Any = None) -> bytes:
        """The bytes of a request."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.address}\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    def ask(self, method: str, path: str, key: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


class Bench:
    """What is measured, one thing a method."""

    def __init__(self, service: Service, directory: Path, options: argparse.Namespace) -> None:
        self.service = service
        self.directory = directory
        self.options = options
        self.admin = service.keys["admin_key"]
        self.proxy = service.keys["proxy_key"]

    def run(self) -> dict[str, Any]:
        ask = self.service.ask
        ask("POST", "/v1/agents", self.admin, {"id": "a", "secret": SECRET, "scopes": ["db:*"]})
        tool = {"scope": "db:read", "category": "database", "audience": "sql"}
        ask("PUT", "/v1/tools/database.query", self.admin, tool)
        key = {"role": "tool", "key": "ag_test_bench"}
        ask("POST", "/v1/keys", self.admin, key)
        exchange = self.exchange()
        return {
            "exchange": exchange,
            "introspect": self.introspect(),
            "audit_ingest": self.audit_ingest(),
            "bundle": self.bundle(),
            "kill": self.kill(),
        }

    def exchange_body(self) -> dict[str, str]:
        binding = hashlib.sha256(b'{"params":{},"tool":"database.query"}').hexdigest()
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": agent_jwt("a", SECRET, issuer="clampd-sdk"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "tool": "database.query",
            "call_binding": binding,
        }

    def exchange(self) -> dict[str, float]:
        body = self.exchange_body()
        one = self.service.request("POST", "/v1/tokens/exchange", self.proxy, body)
        return rate(self.once("exchange", [one] * EXCHANGES))

    def introspect(self) -> dict[str, float]:
        body = self.exchange_body()
        path = "/v1/tokens/exchange"
        tokens = [
            self.service.ask("POST", path, self.proxy, body)["access_token"]
            for _ in range(EXCHANGES // 5)
        ]
        requests = [
            self.service.request("POST", "/v1/introspect", "ag_test_bench", {"token": token})
            for token in tokens
        ]
        return rate(self.once("introspect", requests))

    def audit_ingest(self) -> dict[str, float]:
        batches = (
            {"events": [event(f"{batch}-{index}") for index in range(EVENTS_A_BATCH)]}
            for batch in range(EVENT_BATCHES)
        )
        requests = [
            self.service.request("POST", "/v1/audit/events", self.proxy, batch)
            for batch in batches
        ]
        outcome = self.once("events", requests, connections=4)
        events = outcome["requests"] * EVENTS_A_BATCH
        return {"events_per_s": round(events / outcome["seconds"])}

    def bundle(self) -> dict[str, float]:
        agents = [
            {"id": f"agent-{number:06}", "secret": SECRET, "scopes": ["db:read"]}
            for number in range(self.options.agents - 1)
        ]
        requests = [
            self.service.request("POST", "/v1/agents", self.admin, agent) for agent in agents
        ]
        self.once("agents", requests)
        poll = self.service.request("GET", "/v1/bundle?since=0&wait=0", self.proxy)
        size = len(json.dumps(self.service.ask("GET", "/v1/bundle?since=0&wait=0", self.proxy)))
        outcome = self.once("bundle", [poll] * 20, connections=1)
        return {"agents": self.options.agents, "bytes": size, "ms": outcome["p50_ms"]}

    def kill(self) -> dict[str, float]:
        path = "/v1/bundle?since=0&wait=0"
        revision = self.service.ask("GET", path, self.proxy)["revision"]
        polls = [
            self.service.request(
                "GET", f"/v1/bundle?since={revision + turn}&wait=55", self.proxy
            )
            for turn in range(KILLS)
        ]
        orders = [
            self.service.request("POST", f"/v1/agents/agent-{turn:06}/kill", self.admin, {})
            for turn in range(KILLS)
        ]
        files = [self.write("polls", polls), self.write("orders", orders)]
        pollers = self.options.pollers
        outcome = self.tool("polls", *files, str(pollers))
        return {"pollers": pollers, "p50_ms": outcome["p50_ms"], "p99_ms": outcome["p99_ms"]}

    def once(
        self, name: str, requests: list[bytes], connections: int = CONNECTIONS
    ) -> dict[str, float]:
        return self.tool("once", self.write(name, requests), str(connections))

    def write(self, name: str, requests: Iterable[bytes]) -> str:
        path = self.directory / name
        with path.open("wb") as file:
            file.writelines(b"%d\n%s" % (len(one), one) for one in requests)
            # Else the system writes it out half a minute later, and what the service flushes waits.
            file.flush()
            os.fsync(file.fileno())
        return str(path)

    def tool(self, mode: str, *arguments: str) -> dict[str, float]:
        command = [str(TOOL), mode, self.service.address, *arguments]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=300).stdout
        outcome: dict[str, float] = json.loads(output)
        if outcome["failures"]:
            raise SystemExit(f"{mode}: {outcome['failures']} requests failed")
        return outcome


def rate(outcome: dict[str, float]) -> dict[str, float]:
    return {
        "per_s": round(outcome["requests"] / outcome["seconds"]),
        "p50_ms": outcome["p50_ms"],
        "p99_ms": outcome["p99_ms"],
    }


def event(number: str) -> dict[str, Any]:
    """An event as a gateway hands it in."""
    digest = base64.b16encode(hashlib.sha256(number.encode()).digest()).decode().lower()
    return {
        "event_id": f"event-{number}",
        "request_id": f"request-{number}",
        "org_id": "bench",
        "agent_id": "a",
        "agent_name": "a",
        "session_id": "session-1",
        "tool_name": "database.query",
        "tool_action": "proxy",
        "params_hash": digest,
        "params_masked": {"sql": {"kind": "string", "bytes": 57}},
        "encodings_detected": [],
        "risk_score": 0.12,
        "assessed_risk": "low",
        "classification": "Safe",
        "labels": [],
        "matched_rules": [],
        "policy_action": "Allow",
        "policy_reason": "no policy forbids it",
        "scope_requested": "db:read",
        "scope_granted": "db:read",
        "blocked": False,
        "session_flags": [],
        "degraded_stages": [],
        "delegation_chain": [],
        "bundle_revision": 7,
        "latency_us": 412,
        "timestamp": time.time_ns() // 1000,
    }


def table(result: dict[str, Any]) -> str:
    lines = ["| what | |", "|---|---|"]
    for name, figures in result.items():
        told = ", ".join(f"{figure} {value:,}" for figure, value in figures.items())
        lines.append(f"| {name} | {told} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--pollers", type=int, default=1_000)
    parser.add_argument("--write", action="store_true", help="write the table to the documentation")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        service = Service(Path(directory) / "data")
        try:
            result = Bench(service, Path(directory), options).run()
        finally:
            service.stop()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if options.write:
        text = DOCUMENT.read_text()
        block = f"<!-- bench-control -->\n{table(result)}\n<!-- /bench-control -->"
        pattern = "<!-- bench-control -->.*<!-- /bench-control -->"
        DOCUMENT.write_text(re.sub(pattern, lambda _: block, text, flags=re.S))
    return 0


if __name__ == "__main__":
    sys.exit(main())
