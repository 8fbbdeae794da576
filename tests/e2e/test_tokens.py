"""Micro-tokens are short-lived, bound to one call and good for one use."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gateway import SAFE_SQL, Gateway
from rest import ask


def header(token: str) -> dict[str, Any]:
    return segment(token, 0)


def claims(token: str) -> dict[str, Any]:
    return segment(token, 1)


def segment(token: str, nth: int) -> dict[str, Any]:
    text = token.split(".")[nth]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def mint(gateway: Gateway) -> str:
    answer = gateway.verify(SAFE_SQL)
    assert answer.json["allowed"] is True, answer.json
    return answer.json["scope_token"]


def test_a_token_says_who_may_do_what_for_thirty_seconds(gateway: Gateway):
    said = claims(mint(gateway))
    assert said["sub"] == gateway.agent.id
    assert said["aud"] == gateway.tool_url
    assert said["scope"].split() == ["db:read"]
    assert said["exp"] - said["iat"] == 30
    assert abs(said["iat"] - time.time()) < 5
    assert len(said["ag:tool_binding"]) == 64
    call = json.dumps({"params": SAFE_SQL, "tool": "database.query"}, separators=(",", ":"))
    assert said["ag:call_binding"] == hashlib.sha256(call.encode()).hexdigest()


def test_every_token_has_an_id_of_its_own(gateway: Gateway):
    ids = {claims(mint(gateway))["jti"] for _ in range(10)}
    assert len(ids) == 10


def test_a_token_used_twice_is_rejected_by_the_tool(gateway: Gateway):
    token = mint(gateway)
    url = f"{gateway.tool_url}/query"
    assert ask("POST", url, SAFE_SQL, key=token).status == 200
    again = ask("POST", url, SAFE_SQL, key=token)
    assert (again.status, again.json) == (403, {"error": "token rejected: already_used"})


def test_of_many_introspections_at_once_one_is_active(gateway: Gateway):
    token = mint(gateway)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(gateway.introspect, [token] * 24))
    assert [answer["active"] for answer in said].count(True) == 1
    assert {answer["reason"] for answer in said if not answer["active"]} == {"already_used"}


def test_a_token_serves_only_the_call_it_was_made_for(gateway: Gateway):
    other = {"sql": "SELECT email FROM users"}
    answer = ask("POST", f"{gateway.tool_url}/query", other, key=mint(gateway))
    assert (answer.status, answer.json) == (403, {"error": "token was made for another call"})


def test_a_forged_token_is_rejected(gateway: Gateway):
    head, body, signature = mint(gateway).split(".")
    widened = claims(f"{head}.{body}.") | {"scope": "*"}
    forged = base64.urlsafe_b64encode(json.dumps(widened).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (f"{head}.{forged}.{signature}", f"{none}.{forged}.", "x.y.z", "x"):
        assert gateway.introspect(token)["active"] is False, token


def test_a_token_of_a_killed_agent_is_rejected(gateway: Gateway, new_agent):
    agent = new_agent()
    token = gateway.verify(SAFE_SQL, agent=agent).json["scope_token"]
    assert gateway.admin("POST", f"/v1/agents/{agent.id}/kill", {"reason": "test"}).status == 200
    assert gateway.introspect(token) == {"active": False, "reason": "agent_killed"}
