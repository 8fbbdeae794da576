"""A server that says yes to everything and writes down what really reached it, byte for byte: a tool
over MCP, A2A and REST, and a model."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field

# What it answers, and what no caller may be told where nothing should have got through.
TOLD = "three rows of users"


@dataclass
class Received:
    """A request, from the moment its head was there."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name]


@dataclass
class Upstream:
    """Listens until it is stopped; one request a connection."""

    received: list[Received] = field(default_factory=list)
    # What is answered instead, as it stands.
    raw: bytes | None = None

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listening.getsockname()[1]

    def stop(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            peer.settimeout(20)
            try:
                line = stream.readline().decode("latin-1").strip()
                if not line:
                    return
                headers = []
                while text := stream.readline().decode("latin-1").strip():
                    name, _, value = text.partition(":")
                    headers.append((name.lower(), value.strip()))
                request = Received(line, headers)
                self.received.append(request)
                request.body = _body(request, stream)
                peer.sendall(self.raw if self.raw is not None else _yes(request))
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
            except (OSError, ValueError):
                return


def _body(request: Received, stream) -> bytes:
    if "chunked" not in request.values("transfer-encoding"):
        return stream.read(int((request.values("content-length") or ["0"])[0]))
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return body


def whole(body: bytes, *head: bytes) -> bytes:
    """A complete answer with that body."""
    lines = [b"HTTP/1.1 200 OK", b"connection: close", b"content-length: %d" % len(body), *head]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _yes(request: Received) -> bytes:
    if "/chat/completions" in request.line:
        message = {"role": "assistant", "content": TOLD}
        said = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    else:
        content = [{"type": "text", "text": TOLD}]
        said = {"jsonrpc": "2.0", "id": 7, "result": {"content": content, "isError": False}}
    return whole(json.dumps(said).encode(), b"content-type: application/json")
