"""Asks a local service over HTTP and reads its JSON, and signs the JWTs that agents present.

Only the standard library, and never a proxy from the environment: everything asked is on loopback.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the headers in lower case, and the body as bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)


def ask(
    method: str,
    url: str,
    body: Any = None,
    *,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    timeout_seconds: float = 10.0,
) -> Answer:
    """Sends one request, `body` as JSON unless it is bytes. Raises OSError without an answer."""
    parts = urlsplit(url)
    send = {"accept": "application/json", **(headers or {})}
    if key:
        send["authorization"] = f"Bearer {key}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        send.setdefault("content-type", "application/json")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_seconds)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, send)
        response = connection.getresponse()
        got = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, got, response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()


def agent_jwt(agent_id: str, secret: str, *, issuer: str, ttl_seconds: int = 3600) -> str:
    """A JWT as the SDKs sign it (RFC 7519, HS256).

    A secret that starts with `ags_` is hashed first: the control plane keeps only that hash.
    """
    key = hashlib.sha256(secret.encode()).hexdigest() if secret.startswith("ags_") else secret
    now = int(time.time())
    claims = {"sub": agent_id, "iss": issuer, "iat": now, "exp": now + ttl_seconds}
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    signature = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(signature)}"


def _segment(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
