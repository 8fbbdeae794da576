"""Speaks HTTP/1.1 and HTTP/2 to the gateway without any politeness."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from attempt import Scene

SECONDS_MAX = 10.0
Header = tuple[bytes, bytes]
CHUNKED: Header = (b"transfer-encoding", b"chunked")
JSON: Header = (b"content-type", b"application/json")


def who(scene: Scene) -> list[Header]:
    """The headers of a known agent."""
    gateway = scene.gateway
    return [
        (b"x-ag-key", gateway.api_key.encode()),
        (b"authorization", b"Bearer " + gateway.agent.jwt().encode()),
    ]


def head(
    scene: Scene,
    *more: Header,
    line: bytes = b"POST /mcp HTTP/1.1",
    kind: Header | None = JSON,
    end: bytes = b"\r\n",
) -> bytes:
    """A request's head; the connection is closed after its answer."""
    headers = [(b"host", b"gateway"), (b"connection", b"close"), *who(scene)]
    headers += [kind] if kind else []
    lines = [line, *(name + b": " + value for name, value in [*headers, *more])]
    return end.join(lines) + end + end


def length(body: bytes) -> Header:
    return b"content-length", str(len(body)).encode()


def send(scene: Scene, *pieces: bytes, cut: bool = False, answers: int = 1) -> bytes:
    """Sends the pieces, each in a segment of its own, and gives what comes back: so many whole
    answers, or all until the connection is closed. `cut` closes our side at once, where what was
    sent is never whole."""
    told = b""
    with socket.create_connection(("127.0.0.1", scene.port), SECONDS_MAX) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                peer.sendall(piece)
            if cut:
                peer.shutdown(socket.SHUT_WR)
            while whole_answers(told) < answers and (received := peer.recv(65536)):
                told += received
        except ConnectionError:
            pass
    return told


def whole_answers(told: bytes) -> int:
    """How many answers are whole; one in chunks ends what was told."""
    count = 0
    while b"\r\n\r\n" in told:
        lines, _, told = told.partition(b"\r\n\r\n")
        lengths = [line[16:] for line in lines.split(b"\r\n") if line.startswith(b"content-length: ")]
        if b"transfer-encoding: chunked" in lines:
            return count + told.endswith(b"0\r\n\r\n")
        # `100 Continue` is none.
        if not lengths:
            continue
        if len(told) < int(lengths[0]):
            break
        told, count = told[int(lengths[0]) :], count + 1
    return count


def post(scene: Scene, body: bytes, *more: Header, **how) -> bytes:
    """A body with its length, and whatever else the head is to say."""
    return send(scene, head(scene, length(body), *more, **how) + body)


def chunks(body: bytes, size: int = 1 << 20, *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """A chunked body."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    written = (b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
    return b"".join(written) + b"0\r\n" + trailer + b"\r\n"


class Http2:
    """One connection of HTTP/2; what is sent may be nonsense."""

    def __init__(self, scene: Scene) -> None:
        config = h2.config.H2Configuration(
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self._scene = scene
        self.link = h2.connection.H2Connection(config)
        self.link.initiate_connection()

    def headers(self, *more: Header, **pseudo: bytes) -> list[Header]:
        """The headers of a call; a pseudo-header that is empty is left out."""
        known = {"method": b"POST", "scheme": b"http", "authority": b"gateway", "path": b"/mcp"}
        asked = [(b":" + n.encode(), v) for n, v in (known | pseudo).items() if v]
        return [*asked, *who(self._scene), JSON, *more]

    def request(
        self,
        body: Iterable[bytes],
        *more: Header,
        stream: int = 1,
        trailers: list[Header] | None = None,
        **pseudo: bytes,
    ) -> Http2:
        """Queues a request whose body comes in these frames."""
        self.link.send_headers(stream, self.headers(*more, **pseudo))
        for frame in body:
            self.link.send_data(stream, frame)
        if trailers is None:
            self.link.end_stream(stream)
        else:
            self.link.send_headers(stream, trailers, end_stream=True)
        return self

    def told(self, streams: int = 1) -> bytes:
        """Sends what was queued; gives what comes back in the words of HTTP/1.1."""
        told = b""
        with socket.create_connection(("127.0.0.1", self._scene.port), SECONDS_MAX) as peer:
            peer.sendall(self.link.data_to_send())
            while streams:
                received = peer.recv(65536)
                if not received:
                    break
                try:
                    events = self.link.receive_data(received)
                except h2.exceptions.ProtocolError:
                    break
                for event in events:
                    match event:
                        case h2.events.ResponseReceived():
                            told += b"HTTP/1.1 %s\r\n" % dict(event.headers)[b":status"]
                        case h2.events.DataReceived():
                            told += event.data
                        case h2.events.StreamEnded() | h2.events.StreamReset():
                            streams -= 1
                            told += b"\r\n"
                        case h2.events.ConnectionTerminated():
                            streams = 0
                peer.sendall(self.link.data_to_send())
        return told
