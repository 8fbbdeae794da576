"""What a tool answers is masked, stopped or flagged as the organisation has set, on every way."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gateway import SAFE_SQL, Gateway, chunked
from processes import wait_until
from rest import Answer
from scripted import JSON, OK, Upstream, answer, scripted_tool
from test_audit import event
from test_risk import SECONDS_MAX, put_settings

SSN = "219-09-9999"
KEY = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
MASK = "[redacted]"
# Spelt as no serialiser of ours would, so that what is untouched can be told. A sign right behind a
# value goes with it.
SAID = (
    ' {"z" : 1.50, "big":[12345678901234567890],\r\n'
    f'  "note":"SSN \\u0032{SSN[1:]}.", "key": "{KEY}" }}\n'
)
MASKED = SAID.replace(f"\\u0032{SSN[1:]}.", MASK).replace(KEY, MASK)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Upstream]]:
    with scripted_tool(tmp_path_factory.mktemp("inspection")) as pair:
        yield pair


def handle(gateway: Gateway, upstream: Upstream, **actions: str) -> None:
    """Sets what is done by kind and returns when the gateway does it."""
    put_settings(gateway, responses=[{"kind": k, "action": a} for k, a in actions.items()])
    stopped = (False, False)
    wanted = {"redact": (True, True), "flag": (True, False), "block": stopped, "": stopped}
    upstream.answer = answer(json.dumps([SSN]).encode())

    def is_done() -> bool:
        proxied = gateway.proxy(SAFE_SQL).json
        got = (proxied["allowed"], proxied["tool_response"] == [MASK])
        is_set = "flagged" in str(proxied["session_flags"]) or actions.get("pii") != "flag"
        return got == wanted[actions.get("pii", "")] and is_set

    assert wait_until(is_done, SECONDS_MAX)


def says(upstream: Upstream, body: bytes, head: bytes = OK + JSON) -> None:
    upstream.answer = answer(body, head + b'etag: "abc"\r\ncontent-digest: sha-256=:x:\r\n')


def told(got: Answer) -> str:
    return got.body.decode()


def over_mcp(gateway: Gateway) -> Answer:
    got = gateway.mcp(SAFE_SQL)
    assert int(got.headers["content-length"]) == len(got.body)
    return got


def test_where_nothing_is_set_what_passes_is_what_the_tool_said(tool: tuple[Gateway, Upstream]):
    gateway, upstream = tool
    handle(gateway, upstream)
    harmless = SAID.replace(KEY, "none").replace("\\u0032" + SSN[1:], "none").encode()
    says(upstream, harmless)
    got = over_mcp(gateway)
    assert (got.body, got.headers["etag"]) == (harmless, '"abc"')
    assert gateway.proxy(SAFE_SQL).json["tool_response"] == json.loads(harmless)
    says(upstream, SAID.encode())
    assert SSN[1:] not in told(over_mcp(gateway))


def test_what_was_found_is_masked_and_nothing_else_changes(tool: tuple[Gateway, Upstream]):
    gateway, upstream = tool
    handle(gateway, upstream, pii="redact", secret="redact")
    says(upstream, SAID.encode(), OK + b"content-type: application/json; charset=utf-8\r\n")
    got = over_mcp(gateway)
    assert (got.status, told(got)) == (200, MASKED)
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert not {"etag", "content-digest"} & got.headers.keys(), "of what was there before"
    proxied = gateway.proxy(SAFE_SQL).json
    assert (proxied["allowed"], proxied["action"]) == (True, "flag")
    assert proxied["tool_response"] == json.loads(MASKED)
    assert {"redacted:pii-us-ssn", "redacted:secret-github-token"} <= set(proxied["session_flags"])
    remembered = event(gateway, proxied["request_id"])
    assert SSN[1:] not in str(remembered) and KEY not in str(remembered)
    assert "us_ssn" in str(remembered) and not remembered["blocked"]


def test_a_chunked_answer_and_events_are_masked_too(tool: tuple[Gateway, Upstream]):
    gateway, upstream = tool
    handle(gateway, upstream, pii="redact", secret="redact")
    parts = chunked(*(SAID[i : i + 7].encode() for i in range(0, len(SAID), 7)))
    chunks = b"transfer-encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\n\r\n"
    upstream.answer = OK + JSON + chunks
    assert told(gateway.mcp(SAFE_SQL)) == MASKED
    said = json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"text": f"SSN {SSN}!"}]}})
    events = f"event: message\ndata: {said}\n\n".encode()
    parts = chunked(*(events[i : i + 7] for i in range(0, len(events), 7)))
    head = OK + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    upstream.answer = head + b"".join(parts) + b"0\r\n\r\n"
    assert told(gateway.mcp(SAFE_SQL)) == events.decode().replace(f"{SSN}!", MASK)


def test_each_kind_has_its_own_action(tool: tuple[Gateway, Upstream]):
    gateway, upstream = tool
    handle(gateway, upstream, pii="flag", secret="redact")
    says(upstream, SAID.encode())
    assert told(over_mcp(gateway)) == SAID.replace(KEY, MASK)
    handle(gateway, upstream, pii="flag", secret="flag")
    says(upstream, SAID.encode())
    assert told(over_mcp(gateway)) == SAID
    proxied = gateway.proxy(SAFE_SQL).json
    assert (proxied["action"], proxied["tool_response"]) == ("flag", json.loads(SAID))
    assert "flagged:pii-us-ssn" in proxied["session_flags"]
    handle(gateway, upstream, pii="block", secret="flag")
    says(upstream, SAID.encode())
    assert over_mcp(gateway).json["result"]["isError"] is True
    proxied = gateway.proxy(SAFE_SQL).json
    assert (proxied["allowed"], proxied["tool_response"]) == (False, None)
    assert SSN[1:] not in str(proxied) and KEY not in str(proxied)


def test_an_answer_that_is_packed_is_never_passed_unmasked(tool: tuple[Gateway, Upstream]):
    gateway, upstream = tool
    handle(gateway, upstream, pii="redact", secret="redact")
    packed = gzip.compress(SAID.encode())
    says(upstream, packed, OK + JSON + b"content-encoding: gzip\r\n")
    got = gateway.mcp(SAFE_SQL)
    assert packed[20:40] not in got.body and SSN[1:] not in told(got)
    assert gateway.proxy(SAFE_SQL).json["tool_response"] is None


def test_what_cannot_be_set_is_refused_with_its_name(tool: tuple[Gateway, Upstream]):
    gateway, _ = tool

    def refused(*entries: dict[str, Any]) -> str:
        body = {"block_at": 0.7, "flag_at": 0.4, "responses": entries}
        got = gateway.admin("PUT", "/v1/settings", body)
        assert got.status in (400, 422), got.body
        return told(got)

    pii = {"kind": "pii", "action": "redact"}
    assert "only `pii` and `secret`" in refused({**pii, "kind": "poisoned"})
    assert "names the same" in refused(pii, {**pii, "action": "flag"})
    assert "nothing.there" in refused({**pii, "tool": "nothing.there"})
    assert "action" in refused({**pii, "action": "mask"})
