"""A server in place of the models' APIs: it says what a test wants said, in the shape of the API
that was asked, whole or streamed, and remembers what reached it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Call = tuple[str, Any]
# A stream goes out in pieces of this many bytes: no piece ends where an event does, save by chance.
PIECE_BYTES = 37


@dataclass(frozen=True)
class Asked:
    """A request that reached the model."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Model:
    """The server; it listens until it is stopped."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    # What is answered instead, as status, kind and body.
    raw: tuple[int, str, bytes] | None = None
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def begin(self, text: str = "", calls: list[Call] | None = None) -> None:
        """Says this from now on, and forgets what was asked."""
        self.text, self.calls, self.raw = text, calls or [], None
        self.asked.clear()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler_of(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def do_POST(self) -> None:
            body = self._body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            model.asked.append(Asked(self.path, headers, body))
            if model.raw:
                return self._whole(*model.raw)
            whole, streamed, ask = _shape(self.path)
            if self.path.partition("?")[0].endswith(":streamGenerateContent") or (
                ask and json.loads(body).get("stream")
            ):
                return self._stream(streamed(model))
            return self._whole(200, "application/json", json.dumps(whole(model)).encode())

        do_GET = do_POST

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _whole(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, events: Iterator[dict[str, Any] | str]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            told = b"".join(_written(event) for event in events)
            for at in range(0, len(told), PIECE_BYTES):
                piece = told[at : at + PIECE_BYTES]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    return Handler


def stream_of(path: str, said: Any) -> bytes:
    """The stream by which the API at a path would tell what `said` has as its text and calls."""
    _, streamed, _ = _shape(path)
    return b"".join(_written(event) for event in streamed(said))


def _written(event: dict[str, Any] | str) -> bytes:
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def _pieces(text: str) -> list[str]:
    return [text[at : at + 9] for at in range(0, len(text), 9)]


def _chat(model: Model) -> dict[str, Any]:
    calls = [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": tool, "arguments": json.dumps(arguments)},
        }
        for n, (tool, arguments) in enumerate(model.calls)
    ]
    message = {"role": "assistant", "content": model.text or None}
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if calls else "stop",
        "logprobs": None,
    }
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return _chat_head("chat.completion") | {"choices": [choice], "usage": usage}


def _chat_head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "m"}


def _chat_stream(model: Model) -> Iterator[dict[str, Any] | str]:
    def event(delta: dict[str, Any], end: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": end, "logprobs": None}
        return _chat_head("chat.completion.chunk") | {"choices": [choice]}

    yield event({"role": "assistant", "content": ""})
    for piece in _pieces(model.text):
        yield event({"content": piece})
    for n, (tool, arguments) in enumerate(model.calls):
        begin = {"index": n, "id": f"call_{n}", "type": "function"}
        yield event({"tool_calls": [begin | {"function": {"name": tool, "arguments": ""}}]})
        for piece in _pieces(json.dumps(arguments)):
            yield event({"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
    yield event({}, "tool_calls" if model.calls else "stop")
    yield "[DONE]"


def _response(model: Model, output: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _response_items(model: Model) -> Iterator[dict[str, Any]]:
    if model.text:
        part = {"type": "output_text", "text": model.text, "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        yield message | {"content": [part]}
    for n, (tool, arguments) in enumerate(model.calls):
        call = {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}"}
        yield call | {"name": tool, "arguments": json.dumps(arguments), "status": "completed"}


def _responses(model: Model) -> dict[str, Any]:
    return _response(model, list(_response_items(model)), "completed")


def _responses_stream(model: Model) -> Iterator[dict[str, Any]]:
    number = -1

    def event(kind: str, **more: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        return {"type": f"response.{kind}", "sequence_number": number} | more

    yield event("created", response=_response(model, [], "in_progress"))
    for index, item in enumerate(_response_items(model)):
        at = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            yield event("output_item.added", output_index=index, item=item | {"content": []})
            at |= {"content_index": 0}
            part = item["content"][0]
            yield event("content_part.added", part=part | {"text": ""}, **at)
            for piece in _pieces(part["text"]):
                yield event("output_text.delta", delta=piece, logprobs=[], **at)
            yield event("output_text.done", text=part["text"], logprobs=[], **at)
            yield event("content_part.done", part=part, **at)
        else:
            yield event("output_item.added", output_index=index, item=item | {"arguments": ""})
            for piece in _pieces(item["arguments"]):
                yield event("function_call_arguments.delta", delta=piece, **at)
            said = {"arguments": item["arguments"], "name": item["name"]}
            yield event("function_call_arguments.done", **said, **at)
        yield event("output_item.done", output_index=index, item=item)
    yield event("completed", response=_responses(model))


def _message(model: Model) -> dict[str, Any]:
    content = [{"type": "text", "text": model.text}] if model.text else []
    content += [
        {"type": "tool_use", "id": f"toolu_{n}", "name": tool, "input": arguments}
        for n, (tool, arguments) in enumerate(model.calls)
    ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": "tool_use" if model.calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _message_stream(model: Model) -> Iterator[dict[str, Any]]:
    whole = _message(model)
    yield {"type": "message_start", "message": whole | {"content": [], "stop_reason": None}}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        at = {"index": index}
        if block["type"] == "text":
            begin, kind, key, told = block | {"text": ""}, "text_delta", "text", block["text"]
        else:
            begin, kind, key = block | {"input": {}}, "input_json_delta", "partial_json"
            told = json.dumps(block["input"])
        yield {"type": "content_block_start", "content_block": begin} | at
        for piece in _pieces(told):
            yield {"type": "content_block_delta", "delta": {"type": kind, key: piece}} | at
        yield {"type": "content_block_stop"} | at
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def _candidate(parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}} | more]}


def _gemini_parts(model: Model) -> Iterator[dict[str, Any]]:
    yield from ({"text": piece} for piece in _pieces(model.text))
    for tool, arguments in model.calls:
        yield {"functionCall": {"name": tool, "args": arguments}}


def _gemini(model: Model) -> dict[str, Any]:
    return _candidate(list(_gemini_parts(model)), finishReason="STOP")


def _gemini_stream(model: Model) -> Iterator[dict[str, Any]]:
    for part in _gemini_parts(model):
        yield _candidate([part])
    yield _candidate([{"text": ""}], finishReason="STOP")


def _shape(path: str) -> tuple[Any, Any, bool]:
    """How the API at a path says it whole, how streamed, and whether the body asks for which."""
    path = path.partition("?")[0]
    if path.endswith("/chat/completions"):
        return _chat, _chat_stream, True
    if path.endswith("/responses"):
        return _responses, _responses_stream, True
    if path.endswith("/messages"):
        return _message, _message_stream, True
    return _gemini, _gemini_stream, False
