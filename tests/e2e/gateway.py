"""Calls a running stack as agents do, and as those do who mean no good."""

from __future__ import annotations

import http.client
import re
import socket
from dataclasses import dataclass
from typing import Any

from rest import Answer, agent_jwt, ask
from stack import Stack

SECONDS_MAX = 10.0
SDK_ISSUER = "clampd-sdk"
SAFE_SQL = {"sql": "SELECT name FROM users"}
EVIL_SQL = {"sql": "DROP TABLE users"}


@dataclass(frozen=True)
class Agent:
    """Who calls."""

    id: str
    secret: str

    def jwt(self, *, issuer: str = SDK_ISSUER, ttl_seconds: int = 3600) -> str:
        return agent_jwt(self.id, self.secret, issuer=issuer, ttl_seconds=ttl_seconds)


class Gateway:
    """A running stack."""

    def __init__(self, stack: Stack, state: dict[str, Any]) -> None:
        self.stack = stack
        self.state = state
        self.url: str = state["gateway_url"]
        self.tool_url: str = state["tool_url"]
        self.api_key: str = state["api_key"]
        self.agents = {a["id"]: Agent(a["id"], a["secret"]) for a in state["agents"]}
        self.agent = self.agents["my-agent"]

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Asks the gateway as nobody in particular."""
        return ask(method, self.url + path, body, timeout_seconds=SECONDS_MAX, **more)

    def call(
        self,
        path: str,
        body: Any,
        *,
        agent: Agent | None = None,
        issuer: str = SDK_ISSUER,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Posts to the gateway as an agent; bytes go as they are, anything else as JSON."""
        jwt = (agent or self.agent).jwt(issuer=issuer)
        send = {"x-ag-key": self.api_key, "content-type": "application/json", **(headers or {})}
        return self.ask("POST", path, body, key=jwt, headers=send)

    def proxy(self, params: Any, *, tool: str = "database.query", **more: Any) -> Answer:
        """Calls a tool through `/v1/proxy`, forwarded to the example tool."""
        body = {"tool": tool, "params": params, "target_url": f"{self.tool_url}/query"}
        return self.call("/v1/proxy", body, **more)

    def verify(self, params: Any, *, tool: str = "database.query", **more: Any) -> Answer:
        """Asks about a call without making it."""
        return self.call("/v1/verify", {"tool": tool, "params": params, "target_url": ""}, **more)

    def mcp(self, params: Any, *, tool: str = "database.query", **more: Any) -> Answer:
        """Calls a tool over MCP."""
        call = {"name": tool, "arguments": params}
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}
        return self.call("/mcp", body, **more)

    def admin(self, method: str, path: str, body: Any = None) -> Answer:
        """Asks the control plane as its administrator."""
        return ask(
            method, self.state["control_plane_url"] + path, body, key=self.state["admin_key"]
        )

    def introspect(self, token: str) -> dict[str, Any]:
        """What the control plane tells a tool about a micro-token; uses it up."""
        url = f"{self.state['control_plane_url']}/v1/introspect"
        answer = ask("POST", url, {"token": token}, key=self.state["tool_key"])
        assert answer.status == 200, answer.body
        return answer.json

    def seen(self) -> int:
        """How many requests have reached the example tool, if only with their headers."""
        return ask("GET", f"{self.tool_url}/seen").json["requests"]

    def metric(self, name: str) -> float:
        """The sum of one of the gateway's metrics over all its labels."""
        text = self.ask("GET", "/metrics").body.decode()
        samples = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.M)
        return sum(map(float, samples))

    def envoy_stat(self, name: str) -> int:
        """The value of one of Envoy's statistics."""
        url = f"{self.state['envoy_admin_url']}/stats?filter=^{name}$"
        return int(ask("GET", url).body.decode().rpartition(": ")[2] or 0)

    def last_seen(self) -> dict[str, Any]:
        """The request that reached the example tool last: its first line and header names."""
        return ask("GET", f"{self.tool_url}/seen").json["last"][-1]

    def head(self, path: str, *more: tuple[bytes, bytes]) -> bytes:
        """The head of an HTTP/1.1 POST of a known agent, as bytes to be sent by hand."""
        lines = [
            b"POST " + path.encode() + b" HTTP/1.1",
            b"host: gateway",
            b"x-ag-key: " + self.api_key.encode(),
            b"authorization: Bearer " + self.agent.jwt().encode(),
            b"content-type: application/json",
            *(name + b": " + value for name, value in more),
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def raw(self, *pieces: bytes) -> Answer:
        """Sends the pieces, each in a segment of its own, and reads one answer."""
        with socket.create_connection(("127.0.0.1", self.stack.ports.gateway), SECONDS_MAX) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                peer.sendall(piece)
            return read_answer(peer)


def read_answer(peer: socket.socket) -> Answer:
    """Reads one HTTP/1.1 answer from the socket."""
    response = http.client.HTTPResponse(peer)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def chunked(*pieces: bytes) -> list[bytes]:
    """The pieces as chunks of a chunked body, without the end."""
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
