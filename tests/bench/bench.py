#!/usr/bin/env python3
"""Measures what the filter costs, and writes the table that `docs/performance.md` shows.

Two Envoys stand before the same upstream: one as `envoy/envoy.yaml` has it, one with the filter
taken out. They are measured in turn, pair after pair, so that what else the machine does falls on
both. Closed loop: 16 connections send as fast as they are answered; from it come requests a second
and Envoy's CPU time a request. Fixed rate: 40 % of what the slower one could do; from it come the
latencies, counted from the moment that a request was due. Load goes to loopback only.

    bench.py [--seconds 2] [--rounds 3] [--workers 1,2] [--bodies 1,4,16,128] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "envoy"))

from fetch import FetchError, envoy_path  # noqa: E402
from processes import StackError, free_ports  # noqa: E402
from rest import agent_jwt, ask  # noqa: E402
from stack import Ports, Stack  # noqa: E402

TOOL = ROOT / "target/bench-tool/release/clampd-bench"
RESULT = ROOT / "target/bench.json"
DOCUMENT = ROOT / "docs/performance.md"
CONNECTIONS = 16
FIXED_SHARE = 0.4
MINTS = ("none", "local", "exchange")
PROSE = (
    "The committee met on Tuesday to go over the harvest figures, which were better than last "
    "year's in every district but two; a longer account is appended for those who could not come. "
)


@dataclass
class Measured:
    """One Envoy under one kind of load."""

    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float


class Bench:
    """One run directory, one upstream, and pairs of Envoys."""

    def __init__(self, options: argparse.Namespace, name: str = "bench") -> None:
        self.options = options
        self.stack = Stack(ROOT / ".run" / name, Ports.free())
        self.plain_ports = free_ports(2)
        self.state: dict[str, Any] = {}

    def run(self) -> list[dict[str, Any]]:
        self.state = self.stack.up()
        processes = self.stack.processes
        processes.stop("sql-tool")
        address = f"127.0.0.1:{self.stack.ports.tool}"
        processes.start("upstream", [str(TOOL), "upstream", address], {}, ROOT)
        rows = []
        for workers in self.options.workers:
            os.environ["CLAMPD_ENVOY_CONCURRENCY"] = str(workers)
            for mint in MINTS:
                self.start_pair(mint)
                rows += [self.measure(workers, mint, kib) for kib in self.options.bodies]
        return rows

    def start_pair(self, mint: str) -> None:
        """Starts both Envoys afresh, so that none carries what an earlier load left behind."""
        processes = self.stack.processes
        processes.stop("envoy")
        processes.stop("envoy-plain")
        self.stack.start_envoy(
            changes={"mint": "exchange" if mint == "none" else mint, "trace": "off"}
        )
        plain = self.stack.run_dir / "plain.yaml"
        plain.write_text(without_filter(self.stack, *self.plain_ports))
        command = [str(envoy_path()), "--config-path", str(plain), "--disable-hot-restart"]
        command += ["--concurrency", os.environ["CLAMPD_ENVOY_CONCURRENCY"], "--log-level", "error"]
        processes.start("envoy-plain", command, {}, ROOT)
        admin = f"http://127.0.0.1:{self.plain_ports[1]}/ready"
        processes.wait_ready("envoy-plain", lambda: answers(admin), 30)

    def measure(self, workers: int, mint: str, kib: int) -> dict[str, Any]:
        """Alternates the two Envoys and takes the medians of what their pairs differ by."""
        file = self.stack.run_dir / f"{mint}-{kib}.http"
        file.write_bytes(self.request(mint, kib))
        gateways = {"envoy-plain": self.plain_ports[0], "envoy": self.stack.ports.gateway}
        closed: dict[str, list[tuple[float, float]]] = {name: [] for name in gateways}
        fixed: dict[str, list[dict[str, float]]] = {name: [] for name in gateways}
        for _ in range(self.options.rounds):
            for name, port in gateways.items():
                before = self.cpu_seconds(name)
                load = self.load(port, file, CONNECTIONS, 0)
                used = self.cpu_seconds(name) - before
                closed[name].append((load["requests"] / load["seconds"], used / load["requests"]))
            rate = FIXED_SHARE * min(median(rps for rps, _ in runs) for runs in closed.values())
            for name, port in gateways.items():
                stolen, all_ticks = machine_ticks()
                load = self.load(port, file, CONNECTIONS // 2, rate)
                stolen_since, all_since = machine_ticks()
                share = (stolen_since - stolen) / max(all_since - all_ticks, 1)
                fixed[name].append(load | {"stolen_pct": 100 * share})
        pairs = list(zip(closed["envoy-plain"], closed["envoy"]))
        calm = list(zip(fixed["envoy-plain"], fixed["envoy"]))
        row = {
            "workers": workers,
            "body_bytes": kib * 1024,
            "mint": mint,
            "cpu_us_none": round(median(plain[1] for plain, _ in pairs) * 1e6, 1),
            "cpu_us_added": round(median(ours[1] - plain[1] for plain, ours in pairs) * 1e6, 1),
            "p50_ms_added": round(median(b["p50_ms"] - a["p50_ms"] for a, b in calm), 3),
            "p99_ms_none": round(median(a["p99_ms"] for a, _ in calm), 3),
            "p99_ms_added": round(median(b["p99_ms"] - a["p99_ms"] for a, b in calm), 3),
            "stolen_pct": round(median(b["stolen_pct"] for _, b in calm), 1),
            "rps_ratio": round(median(ours[0] / plain[0] for plain, ours in pairs), 3),
            "rss_mib_added": round(self.rss_mib("envoy") - self.rss_mib("envoy-plain"), 1),
        }
        print(format_row(row), flush=True)
        return row

    def request(self, mint: str, kib: int) -> bytes:
        """An MCP message of so many KiB; listing tools is judged and needs no token."""
        empty = message(mint, "")
        padding = kib * 1024 - len(empty)
        # A text that was judged before is not judged again, so that each begins with a new word.
        prose = "############ " + PROSE * (padding // len(PROSE) + 1)
        body = message(mint, prose[:padding])
        agent = next(agent for agent in self.state["agents"] if agent["id"] == "my-agent")
        jwt = agent_jwt(agent["id"], agent["secret"], issuer="clampd-bench")
        head = (
            "POST /mcp HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"x-ag-key: {self.state['api_key']}\r\nauthorization: Bearer {jwt}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def load(self, port: int, file: Path, connections: int, rate: float) -> dict[str, float]:
        seconds = self.options.seconds
        command = [str(TOOL), "load", f"127.0.0.1:{port}", str(file)]
        command += [str(connections), str(seconds), f"{rate:.2f}"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=False
        )
        if done.returncode != 0:
            raise StackError(done.stderr.strip())
        said = json.loads(done.stdout)
        if said["failures"] or not said["requests"]:
            raise StackError(f"calls failed under load: {said}")
        return said

    def cpu_seconds(self, name: str) -> float:
        """CPU time of all the threads of a service, to the nanosecond."""
        pid = self.stack.processes.running(name)
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def rss_mib(self, name: str) -> float:
        pid = self.stack.processes.running(name)
        (kib,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(kib) / 1024


def message(mint: str, padding: str) -> bytes:
    params: dict[str, Any] = {
        "name": "email.send",
        "arguments": {"to": "a@b.example", "body": padding},
    }
    method = "tools/call"
    if mint == "none":
        params, method = {"_meta": {"note": padding}}, "tools/list"
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def without_filter(stack: Stack, gateway_port: int, admin_port: int) -> str:
    """This stack's Envoy configuration on other ports, and with the filter taken out."""
    text = stack.rendered({})
    for old, new in ((stack.ports.gateway, gateway_port), (stack.ports.envoy_admin, admin_port)):
        text = text.replace(f"port_value: {old} ", f"port_value: {new} ")
    block = r"^ {18}- name: clampd\n(?: {19,}.*\n)*"
    text, count = re.subn(block, "", text, flags=re.M)
    if count != 1:
        raise StackError("envoy.yaml has no filter called clampd where it was expected")
    return text


def machine_ticks() -> tuple[int, int]:
    """Of all processors: the ticks that went to other guests of the host, and all there were."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def answers(url: str) -> bool:
    try:
        return ask("GET", url, timeout_seconds=2).status == 200
    except OSError:
        return False


def machine() -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = cpu[1] if cpu else platform.machine()
    return f"{os.cpu_count()} x {name}, {platform.system()}"


COLUMNS = ("workers", "body_bytes", "mint", "cpu_us_none", "cpu_us_added", "p50_ms_added", "p99_ms_none", "p99_ms_added", "stolen_pct", "rps_ratio", "rss_mib_added")  # fmt: skip


def format_row(row: dict[str, Any]) -> str:
    return "| " + " | ".join(str(row[column]) for column in COLUMNS) + " |"


def table(rows: list[dict[str, Any]]) -> str:
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return "\n".join(head + [format_row(row) for row in rows]) + "\n"


def write_document(rows: list[dict[str, Any]]) -> None:
    """Replaces the table of `docs/performance.md`."""
    fresh = f"<!-- bench -->\nMachine: {machine()}.\n\n{table(rows)}<!-- /bench -->"
    marked = r"<!-- bench -->.*<!-- /bench -->"
    DOCUMENT.write_text(re.sub(marked, lambda _: fresh, DOCUMENT.read_text(), flags=re.S))


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> int:
    """Measures, prints the table, and leaves nothing running."""
    parser = argparse.ArgumentParser(description="Measures what the filter costs.")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=numbers, default=[1, 2])
    parser.add_argument("--bodies", type=numbers, default=[1, 4, 16, 128], help="KiB")
    parser.add_argument("--write", action="store_true", help="write it to docs/performance.md too")
    options = parser.parse_args()
    # An order to end is an exit like any other, so that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(options)
    began = time.monotonic()
    print(f"machine: {machine()}\n")
    print(table([]), end="", flush=True)
    try:
        rows = bench.run()
    except (StackError, FetchError, OSError, ValueError) as error:
        print(f"tests/bench/bench.py: {error}", file=sys.stderr)
        return 1
    finally:
        bench.stack.down()
    RESULT.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
    if options.write:
        write_document(rows)
    print(f"\nwritten to {RESULT.relative_to(ROOT)} after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
