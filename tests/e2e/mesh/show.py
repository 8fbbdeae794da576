#!/usr/bin/env python3
"""Runs the mesh of sidecars and prints what was allowed, what was blocked, and why.

Exits with 1 when anything came out otherwise than expected; leaves nothing running.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path += [str(ROOT / "envoy"), str(ROOT / "examples")]

from certificates import spiffe_id  # noqa: E402
from demo import Row, report  # noqa: E402
from fetch import FetchError  # noqa: E402
from merge import find  # noqa: E402
from mesh import EVIL_SQL, SAFE_SQL, SCOUT, SQL_TOOL, Mesh, outcome  # noqa: E402
from processes import StackError, wait_until  # noqa: E402
from rest import Answer  # noqa: E402


def rows(mesh: Mesh) -> list[Row]:
    """Calls of workloads, in order, and what came of them."""
    scout = mesh.issue(SCOUT, "scout")
    stranger = mesh.issue(spiffe_id("agents", "somebody"), "stranger")
    seen: list[Row] = []

    def note(what: str, expected: str, answer: Answer) -> None:
        why = outcome(answer)
        allowed = "allowed" if why == "allowed" else "blocked"
        print(f"  {allowed}  {what}" + ("" if why == "allowed" else f"\n           {why}"))
        seen.append(Row(what, expected, allowed))

    forged = {"x-forwarded-client-cert": f"URI={SCOUT}"}
    own = mesh.call_through_own_sidecar
    print("\nat the tool's sidecar, over mutual TLS:")
    note(f"scout: {SAFE_SQL}", "allowed", mesh.call(scout))
    note(f"scout: {EVIL_SQL}", "blocked", mesh.call(scout, EVIL_SQL))
    note("scout: shell.exec, a scope it lacks", "blocked", mesh.call(scout, tool="shell.exec"))
    note("a workload that is no agent", "blocked", mesh.call(stranger))
    note("the same, with scout's id in a header", "blocked", mesh.call(stranger, headers=forged))
    jwt = mesh.token("demo-exec")
    note("the same, with an agent's JWT", "allowed", mesh.call(stranger, headers=jwt))
    note("scout, with another agent's JWT", "blocked", mesh.call(scout, headers=jwt))
    print("\nby way of the agent's own sidecar:")
    note(f"a guarded port: {SAFE_SQL}", "allowed", own(headers=mesh.token("demo-scout")))
    note(f"a guarded port: {EVIL_SQL}", "blocked", own(EVIL_SQL, headers=jwt))
    note(f"an unguarded port: {EVIL_SQL}", "blocked", own(EVIL_SQL, port=8001))
    print("\nwhen something is amiss:")
    mesh.stack.admin("POST", "/v1/agents/demo-scout/kill", {"reason": "shown"})
    wait_until(lambda: outcome(mesh.call(scout)) == "agent_killed", 5)
    note("scout, killed", "blocked", mesh.call(scout))
    manifest = mesh.manifest("inbound")
    (remote,) = find(manifest, "remote")
    remote["sha256"] = "0" * 64
    unpinned = mesh.sidecar("unpinned", SQL_TOOL, [manifest])
    wait_until(lambda: mesh.reached(lambda: mesh.call(scout, sidecar=unpinned)), 60)
    jwt = mesh.token("demo-exec")
    answer = mesh.call(stranger, headers=jwt, sidecar=unpinned)
    note("an honest call where the module is not the pinned one", "blocked", answer)
    return seen


def main() -> int:
    """Runs it and takes everything down again, whatever happens."""
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, lambda number, _: sys.exit(128 + number))
    run_dir = ROOT / ".run/mesh"
    shutil.rmtree(run_dir, ignore_errors=True)
    mesh = Mesh(run_dir)
    try:
        mesh.up()
        return 0 if report(rows(mesh)) else 1
    except (StackError, FetchError, OSError, ValueError) as error:
        print(f"tests/e2e/mesh/show.py: {error}", file=sys.stderr)
        return 1
    finally:
        mesh.down()


if __name__ == "__main__":
    sys.exit(main())
