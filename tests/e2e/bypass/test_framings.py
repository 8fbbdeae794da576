"""However a request is put on the wire, its call is judged or it does not go through."""

from __future__ import annotations

import pytest
from attempt import EVIL, SAFE, Attempt, Scene, call
from wire import CHUNKED, Header, Http2, chunks, head, length, post, send


def pieces(body: bytes, size: int = 1) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def in_chunks(size: int = 1 << 20, *, te: bytes = b"chunked", **how: bytes):
    """A chunked body."""
    header = (b"transfer-encoding", te)
    return lambda scene, sql: send(scene, head(scene, header) + chunks(call(sql), size, **how))


def with_headers(*more: Header, cut: bool = False):
    """The body as it is, behind headers that may contradict each other."""
    return lambda scene, sql: send(scene, head(scene, *more) + call(sql), cut=cut)


def on_line(line: bytes, **how):
    """A method, target and version of our own."""
    return lambda scene, sql: post(scene, call(sql), line=line, **how)


def chunked_as(write, *, cut: bool = False):
    """A body that `write` puts into chunks in a way of its own."""
    return lambda scene, sql: send(scene, head(scene, CHUNKED) + write(call(sql)), cut=cut)


def two_chunks(scene: Scene, sql: str, at: int) -> bytes:
    body = call(sql)
    return send(scene, head(scene, CHUNKED) + chunks(body[:at])[:-5], chunks(body[at:]))


def pipelined(scene: Scene, sql: str) -> bytes:
    first = head(scene, length(call("SELECT 1"))).replace(b"connection: close\r\n", b"")
    second = head(scene, length(call(sql))) + call(sql)
    return send(scene, first + call("SELECT 1") + second, answers=2)


def length_of_part(scene: Scene, sql: str) -> bytes:
    """The length ends before the call does: the rest poses as the next request."""
    rest = head(scene, length(call(sql))) + call(sql)
    return send(scene, head(scene, (b"content-length", b"0")) + rest, answers=2)


def chunk_that_hides_a_request(scene: Scene, sql: str) -> bytes:
    """One reader sees the end of the body where the other sees its first chunk."""
    hidden = b"0\r\n\r\n" + head(scene, length(call(sql))) + call(sql)
    return send(scene, head(scene, CHUNKED, length(hidden)) + hidden, answers=2)


def body_of(method: bytes):
    return on_line(method + b" /mcp HTTP/1.1")


def upgrade(*more: Header):
    asked = ((b"connection", b"Upgrade"), *more)
    return lambda scene, sql: send(
        scene,
        head(scene, length(call(sql)), *asked).replace(b"connection: close\r\n", b"", 1) + call(sql),
        cut=False,
    )


def head_byte_by_byte(scene: Scene, sql: str) -> bytes:
    return send(scene, *pieces(head(scene, length(call(sql))) + call(sql), 3))


def head_with(old: bytes, new: bytes, cut: bool = False):
    """The head with something in it replaced."""

    def make(scene: Scene, sql: str) -> bytes:
        whole = head(scene, length(call(sql)))
        assert old in whole
        return send(scene, whole.replace(old, new, 1) + call(sql), cut=cut)

    return make


H1 = [
    Attempt("every byte a chunk", in_chunks(1)),
    Attempt("chunk extensions", in_chunks(7, extension=b";a=b;c=\"d\"")),
    Attempt("chunk sizes with zeros before", chunked_as(
        lambda body: b"000%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))),
    Attempt("trailers", in_chunks(trailer=b"x-trailer: 1\r\n")),
    Attempt("trailers that pose as headers", in_chunks(trailer=b"content-encoding: gzip\r\n")),
    Attempt("transfer-encoding in capitals", in_chunks(te=b"Chunked")),
    Attempt("transfer-encoding misspelt", in_chunks(te=b"xchunked"), 501),
    Attempt("two codings, chunked first", in_chunks(te=b"chunked, identity"), 501),
    Attempt("gzip as a transfer coding", in_chunks(te=b"gzip, chunked"), 501),
    Attempt("chunked twice", in_chunks(te=b"chunked, chunked"), 501),
    Attempt("length and chunks", lambda scene, sql: send(
        scene, head(scene, length(call(sql)), CHUNKED) + chunks(call(sql))), 400),
    Attempt("chunks and length", lambda scene, sql: send(
        scene, head(scene, CHUNKED, length(call(sql))) + chunks(call(sql))), 400),
    Attempt("a chunk that hides a request", chunk_that_hides_a_request, 400),
    Attempt("a chunk too long for any number", chunked_as(
        lambda body: b"FFFFFFFFFFFFFFFFF\r\n" + body), 400),
    Attempt("a chunk of less than nothing", chunked_as(lambda body: b"-5\r\n" + body), 400),
    Attempt("chunks without an end", chunked_as(
        lambda body: chunks(body)[:-5], cut=True), 0),
    Attempt("lengths that differ", with_headers(
        (b"content-length", b"2"), (b"content-length", b"200")), 400),
    Attempt("lengths in a list", with_headers((b"content-length", b"5, 200")), 400),
    Attempt("a negative length", with_headers((b"content-length", b"-1")), 400),
    Attempt("a length with a sign", with_headers((b"content-length", b"+120")), 400),
    Attempt("a length in hexadecimal", with_headers((b"content-length", b"0x80")), 400),
    Attempt("a length that is too long", with_headers((b"content-length", b"5000"), cut=True), 0),
    Attempt("a length that is too short", length_of_part, 400),
    Attempt("no length and no chunks", with_headers(), 400),
    Attempt("expect: 100-continue", lambda scene, sql: post(
        scene, call(sql), (b"expect", b"100-continue"))),
    Attempt("an expectation of another kind", lambda scene, sql: post(
        scene, call(sql), (b"expect", b"anything"))),
    Attempt("behind a harmless request in one segment", pipelined, along=1),
    Attempt("a body in GET", body_of(b"GET"), 400),
    Attempt("a body in DELETE", body_of(b"DELETE"), 400),
    Attempt("PUT", body_of(b"PUT"), 405),
    Attempt("a method in small letters", body_of(b"post"), 400),
    Attempt("a method of our own", body_of(b"TOOLS"), 400),
    Attempt("HTTP/1.0", on_line(b"POST /mcp HTTP/1.0"), 426),
    Attempt("HTTP/0.9", lambda scene, sql: send(
        scene, b"POST /mcp\r\n" + call(sql)), 426),
    Attempt("HTTP/1.2", on_line(b"POST /mcp HTTP/1.2"), 426),
    Attempt("absolute target", on_line(b"POST http://elsewhere/mcp HTTP/1.1")),
    Attempt("lines that end in a line feed", on_line(b"POST /mcp HTTP/1.1", end=b"\n")),
    Attempt("lines that end in a return", lambda scene, sql: send(
        scene, head(scene, length(call(sql)), end=b"\r") + call(sql), cut=True), 0),
    Attempt("a header folded", head_with(b"content-length: ", b"content-length:\r\n ")),
    Attempt("a blank before the colon", head_with(b"content-length:", b"content-length :"), 400),
    Attempt("a length with an underscore", head_with(b"content-length:", b"content_length:"), 400),
    Attempt("a NUL in a header", head_with(b"host: gateway", b"host: gate\0way"), 400),
    Attempt("two hosts", head_with(b"host: gateway", b"host: gateway\r\nhost: other")),
    Attempt("the request a few bytes at a time", head_byte_by_byte),
    Attempt("WebSocket", upgrade(
        (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")), 403),
    Attempt("an upgrade to something else", upgrade((b"upgrade", b"anything")), 403),
    Attempt("an upgrade to HTTP/2", upgrade(
        (b"upgrade", b"h2c"), (b"http2-settings", b"AAMAAABkAAQAAP__"))),
    Attempt("CONNECT", on_line(b"CONNECT gateway:80 HTTP/1.1"), 400),
]  # fmt: skip


def over_http2(frames, *more: Header, trailers=None, **pseudo: bytes):
    def make(scene: Scene, sql: str) -> bytes:
        link = Http2(scene)
        return link.request(frames(call(sql)), *more, trailers=trailers, **pseudo).told()

    return make


def whole(body: bytes) -> list[bytes]:
    return [body]


def two_streams(scene: Scene, sql: str) -> bytes:
    """A harmless call and the other in frames that alternate."""
    link = Http2(scene)
    bodies = {1: pieces(call("SELECT 1"), 5), 3: pieces(call(sql), 5)}
    for stream in bodies:
        link.link.send_headers(stream, link.headers())
    for at in range(max(map(len, bodies.values()))):
        for stream, frames in bodies.items():
            if at < len(frames):
                link.link.send_data(stream, frames[at])
    for stream in bodies:
        link.link.end_stream(stream)
    return link.told(streams=2)


def trailers_then_more(scene: Scene, sql: str) -> bytes:
    """A harmless request whose trailers are followed by frames that the stream has no more room
    for."""
    link = Http2(scene).request([b""], trailers=[(b"x-trailer", b"1")])
    sent = link.link.data_to_send()
    frame = len(call(sql)).to_bytes(3, "big") + b"\0\1" + (1).to_bytes(4, "big") + call(sql)
    link.link.data_to_send = lambda: sent + frame  # type: ignore[method-assign]
    return link.told()


def padded(scene: Scene, sql: str) -> bytes:
    link = Http2(scene)
    link.link.send_headers(1, link.headers())
    for frame in pieces(call(sql), 9):
        link.link.send_data(1, frame, pad_length=200)
    link.link.end_stream(1)
    return link.told()


TRAILER = [(b"x-trailer", b"1")]
H2 = [
    Attempt("h2, every byte a frame", over_http2(pieces)),
    Attempt("h2, empty frames between", over_http2(
        lambda body: [p for piece in pieces(body, 9) for p in (piece, b"")])),
    Attempt("h2, padded frames", padded),
    Attempt("h2, trailers", over_http2(whole, trailers=TRAILER)),
    Attempt("h2, every byte a frame, then trailers", over_http2(pieces, trailers=TRAILER)),
    Attempt("h2, a path in the trailers", over_http2(whole, trailers=[(b":path", b"/health")]), 0),
    Attempt("h2, a body after the trailers", trailers_then_more, 0),
    Attempt("h2, two streams at once", two_streams, along=1),
    Attempt("h2, a path twice", over_http2(whole, (b":path", b"/health")), 0),
    Attempt("h2, a second method", over_http2(whole, (b":method", b"GET")), 0),
    Attempt("h2, no path", over_http2(whole, path=b""), 0),
    Attempt("h2, a path without its slash", over_http2(whole, path=b"mcp"), 0),
    Attempt("h2, an absolute path", over_http2(whole, path=b"http://gateway/mcp"), 0),
    Attempt("h2, a path with a line in it", over_http2(whole, path=b"/health HTTP/1.1\r\nx: /mcp"), 0),
    Attempt("h2, CONNECT", over_http2(whole, method=b"CONNECT"), 0),
    Attempt("h2, WebSocket", over_http2(whole, method=b"CONNECT", protocol=b"websocket"), 0),
    Attempt("h2, chunked", over_http2(whole, CHUNKED), 0),
    Attempt("h2, a connection header", over_http2(whole, (b"connection", b"authorization")), 0),
    Attempt("h2, a length that is wrong", over_http2(whole, (b"content-length", b"5")), 0),
    Attempt("h2, a header name in capitals", over_http2(whole, (b"Content-Encoding", b"gzip")), 0),
    Attempt("h2, a header with a line in it", over_http2(
        whole, (b"x-a", b"1\r\ntransfer-encoding: chunked")), 0),
    Attempt("h2, a host that differs", over_http2(whole, (b"host", b"elsewhere"))),
    Attempt("h2, another scheme", over_http2(whole, scheme=b"file")),
    Attempt("h2, GET with a body", over_http2(whole, method=b"GET"), 400),
]  # fmt: skip


@pytest.mark.parametrize("attempt", H1 + H2, ids=lambda attempt: attempt.name)
def test_no_framing_hides_a_call(scene: Scene, attempt: Attempt):
    attempt.check(scene)


def test_no_cut_into_two_chunks_hides_a_call(scene: Scene):
    for at in range(1, len(call(EVIL))):
        told = two_chunks(scene, EVIL, at)
        assert b"isError" in told and not scene.upstream.received, at
    two_chunks(scene, SAFE, 40)
    assert len(scene.upstream.received) == 1
