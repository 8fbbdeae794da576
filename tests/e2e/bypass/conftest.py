"""A stack whose tool and models are one server that says yes to everything; started once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attempt import Scene
from gateway import Gateway
from stack import Ports, Stack
from upstream import Upstream


class OpenStack(Stack):
    """The stack of `envoy.yaml` with routes of A2A and REST beside that of MCP."""

    def rendered(self, changes: dict[str, Any]) -> str:
        more = {
            "a2a": {"paths": ["/a2a"]},
            "rest": [
                {"method": "POST", "path": "/rest/query", "tool": "database.query"},
                {"method": "GET", "path": "/rest/users/{id}", "tool": "database.query"},
            ],
        }
        text = super().rendered(more | changes)
        route = "match: {path: /mcp}"
        assert text.count(route) == 1
        # A connection that was refused is closed at once, so that nobody waits for it.
        for name in ("server_name: clampd\n", "stat_prefix: egress_http\n"):
            text = text.replace(name, f"{name}{' ' * 16}delayed_close_timeout: 0.05s\n")
        return text.replace(route, "match: {safe_regex: {regex: '/(mcp|a2a|rest/.*)'}}")


@pytest.fixture(scope="session")
def bypassed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    upstream = Upstream()
    stack = OpenStack(
        tmp_path_factory.mktemp("bypass"),
        Ports.free(),
        models=f"127.0.0.1:{upstream.port}",
        mcp_port=upstream.port,
    )
    try:
        yield Scene(Gateway(stack, stack.up()), upstream)
    finally:
        stack.down()
        upstream.stop()


@pytest.fixture
def scene(bypassed: Scene) -> Scene:
    """The shared stack, found alive, its upstream with nothing seen."""
    assert bypassed.gateway.ask("GET", "/health").status == 200
    bypassed.upstream.received.clear()
    bypassed.upstream.raw = None
    return bypassed

