"""The stack of `envoy.yaml`, with what the attempts need beside it."""

from __future__ import annotations

from typing import Any

from stack import Stack


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
