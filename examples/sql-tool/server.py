#!/usr/bin/env python3
"""A tool service that runs SQL for agents, and trusts a call only after asking Clampd about it.

    CLAMPD_TOOL_KEY=… CLAMPD_URL=http://127.0.0.1:3001 server.py --listen 127.0.0.1:9001

Only Python's standard library. What a tool of your own should take over is `Gate`: it asks the
control plane about the micro-token of the call, and compares what the token was made for with what
is about to be done.

    POST /query   {"sql": "SELECT …"}        the call's parameters as the body
    POST /mcp     tools/call database.query  the same tool over MCP (streamable HTTP)
    GET  /health  whether it is up
    GET  /seen    what has reached it, for tests: even a request of headers alone is counted
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import signal
import sqlite3
import sys
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOOL = "database.query"
SCOPE = "db:read"
DESCRIPTOR = {
    "name": TOOL,
    "description": "Runs one SQL query over the users database and returns its rows.",
    "inputSchema": {
        "type": "object",
        "properties": {"sql": {"type": "string", "description": "One SELECT statement."}},
        "required": ["sql"],
        "additionalProperties": False,
    },
}
MCP_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
BODY_BYTES_MAX = 1 << 20
ROWS_MAX = 1_000
INTROSPECTION_SECONDS_MAX = 5


class Refused(Exception):
    """A call that is not carried out: the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Gate:
    """Decides whether a call may be carried out, by its micro-token."""

    def __init__(self, clampd_url: str, tool_key: str) -> None:
        self._clampd = urlsplit(clampd_url)
        self._tool_key = tool_key

    def admit(self, headers: Message, tool: str, params: Any) -> None:
        """Returns when the call may go on. Raises Refused when not."""
        # Where a service has a use of its own for `Authorization`, the token comes beside it.
        token = headers.get("x-clampd-token", "")
        if not token:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise Refused(401, "a micro-token is required")
        # 1. Is the token genuine, fresh, unused and meant for this service, and its agent not
        #    killed? Asking uses it up, so ask once per call and right before acting.
        said = self._introspect(token)
        if not said.get("active"):
            raise Refused(403, f"token rejected: {said.get('reason')}")
        # 2. Does it grant what this tool does?
        if SCOPE not in said.get("scope", "").split():
            raise Refused(403, f"insufficient scope: {SCOPE} is required")
        # 3. Was it made for this tool as it is described today, and for exactly this call?
        if said.get("tool_binding") != digest(DESCRIPTOR):
            raise Refused(403, "token was made for another description of this tool")
        if said.get("call_binding") != digest({"tool": tool, "params": params}):
            raise Refused(403, "token was made for another call")

    def _introspect(self, token: str) -> dict[str, Any]:
        host, port = self._clampd.hostname or "127.0.0.1", self._clampd.port
        connection = http.client.HTTPConnection(host, port, timeout=INTROSPECTION_SECONDS_MAX)
        headers = {
            "authorization": f"Bearer {self._tool_key}",
            "content-type": "application/json",
        }
        try:
            connection.request("POST", "/v1/introspect", json.dumps({"token": token}), headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Refused(503, f"the control plane answers {answer.status} to introspection")
            return json.loads(answer.read())
        # Nobody to ask is no reason to go on.
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Refused(503, "the control plane cannot be asked") from error
        finally:
            connection.close()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON: keys sorted, no spaces, non-ASCII as it is."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Users:
    """The database: one SQLite file with a table of users."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with sqlite3.connect(path) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, email TEXT)"
            )
            if database.execute("SELECT count(*) FROM users").fetchone() == (0,):
                people = [
                    (name, f"{name.lower()}@example.com") for name in ("Ada", "Grace", "Alan")
                ]
                database.executemany("INSERT INTO users (name, email) VALUES (?, ?)", people)
        database.close()

    def query(self, sql: str) -> dict[str, Any]:
        """Runs one statement, read-only whatever the statement says."""
        database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            cursor = database.execute(sql)
            columns = [column[0] for column in cursor.description or ()]
            return {"columns": columns, "rows": [list(row) for row in cursor.fetchmany(ROWS_MAX)]}
        except sqlite3.Error as error:
            raise Refused(400, f"the database refuses: {error}") from error
        finally:
            database.close()


class Seen:
    """Counts what reaches the service."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[dict[str, Any]] = []
        self._executed = 0

    def note_request(self, line: str, headers: list[str]) -> None:
        with self._lock:
            self._requests.append({"line": line, "headers": headers})

    def note_executed(self) -> None:
        with self._lock:
            self._executed += 1

    def report(self) -> dict[str, Any]:
        with self._lock:
            last = self._requests[-20:]
            return {"requests": len(self._requests), "executed": self._executed, "last": last}


class Handler(BaseHTTPRequestHandler):
    """Reads requests, asks the gate, answers."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    # An answer leaves in one piece: head and body apart would wait for each other.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: SqlTool

    def parse_request(self) -> bool:
        """Counts a request as soon as its headers are there, whatever comes of it."""
        understood = super().parse_request()
        if not understood or self.path not in ("/seen", "/health"):
            names = [name.lower() for name in self.headers] if understood else []
            self.server.seen.note_request(self.requestline[:200], names)
        return understood

    def do_GET(self) -> None:
        match self.path:
            case "/health":
                self._reply(200, {"status": "ok"})
            case "/seen":
                self._reply(200, self.server.seen.report())
            case "/mcp":
                # This server starts no conversation, so there is no stream to listen to.
                self._reply(405, {"error": "use POST"})
            case _:
                self._reply(404, {"error": "not found"})

    def do_POST(self) -> None:
        try:
            body = json.loads(self._read_body())
        except ValueError:
            self._reply(400, {"error": "the body is no JSON"})
            return
        except Refused as refused:
            self.close_connection = True
            self._reply(refused.status, {"error": refused.reason})
            return
        match self.path:
            case "/query":
                self._query(body)
            case "/mcp":
                self._mcp(body)
            case _:
                self._reply(404, {"error": "not found"})

    def _query(self, params: Any) -> None:
        try:
            self._reply(200, self._carry_out(TOOL, params))
        except Refused as refused:
            self._reply(refused.status, {"error": refused.reason})

    def _carry_out(self, tool: str, params: Any) -> dict[str, Any]:
        self.server.gate.admit(self.headers, tool, params)
        if tool != TOOL or not isinstance(params, dict) or not isinstance(params.get("sql"), str):
            raise Refused(400, f'{TOOL} wants {{"sql": "…"}}')
        self.server.seen.note_executed()
        return self.server.users.query(params["sql"])

    def _mcp(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self._reply(400, rpc_error(None, -32600, "one JSON-RPC request is wanted"))
            return
        if "id" not in message:
            self._reply(202, None)
            return
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        match message["method"]:
            case "initialize":
                asked = params.get("protocolVersion")
                result = {
                    "protocolVersion": asked if asked in MCP_VERSIONS else MCP_VERSIONS[0],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "sql-tool", "version": "1.0.0"},
                }
            case "ping":
                result = {}
            case "tools/list":
                result = {"tools": [DESCRIPTOR]}
            case "tools/call":
                self._mcp_call(message["id"], params)
                return
            case _:
                self._reply(200, rpc_error(message["id"], -32601, "method not found"))
                return
        self._reply(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _mcp_call(self, request_id: Any, params: dict[str, Any]) -> None:
        try:
            rows = self._carry_out(str(params.get("name")), params.get("arguments"))
            result = {"structuredContent": rows, "isError": False}
            result["content"] = [{"type": "text", "text": json.dumps(rows)}]
        except Refused as refused:
            if refused.status != 400:
                self._reply(refused.status, rpc_error(request_id, -32001, refused.reason))
                return
            # The agent can mend its arguments, so the model gets to read what is wrong.
            result = {"isError": True, "content": [{"type": "text", "text": refused.reason}]}
        self._reply(200, {"jsonrpc": "2.0", "id": request_id, "result": result})

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        length = self.headers.get("content-length", "0")
        if not length.isdecimal():
            raise Refused(400, "content-length is no number")
        if int(length) > BODY_BYTES_MAX:
            raise Refused(413, "the body is too large")
        return self.rfile.read(int(length))

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline(32).split(b";")[0], 16):
            if len(body) + size > BODY_BYTES_MAX:
                raise Refused(413, "the body is too large")
            body += self.rfile.read(size)
            self.rfile.readline(4)
        while self.rfile.readline(8192) not in (b"\r\n", b"\n", b""):
            pass
        return bytes(body)

    def _reply(self, status: int, value: Any) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        if body:
            self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        print(f"sql-tool: {format % arguments}", file=sys.stderr, flush=True)


def rpc_error(request_id: Any, code: int, message: str) -> dict[str, Any]:
    """A JSON-RPC 2.0 error."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


class SqlTool(ThreadingHTTPServer):
    """The service: one thread a connection."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], gate: Gate, users: Users) -> None:
        super().__init__(address, Handler)
        self.gate = gate
        self.users = users
        self.seen = Seen()


def main() -> int:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description="An example tool that runs SQL for agents.")
    parser.add_argument("--listen", default="127.0.0.1:9001", help="address:port (%(default)s)")
    parser.add_argument("--database", type=Path, default=Path("users.sqlite"), help="SQLite file")
    arguments = parser.parse_args()
    tool_key = os.environ.get("CLAMPD_TOOL_KEY")
    if not tool_key:
        parser.error("CLAMPD_TOOL_KEY must hold a key of role tool")
    host, _, port = arguments.listen.rpartition(":")
    gate = Gate(os.environ.get("CLAMPD_URL", "http://127.0.0.1:3001"), tool_key)
    server = SqlTool((host, int(port)), gate, Users(arguments.database))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
