"""What an attempt to get round the gateway is, and how one is held against what really arrived.

An attempt is made twice in the same way: with something that must not get through, and with
something harmless. Of the first nothing may reach the upstream, nor may its answer be told. The
second shows that the way as such leads somewhere, or else with which status it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway import Gateway
from upstream import TOLD, Upstream

EVIL = "DROP TABLE users"
SAFE = "SELECT name FROM users"


@dataclass(frozen=True)
class Scene:
    """A gateway and what stands behind it."""

    gateway: Gateway
    upstream: Upstream

    @property
    def port(self) -> int:
        return self.gateway.stack.ports.gateway


# Makes the attempt with a text and gives all that the caller was told.
Make = Callable[[Scene, str], bytes]
PASSES = -1
# Refused by an answer of 200, as JSON-RPC's clients expect it.
IN_WORDS = 200


@dataclass(frozen=True)
class Attempt:
    """One row."""

    name: str
    make: Make
    # What the harmless form comes to: it passes, or it is refused with this status; 0 for a
    # connection that is closed without an answer.
    harmless: int = PASSES
    # Requests that ride along and may get through.
    along: int = 0
    evil: str = EVIL
    safe: str = SAFE

    def check(self, scene: Scene) -> None:
        """Makes the attempt both ways."""
        seen = scene.upstream.received
        told = self.make(scene, self.evil)
        assert len(seen) == self.along, f"it got through: {seen}\n{told!r}"
        assert told.count(TOLD.encode()) == self.along, told
        seen.clear()
        told = self.make(scene, self.safe)
        if self.harmless == PASSES:
            assert told.count(TOLD.encode()) == 1 + self.along, told
            assert len(seen) == 1 + self.along, told
        else:
            assert len(seen) == self.along, f"it got through: {seen}"
            assert status(told) == self.harmless, told
        assert scene.gateway.ask("GET", "/health").status == 200


def status(told: bytes) -> int:
    """The status of the last answer in what was told."""
    heads = [line for line in told.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return int(heads[-1].split()[1]) if heads else 0


def call(sql: str, **more: Any) -> bytes:
    """A tool call over MCP."""
    params = {"name": "database.query", "arguments": {"sql": sql}}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    return json.dumps(message | more).encode()
