#!/usr/bin/env python3
"""Runs one Envoy for long under load while its bundle changes, and says whether its memory grows.

Rounds of calls of several kinds follow each other until so many have been answered, all the while
the catalogue, agents' states and settings change. After each round the resident memory of Envoy
and of the control plane is noted. What is asked for: every call is answered as it should be, no VM
falls, the last change is in force, and over the second half of the rounds, when all has been warm
for long, memory does not grow by more than is allowed. Load goes to loopback only.

    soak.py [--requests 100000] [--changes 100] [--write]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from bench import DOCUMENT, PROSE, ROOT, TOOL, Bench, machine, message

sys.path.insert(0, str(ROOT / "envoy"))

from fetch import FetchError  # noqa: E402
from processes import StackError, wait_until  # noqa: E402
from rest import agent_jwt, ask  # noqa: E402

ROUND_SECONDS = 3.0
CONNECTIONS = 8
# Memory that a warm Envoy may have more at the end of the second half of the rounds than at its
# beginning: allocators and connection buffers breathe by about so much.
GROWTH_MIB_MAX = 6.0


@dataclass
class Round:
    """What was seen after a round."""

    requests: int
    changes: int
    envoy_mib: float
    control_plane_mib: float


@dataclass
class Soak:
    """One stack, loaded for long."""

    bench: Bench
    requests: int
    changes: int
    rounds: list[Round] = field(default_factory=list)
    made: int = 0

    def run(self) -> None:
        stack = self.bench.stack
        self.bench.state = stack.up()
        stack.processes.stop("sql-tool")
        upstream = [str(TOOL), "upstream", f"127.0.0.1:{stack.ports.tool}"]
        stack.processes.start("upstream", upstream, {}, ROOT)
        stack.processes.stop("envoy")
        stack.start_envoy(changes={"mint": "local", "trace": "off"})
        kinds = self.kinds()
        answered = 0
        while answered < self.requests:
            file = kinds[len(self.rounds) % len(kinds)]
            # As many as keep pace with what this round answers at least.
            due = self.changes * (answered + 2_000) / self.requests - self.made
            with ThreadPoolExecutor(1) as pool:
                changing = pool.submit(self.change, max(0, int(due)))
                said = self.bench.load(stack.ports.gateway, file, CONNECTIONS, 0)
            changing.result()
            answered += int(said["requests"])
            rss = self.bench.rss_mib
            self.rounds.append(Round(answered, self.made, rss("envoy"), rss("control-plane")))
            print(self.rounds[-1], flush=True)
        self.change(max(0, self.changes - self.made))

    def kinds(self) -> list[Path]:
        """Requests of several kinds, each as a file of bytes."""
        call = lambda tool: json.dumps({  # noqa: E731
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": {"to": "a@b.example", "body": PROSE * 4}},
        }).encode()  # fmt: skip
        scanned = json.dumps({"text": PROSE * 20}).encode()
        verified = json.dumps({"tool": "email.send", "params": {"body": PROSE}}).encode()
        bodies = [
            ("/mcp", call("email.send")),
            ("/mcp", call("tool.of.nobody")),
            ("/mcp", message("none", PROSE * 80)),
            ("/v1/scan-input", scanned),
            ("/v1/verify", verified),
        ]
        files = []
        for nth, (path, body) in enumerate(bodies):
            file = self.bench.stack.run_dir / f"soak-{nth}.http"
            file.write_bytes(self.head(path, len(body)) + body)
            files.append(file)
        return files

    def head(self, path: str, length: int) -> bytes:
        state = self.bench.state
        agent = next(agent for agent in state["agents"] if agent["id"] == "my-agent")
        jwt = agent_jwt(agent["id"], agent["secret"], issuer="clampd-sdk", ttl_seconds=24 * 3600)
        return (
            f"POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"x-ag-key: {state['api_key']}\r\nauthorization: Bearer {jwt}\r\n"
            f"content-length: {length}\r\n\r\n"
        ).encode()

    def change(self, count: int) -> None:
        """Makes so many changes to what is in force."""
        admin = self.bench.stack.admin
        for _ in range(count):
            match self.made % 4:
                case 0:
                    tool = {"scope": f"soak:{self.made}", "category": "other"}
                    admin("PUT", f"/v1/tools/soak.{self.made % 40}", tool)
                case 1:
                    admin("POST", "/v1/agents/crew-agent/suspend", {"reason": "soak"})
                case 2:
                    admin("POST", "/v1/agents/crew-agent/revive", {"reason": "soak"})
                case _:
                    admin("PUT", "/v1/settings", {"block_at": 0.7, "flag_at": round(0.4 + self.made % 8 / 100, 2)})
            self.made += 1

    def verdict(self) -> dict[str, Any]:
        """What came of it, and what of it is not as it should be."""
        half = self.rounds[len(self.rounds) // 2 :]
        third = max(1, len(half) // 3)
        begin, end = half[:third], half[-third:]
        growth = {
            name: median(getattr(r, name) for r in end) - median(getattr(r, name) for r in begin)
            for name in ("envoy_mib", "control_plane_mib")
        }
        counted = self.bench.stack.envoy_admin_url + "/stats?filter=vm_reload%7Cbundle_r"
        lines = ask("GET", counted).body.decode().splitlines()
        counts = {n: int(v) for n, _, v in (line.rpartition(": ") for line in lines) if v.isdecimal()}
        return {
            "requests": self.rounds[-1].requests,
            "changes": self.made,
            "rounds": len(self.rounds),
            "envoy_mib": round(self.rounds[-1].envoy_mib, 1),
            "envoy_growth_mib": round(growth["envoy_mib"], 2),
            "envoy_kib_per_1000_requests": round(
                slope([(r.requests / 1000, r.envoy_mib * 1024) for r in half]), 3
            ),
            "control_plane_growth_mib": round(growth["control_plane_mib"], 2),
            "vm_falls": sum(count for name, count in counts.items() if "vm_reload" in name),
            "bundles_refused": sum(c for name, c in counts.items() if "refused" in name),
        }

    def in_force(self) -> bool:
        """Whether the last change is what calls are judged by: a new agent's state."""
        self.bench.stack.admin("PUT", "/v1/tools/soak.last", {"scope": "soak:x", "category": "other"})
        body = {"tool": "soak.last", "params": {}}
        head = self.head("/v1/verify", 0).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[2:-3])
        url = f"{self.bench.stack.gateway_url}/v1/verify"
        return wait_until(lambda: ask("POST", url, body, headers=headers).status == 200, 5)


def slope(points: list[tuple[float, float]]) -> float:
    """The slope of the line through points that leaves the least squares."""
    x, y = fmean(p[0] for p in points), fmean(p[1] for p in points)
    spread = sum((p[0] - x) ** 2 for p in points)
    return sum((p[0] - x) * (p[1] - y) for p in points) / spread if spread else 0.0


def write_document(said: dict[str, Any]) -> None:
    """Replaces the figures in `docs/performance.md`."""
    rows = "".join(f"| {name} | {value:,} |\n" for name, value in said.items())
    fresh = f"<!-- soak -->\nMachine: {machine()}.\n\n| | |\n|---|---|\n{rows}<!-- /soak -->"
    marked = r"<!-- soak -->.*<!-- /soak -->"
    DOCUMENT.write_text(re.sub(marked, lambda _: fresh, DOCUMENT.read_text(), flags=re.S))


def main() -> int:
    """Loads, prints what came of it, and leaves nothing running."""
    parser = argparse.ArgumentParser(description="Whether memory grows under long load.")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write it to docs/performance.md too")
    options = parser.parse_args()
    soak = Soak(Bench(argparse.Namespace(seconds=ROUND_SECONDS), "soak"), options.requests, options.changes)
    began = time.monotonic()
    try:
        soak.run()
        is_in_force = soak.in_force()
        said = soak.verdict()
    except (StackError, FetchError, OSError, ValueError) as error:
        print(f"tests/bench/soak.py: {error}", file=sys.stderr)
        return 1
    finally:
        soak.bench.stack.down()
    print(json.dumps(said, indent=2), f"\nafter {time.monotonic() - began:.0f} s")
    if options.write:
        write_document(said)
    wrong = [
        what
        for what, is_wrong in {
            f"Envoy grew by more than {GROWTH_MIB_MAX} MiB": said["envoy_growth_mib"] > GROWTH_MIB_MAX,
            "a VM fell": said["vm_falls"] > 0,
            "a bundle was refused": said["bundles_refused"] > 0,
            "the last change is not in force": not is_in_force,
        }.items()
        if is_wrong
    ]
    for what in wrong:
        print(f"tests/bench/soak.py: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
