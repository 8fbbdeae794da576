"""A stack whose tool is replaced by one that answers what it is told to, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from gateway import Gateway
from stack import Ports, Stack

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"content-type: application/json\r\n"


def answer(body: bytes, head: bytes = OK + JSON) -> bytes:
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


class Upstream:
    """Answers every request with the same bytes, whatever they are, and closes."""

    def __init__(self, port: int) -> None:
        self.answer = b""
        self._listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(20)
            try:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += peer.recv(65536)
                peer.sendall(self.answer)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


@contextlib.contextmanager
def scripted_tool(directory: Path) -> Iterator[tuple[Gateway, Upstream]]:
    """Starts the stack and puts the tool in its place; stops both in the end."""
    stack = Stack(directory, Ports.free())
    try:
        gateway = Gateway(stack, stack.up())
        stack.processes.stop("sql-tool")
        upstream = Upstream(stack.ports.tool)
        yield gateway, upstream
        upstream.close()
    finally:
        stack.down()
