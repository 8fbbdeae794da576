"""A small mesh on loopback: an agent's sidecar, a tool's, the control plane's, with mutual TLS.

The sidecars are real Envoys; what istiod would send them is `sidecar.yaml` with the EnvoyFilters
of `istio/` laid upon it. The pods are the example tool, the control plane and whoever calls. The
module comes over HTTP, with its digest, as a mesh's proxies get it.
"""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from agent import handed_over
from certificates import Authority, Credentials, spiffe_id
from fetch import envoy_path
from manifests import envoy_filter
from merge import Json, Merged, find
from processes import free_ports
from rest import Answer, agent_jwt, ask
from stack import FILTER_WASM, ROOT, Ports, Stack, require_built

SIDECAR: Json = yaml.safe_load(Path(__file__).with_name("sidecar.yaml").read_text())
SCOUT = spiffe_id("agents", "scout")
SQL_TOOL = spiffe_id("agents", "sql-tool")
CONTROL_PLANE = spiffe_id("clampd-system", "clampd-control-plane")
TOOL_CLUSTER = "outbound|8000||tool.agents.svc.cluster.local"
SAFE_SQL = "SELECT name FROM users"
EVIL_SQL = "DROP TABLE users"
SECONDS_MAX = 10.0


class ModuleServer:
    """Serves the module over HTTP."""

    def __init__(self, module: bytes) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                there = self.path == "/filter.wasm"
                self.send_response(200 if there else 404)
                self.send_header("content-length", str(len(module) if there else 0))
                self.end_headers()
                self.wfile.write(module if there else b"")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.digest = hashlib.sha256(module).hexdigest()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Sidecar:
    """A sidecar that runs, or tries to."""

    def __init__(self, name: str, merged: Merged, ports: dict[str, int], directory: Path) -> None:
        self.name = name
        self.merged = merged
        self.ports = ports
        self.directory = directory

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['admin']}"

    def stat(self, name: str) -> int:
        """The value of one of Envoy's statistics; 0 before it is there or can be had."""
        url = f"{self.admin_url}/stats?filter={quote(f'^{name}$')}"
        try:
            text = ask("GET", url).body.decode()
        except OSError:
            # Its main thread also compiles modules.
            return 0
        values = [int(line.rpartition(": ")[2]) for line in text.splitlines() if ": " in line]
        return sum(values)

    def is_live(self) -> bool:
        return self._ready_status() == 200

    def answers_admin(self) -> bool:
        """Whether it has begun, though a listener may still wait."""
        return self._ready_status() is not None

    @property
    def extensions(self) -> Path:
        """The file that it reads its extension configs from."""
        return self.directory / "extensions.json"

    def _ready_status(self) -> int | None:
        try:
            return ask("GET", f"{self.admin_url}/ready").status
        except OSError:
            return None


class Mesh:
    """The pods and their sidecars."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.stack = Stack(run_dir, Ports.free())
        self.authority = Authority()
        self.strangers = Authority("another root")
        self.modules = ModuleServer(FILTER_WASM.read_bytes())
        self.secrets: dict[str, str] = {}
        self.control_plane: Sidecar
        self.tool: Sidecar
        self.agent: Sidecar

    def up(self) -> None:
        """Starts everything. On failure nothing is left."""
        require_built()
        try:
            self.stack.clear()
            self.stack.initialise()
            self.stack.start_control_plane()
            agents = self.stack.seed_identities()
            self.secrets = {agent["id"]: agent["secret"] for agent in agents}
            self.stack.start_tool()
            self.stack.seed_tools()
            self.control_plane = self.sidecar("control-plane", CONTROL_PLANE, [])
            self.tool = self.sidecar("tool", SQL_TOOL, [self.manifest("inbound")])
            self.agent = self.sidecar("agent", SCOUT, [self.manifest("outbound")])
            for one in (self.control_plane, self.tool, self.agent):
                self.wait_live(one)
            self.stack.processes.wait_ready("sidecar-tool", self.tool_is_guarded, 60)
            self.stack.processes.wait_ready("sidecar-agent", self.agent_is_guarded, 60)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        self.stack.processes.stop_all()
        self.modules.close()

    def manifest(self, context: str) -> Json:
        """The EnvoyFilter as an operator applies it: with the module's own place and digest."""
        manifest = envoy_filter(context)
        (remote,) = find(manifest, "remote")
        remote["sha256"] = self.modules.digest
        remote["http_uri"] |= {
            "uri": f"http://127.0.0.1:{self.modules.port}/filter.wasm",
            "cluster": "module_server",
        }
        return manifest

    def sidecar(
        self, name: str, identity: str, filters: list[Json], *, fetched_by: str = "agent"
    ) -> Sidecar:
        """Starts a sidecar with the identity and does not wait."""
        merged = Merged(SIDECAR, filters)
        directory = self.run_dir / f"sidecar-{name}"
        if fetched_by == "agent":
            for extension, config in merged.extensions.items():
                merged.extensions[extension] = handed_over(config, directory)
        merged.clusters.append(static_cluster("module_server", self.modules.port))
        names = ["admin", "virtualInbound"]
        names += ["0.0.0.0_8000", "0.0.0.0_8001"] if name == "agent" else []
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        stack = self.stack.ports
        ports["inbound|8000||"] = stack.control_plane if name == "control-plane" else stack.tool
        if name != "control-plane":
            ports["clampd_control_plane"] = self.control_plane.ports["virtualInbound"]
        if name == "agent":
            ports[TOOL_CLUSTER] = self.tool.ports["virtualInbound"]
        credentials = self.issue(identity, name)
        sidecar = Sidecar(name, merged, ports, directory)
        config = merged.write(directory, ports, credentials.directory)
        command = [str(envoy_path()), "--config-path", str(config), "--disable-hot-restart"]
        command += ["--concurrency", "1", "--log-level", "warning"]
        keys = {
            "CLAMPD_PROXY_KEY": self.stack.identity["proxy_key"],
            "CLAMPD_TRUST_ROOT": self.stack.identity["trust_root"],
        }
        self.stack.processes.start(f"sidecar-{name}", command, keys, ROOT)
        return sidecar

    def stop(self, sidecar: Sidecar) -> None:
        self.stack.processes.stop(f"sidecar-{sidecar.name}")

    def wait_live(self, sidecar: Sidecar) -> None:
        self.stack.processes.wait_ready(f"sidecar-{sidecar.name}", sidecar.is_live, 60)

    def issue(self, uri: str, name: str, authority: Authority | None = None) -> Credentials:
        """A certificate for the workload."""
        number = len(list(self.run_dir.glob("credentials-*")))
        directory = self.run_dir / f"credentials-{number}-{name}"
        return (authority or self.authority).issue(uri, directory)

    def call(
        self,
        credentials: Credentials | None,
        sql: str = SAFE_SQL,
        *,
        tool: str = "database.query",
        headers: dict[str, str] | None = None,
        sidecar: Sidecar | None = None,
    ) -> Answer:
        """Calls the tool over MCP as a workload with the credentials: straight at its sidecar.

        Raises OSError when TLS does not come about.
        """
        port = (sidecar or self.tool).ports["virtualInbound"]
        if credentials is None:
            url = f"http://127.0.0.1:{port}/mcp"
            return ask("POST", url, tools_call(tool, sql), headers=headers)
        context = credentials.client_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=SECONDS_MAX, context=context
        )
        send = {"content-type": "application/json", **(headers or {})}
        try:
            connection.request("POST", "/mcp", json.dumps(tools_call(tool, sql)), send)
            answer = connection.getresponse()
            got = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, got, answer.read())
        finally:
            connection.close()

    def call_through_own_sidecar(
        self, sql: str = SAFE_SQL, *, port: int = 8000, headers: dict[str, str] | None = None
    ) -> Answer:
        """Calls the tool's service as the agent's pod does: in plain text, through its sidecar."""
        url = f"http://127.0.0.1:{self.agent.ports[f'0.0.0.0_{port}']}/mcp"
        return ask("POST", url, tools_call("database.query", sql), headers=headers)

    def token(self, agent: str) -> dict[str, str]:
        """The header with the agent's JWT."""
        jwt = agent_jwt(agent, self.secrets[agent], issuer="mesh")
        return {"x-ag-agent-token": f"Bearer {jwt}"}

    def tool_seen(self) -> dict[str, Any]:
        """What has reached the tool."""
        return ask("GET", f"{self.stack.tool_url}/seen").json

    def tool_is_guarded(self) -> bool:
        return self.answers(lambda: self.call(self.issue(SCOUT, "probe")))

    def agent_is_guarded(self) -> bool:
        token = self.token("demo-scout")
        return self.answers(lambda: self.call_through_own_sidecar(headers=token))

    @classmethod
    def answers(cls, call: Callable[[], Answer]) -> bool:
        """Whether the call is answered well."""
        answer = cls.reached(call)
        return answer is not None and answer.status == 200

    @staticmethod
    def reached(call: Callable[[], Answer]) -> Answer | None:
        """What the call is answered, if anybody answers."""
        try:
            return call()
        except (OSError, http.client.HTTPException):
            return None


def tools_call(tool: str, sql: str) -> Json:
    """An MCP message."""
    params = {"name": tool, "arguments": {"sql": sql}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def outcome(answer: Answer) -> str:
    """`allowed`, or who said no: the rule or the code of the refusal."""
    try:
        body = answer.json
    except ValueError:
        return f"HTTP {answer.status}"
    if "error_code" in body:
        return body["error_code"]
    result = body.get("result", {})
    if result.get("isError") is False:
        return "allowed"
    text = result.get("content", [{}])[0].get("text", f"HTTP {answer.status}")
    return text


def static_cluster(name: str, port: int) -> Json:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }
