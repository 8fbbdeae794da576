"""What an upstream that speaks HTTP/2 may do to a call: nothing unjudged is told and no worker falls."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from attempt import SAFE, Scene, call
from gateway import Gateway
from hpack import Encoder
from open_stack import OpenStack
from stack import Ports
from test_told import POISONED, falls, result
from upstream import Upstream
from wire import post

DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
KIND = (b"content-type", b"application/json")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(*fields: tuple[bytes, bytes]) -> bytes:
    """A block of headers that leans on nothing that came before."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode(fields, huffman=False)


def head(*more: tuple[bytes, bytes], status: bytes = b"200", flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, 1, block((b":status", status), KIND, *more))


def data(body: bytes, flags: int = END_STREAM) -> bytes:
    return frame(DATA, flags, 1, body)


HALF = data(POISONED[:50], 0)
FINE = head() + data(result("fine"))
# What is said once the request is there.
ANSWERS = {
    "poison": head() + data(POISONED),
    "every byte a frame": head() + b"".join(data(bytes([b]), 0) for b in POISONED) + data(b""),
    "padding": head() + frame(DATA, END_STREAM | PADDED, 1, b"\x0a" + POISONED + bytes(10)),
    "going away before": frame(GOAWAY, 0, 0, bytes(8)),
    "going away, then poison": frame(GOAWAY, 0, 0, bytes(3) + b"\1" + bytes(4)) + head() + data(POISONED),
    "going away in the middle": head() + HALF + frame(GOAWAY, 0, 0, bytes(8)),
    "a reset before": frame(RESET, 0, 1, (7).to_bytes(4, "big")),
    "a reset in the middle": head() + HALF + frame(RESET, 0, 1, (2).to_bytes(4, "big")),
    "nothing more in the middle": head() + HALF,
    "half a frame": head() + data(POISONED)[:40],
    "more than its length": head((b"content-length", b"5")) + data(POISONED),
    "less than its length": head((b"content-length", b"5000")) + data(POISONED),
    "poison in trailers": head() + data(POISONED, 0)
        + frame(HEADERS, END_HEADERS | END_STREAM, 1, block((b"x-a", b"\xff"))),
    "a status in trailers": head() + data(POISONED, 0)
        + frame(HEADERS, END_HEADERS | END_STREAM, 1, block((b":status", b"200"))),
    "two heads": head() + head() + data(POISONED),
    "data before the head": data(POISONED, 0) + head() + data(POISONED),
    "no status": frame(HEADERS, END_HEADERS, 1, block(KIND)) + data(POISONED),
    "a status that is none": head(status=b"abc") + data(POISONED),
    "other protocols": head(status=b"101") + data(POISONED),
    "early hints, many": head(status=b"103") * 100 + head() + data(POISONED),
    "a kind beyond UTF-8": frame(HEADERS, END_HEADERS, 1, block(
        (b":status", b"200"), (b"content-type", b"application/json\xff"))) + data(POISONED),
    "a name beyond ASCII": head((b"x-\xff", b"1")) + data(POISONED),
    "a name in capitals": head((b"X-A", b"1")) + data(POISONED),
    "a line in a value": head((b"x-a", b"1\r\nx-b: 2")) + data(POISONED),
    "a header of the connection": head((b"transfer-encoding", b"chunked")) + data(POISONED),
    "a second coding": head((b"content-encoding", b"identity"), (b"content-encoding", b"gzip")) + data(POISONED),
    "a block that is none": frame(HEADERS, END_HEADERS, 1, b"\xff" * 60) + data(POISONED),
    "a head that goes on and on": head(flags=0) + frame(CONTINUATION, 0, 1, block((b"x-a", b"1"))) * 20_000,
    "a thousand headers": frame(HEADERS, 0, 1, block((b":status", b"200")))
        + frame(CONTINUATION, 0, 1, block(*[(b"x-a", b"1")] * 200)) * 5
        + frame(CONTINUATION, END_HEADERS, 1) + data(POISONED),
    "a promise": frame(PUSH, END_HEADERS, 1, (2).to_bytes(4, "big") + block(
        (b":method", b"GET"), (b":path", b"/"), (b":scheme", b"http"), (b":authority", b"a"))) + head() + data(POISONED),
    "settings without end": frame(SETTINGS, 0, 0) * 20_000 + head() + data(POISONED),
    "pings without end": frame(PING, 0, 0, bytes(8)) * 20_000 + head() + data(POISONED),
    "empty frames without end": head() + data(b"", 0) * 20_000 + data(POISONED),
    "a window beyond numbers": frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 2 + head() + data(POISONED),
    "a frame beyond its size": head() + data(POISONED + b" " * 60_000),
    "a frame of an unknown kind": frame(200, 255, 1, b"x" * 100) + head() + data(POISONED),
    "another stream": frame(HEADERS, END_HEADERS, 7, block((b":status", b"200"))) + head() + data(POISONED),
    "HTTP/1.1": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
}  # fmt: skip


class Http2Upstream(Upstream):
    """The same upstream over HTTP/2: once a request is there, `raw` is said as it stands."""

    def _answer(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            peer.settimeout(10)
            try:
                peer.sendall(frame(SETTINGS, 0, 0))
                stream.read(PREFACE)
                while True:
                    top = stream.read(9)
                    if len(top) < 9:
                        return
                    stream.read(int.from_bytes(top[:3], "big"))
                    kind, flags = top[3], top[4]
                    if kind == SETTINGS and not flags & ACK:
                        peer.sendall(frame(SETTINGS, ACK, 0))
                    if kind in (DATA, HEADERS) and flags & END_STREAM:
                        break
                peer.sendall(FINE if self.raw is None else self.raw)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
            except OSError:
                return


class Http2Stack(OpenStack):
    def rendered(self, changes) -> str:
        text = super().rendered(changes)
        spoken = "explicit_http_config: {http_protocol_options: {}}"
        assert text.count(spoken) == 1
        return text.replace(spoken, "explicit_http_config: {http2_protocol_options: {}}")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    upstream = Http2Upstream()
    stack = Http2Stack(tmp_path_factory.mktemp("http2"), Ports.free(), mcp_port=upstream.port)
    try:
        yield Scene(Gateway(stack, stack.up()), upstream)
    finally:
        stack.down()
        upstream.stop()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_malformed_answer_over_http2_is_not_told(spoken: Scene, answer: bytes):
    before = falls(spoken)
    assert before
    spoken.upstream.raw = answer
    told = post(spoken, call(SAFE))
    assert b"previous instructions" not in told, told
    assert told.startswith(b"HTTP/1.1 "), "nobody was answered"
    spoken.upstream.raw = None
    for _ in range(4):  # on every worker, on connections of their own
        assert b"fine" in post(spoken, call(SAFE)), "after it nothing passes"
    assert falls(spoken) == before
