#!/usr/bin/env python3
"""Runs Clampd on this machine: control plane, example tool and Envoy with the filter.

    stack.py up | down | status | validate

`up` starts a fresh stack in `.run/`, fills it with the identities of the guides and examples,
writes `.run/stack.json` (0600) and returns, leaving it running; `down` ends it. Building is left
to make, fetching Envoy to `fetch.py`.

Environment: CLAMPD_GATEWAY_PORT, CLAMPD_CONTROL_PLANE_PORT, CLAMPD_TOOL_PORT and
CLAMPD_ENVOY_ADMIN_PORT choose ports; CLAMPD_PORTS=free takes free ones for the rest;
CLAMPD_RUN_DIR is used instead of `.run`; CLAMPD_ENVOY_CONCURRENCY sets Envoy's workers (2).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catalogue
from fetch import FetchError, envoy_path
from processes import Processes, StackError, free_ports, port_is_free
from render import filter_config, render
from rest import Answer, agent_jwt, ask

ROOT = Path(__file__).resolve().parent.parent
FILTER_WASM = ROOT / "target/wasm32-wasip1/release/filter.wasm"
CONTROL_PLANE = ROOT / "target/service/clampd-control-plane"
SQL_TOOL = ROOT / "examples/sql-tool/server.py"
ENVOY_YAML = ROOT / "envoy/envoy.yaml"
# The public key of RFC 8032 section 7.1, test 1: well-formed, so that a configuration can be
# validated where no control plane has been initialised.
SAMPLE_TRUST_ROOT = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
JWT_TTL_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Ports:
    """Where the services of one stack listen, all on loopback."""

    gateway: int
    control_plane: int
    tool: int
    envoy_admin: int

    @classmethod
    def free(cls) -> Ports:
        """Four ports on which nobody listens."""
        return cls(*free_ports(4))

    @classmethod
    def from_environment(cls) -> Ports:
        """What the environment chooses, else the defaults. Raises StackError for a busy one."""
        wanted = {"GATEWAY": 8080, "CONTROL_PLANE": 3001, "TOOL": 9001, "ENVOY_ADMIN": 9901}
        spare = free_ports(4) if os.environ.get("CLAMPD_PORTS") == "free" else []
        ports = []
        for service, default in wanted.items():
            name = f"CLAMPD_{service}_PORT"
            chosen = os.environ.get(name, "")
            if chosen and not (chosen.isdecimal() and 0 < int(chosen) < 65536):
                raise StackError(f"{name}={chosen} is no port")
            port = int(chosen) if chosen else (spare.pop() if spare else default)
            if not port_is_free(port):
                raise StackError(
                    f"port {port} of 127.0.0.1 is in use: choose another by {name}, "
                    "or let CLAMPD_PORTS=free choose"
                )
            ports.append(port)
        return cls(*ports)


class Stack:
    """One stack in one run directory."""

    def __init__(
        self,
        run_dir: Path,
        ports: Ports | None = None,
        *,
        models: str | None = None,
        mcp_port: int | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.processes = Processes(run_dir)
        self.state_file = run_dir / "stack.json"
        self.data = run_dir / "control-plane"
        self._ports = ports
        # The host that answers in place of every model's API, over plain HTTP; none for their own.
        self._models = models
        # Where the server behind `/mcp` listens; the example tool's port where none is given.
        self._mcp_port = mcp_port
        self.identity: dict[str, str] = {}
        self._tool_key = ""

    @property
    def ports(self) -> Ports:
        """Where it listens; decided when it is first asked for."""
        if self._ports is None:
            self._ports = Ports.from_environment()
        return self._ports

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def control_plane_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.control_plane}"

    @property
    def tool_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.tool}"

    @property
    def envoy_admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.envoy_admin}"

    def up(self) -> dict[str, Any]:
        """Starts a fresh stack and gives what `stack.json` holds. On failure nothing is left."""
        require_built()
        envoy = envoy_path()
        ports = self.ports
        self.down()
        self.clear()
        try:
            self.initialise()
            control_plane_pid = self.start_control_plane()
            agents = self.seed_identities()
            tool_pid = self.start_tool()
            self.seed_tools()
            envoy_pid = self.start_envoy(envoy)
        except BaseException:
            self.processes.stop_all()
            raise
        (payload_agent,) = (a for a in agents if a["id"] == catalogue.PAYLOAD_AGENT)
        state = {
            "gateway_url": self.gateway_url,
            "control_plane_url": self.control_plane_url,
            "tool_url": self.tool_url,
            "envoy_admin_url": self.envoy_admin_url,
            "admin_key": self.identity["admin_key"],
            "api_key": catalogue.API_KEY,
            "tool_key": self._tool_key,
            "org_id": self.identity["org_id"],
            "agents": agents,
            # Signed by nobody's SDK, so that a blocked scan is a 403: what scripts look at.
            "clampd_jwt": agent_jwt(
                payload_agent["id"],
                payload_agent["secret"],
                issuer="clampd-stack",
                ttl_seconds=JWT_TTL_SECONDS,
            ),
            "envoy_pid": envoy_pid,
            "control_plane_pid": control_plane_pid,
            "tool_pid": tool_pid,
            "ports": vars(ports),
        }
        write_private(self.state_file, json.dumps(state, indent=2) + "\n")
        return state

    def down(self) -> list[str]:
        """Stops what runs and names it. Logs and data stay until the next `up`."""
        stopped = self.processes.stop_all()
        self.state_file.unlink(missing_ok=True)
        return stopped

    def running(self) -> dict[str, Any] | None:
        """What `stack.json` holds while all its services run, else None."""
        names = ("control-plane", "sql-tool", "envoy")
        if not self.state_file.exists() or not all(map(self.processes.running, names)):
            return None
        return json.loads(self.state_file.read_text())

    def clear(self) -> None:
        """Removes what an earlier stack left in the run directory, and nothing else."""
        self.run_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
        for directory in (self.data, self.processes.pids, self.processes.logs):
            shutil.rmtree(directory, ignore_errors=True)
        for file in (self.state_file, *self.run_dir.glob("users.sqlite*")):
            file.unlink(missing_ok=True)

    def initialise(self) -> None:
        """Creates the control plane's database, its keys and the organisation."""
        command = [str(CONTROL_PLANE), "init", "--data", str(self.data)]
        command += ["--org-name", catalogue.ORG_NAME]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise StackError(f"the control plane was not initialised: {done.stderr.strip()}")
        self.identity = json.loads(done.stdout)

    def start_control_plane(self) -> int:
        """Starts the control plane and waits until it is ready."""
        command = [str(CONTROL_PLANE), "serve", "--data", str(self.data)]
        command += ["--listen", f"127.0.0.1:{self.ports.control_plane}"]
        pid = self.processes.start("control-plane", command, {}, ROOT)
        self.processes.wait_ready("control-plane", _answers(f"{self.control_plane_url}/ready"), 30)
        return pid

    def start_tool(self) -> int:
        """Starts the example tool over a new database and waits until it is ready."""
        command = [sys.executable, str(SQL_TOOL), "--listen", f"127.0.0.1:{self.ports.tool}"]
        command += ["--database", str(self.run_dir / "users.sqlite")]
        env = {"CLAMPD_URL": self.control_plane_url, "CLAMPD_TOOL_KEY": self._tool_key}
        pid = self.processes.start("sql-tool", command, env, ROOT)
        self.processes.wait_ready("sql-tool", _answers(f"{self.tool_url}/health"), 30)
        return pid

    def start_envoy(
        self, envoy: Path | None = None, *, changes: dict[str, Any] | None = None
    ) -> int:
        """Starts Envoy, its filter configured with `changes`, and waits until it serves calls."""
        pid = self.launch_envoy(envoy or envoy_path(), changes or {})
        self.processes.wait_ready("envoy", _answers(f"{self.gateway_url}/health"), 60)
        return pid

    def launch_envoy(self, envoy: Path, changes: dict[str, Any]) -> int:
        """Starts Envoy and does not wait."""
        rendered = self.run_dir / "envoy.yaml"
        rendered.write_text(self.rendered(changes))
        command = [str(envoy), "--config-path", str(rendered), "--disable-hot-restart"]
        command += ["--concurrency", os.environ.get("CLAMPD_ENVOY_CONCURRENCY", "2")]
        command += ["--log-level", "warning", "--component-log-level", "wasm:info"]
        secrets = {
            "CLAMPD_PROXY_KEY": self.identity["proxy_key"],
            "CLAMPD_TRUST_ROOT": self.identity["trust_root"],
            "CLAMPD_TOOL_KEY": self._tool_key,
        }
        return self.processes.start("envoy", command, secrets, ROOT)

    def rendered(self, changes: dict[str, Any]) -> str:
        """`envoy.yaml` with this stack's ports and the filter's configuration changed."""
        text = ENVOY_YAML.read_text()
        config = filter_config(text)
        config["control_plane"]["authority"] = f"127.0.0.1:{self.ports.control_plane}"
        config["upstreams"] = {self.tool_url: "tool_sql"}
        config |= changes
        models = {}
        if self._models:
            models = {"CLAMPD_MODELS_CLUSTER": "egress_http"} | {
                f"CLAMPD_{api}_HOST": self._models for api in ("OPENAI", "ANTHROPIC", "GEMINI")
            }
        return render(
            text,
            models
            | {
                "CLAMPD_GATEWAY_PORT": str(self.ports.gateway),
                "CLAMPD_CONTROL_PLANE_PORT": str(self.ports.control_plane),
                "CLAMPD_TOOL_PORT": str(self._mcp_port or self.ports.tool),
                "CLAMPD_ENVOY_ADMIN_PORT": str(self.ports.envoy_admin),
                "CLAMPD_FILTER_WASM": str(FILTER_WASM),
                "CLAMPD_FILTER_CONFIG": json.dumps(config),
            },
        )

    def seed_identities(self) -> list[dict[str, str]]:
        """Registers agents and keys, and gives each agent's id and secret."""
        self.admin(
            "POST", "/v1/keys", {"role": "agent", "name": "agents", "key": catalogue.API_KEY}
        )
        tool = {"role": "tool", "name": "sql-tool", "audience": self.tool_url}
        self._tool_key = self.admin("POST", "/v1/keys", tool)["key"]
        agents = []
        for agent_id, name, framework, scopes in catalogue.AGENTS:
            wanted = {"id": agent_id, "name": name, "framework": framework, "scopes": scopes}
            made = self.admin("POST", "/v1/agents", wanted)
            agents.append({"id": made["id"], "secret": made["secret"]})
        return agents

    def seed_tools(self) -> None:
        """Registers the tools; the example tool's descriptor is the one it tells over MCP."""
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        (descriptor,) = ask("POST", f"{self.tool_url}/mcp", listing).json["result"]["tools"]
        name, scope, category = catalogue.SQL_TOOL
        there = {"upstream": f"{self.tool_url}/query", "audience": self.tool_url}
        there |= {"scope": scope, "category": category, "descriptor": descriptor}
        self.admin("PUT", f"/v1/tools/{name}", there)
        for name, scope, category in catalogue.TOOLS:
            self.admin("PUT", f"/v1/tools/{name}", {"scope": scope, "category": category})

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Asks the control plane as its administrator. Raises StackError when it refuses."""
        answer = ask(method, self.control_plane_url + path, body, key=self.identity["admin_key"])
        if answer.status >= 300:
            raise StackError(
                f"{method} {path}: {answer.status} {answer.body.decode(errors='replace')}"
            )
        return answer.json if answer.body else None


def require_built() -> None:
    """Raises StackError when something that make builds is missing."""
    missing = [
        str(path.relative_to(ROOT)) for path in (FILTER_WASM, CONTROL_PLANE) if not path.exists()
    ]
    if missing:
        raise StackError(f"{' and '.join(missing)} not built yet: run `make build`")


def validate() -> None:
    """Lets Envoy load envoy.yaml, start the filter in it and configure it, without listening."""
    command = [str(envoy_path()), "--mode", "validate", "--log-level", "warning"]
    command += ["--config-path", str(ENVOY_YAML)]
    secrets = {"CLAMPD_PROXY_KEY": "ag_live_validate", "CLAMPD_TRUST_ROOT": SAMPLE_TRUST_ROOT}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | secrets, timeout=120, check=False)
    if done.returncode != 0:
        raise StackError("Envoy refuses envoy/envoy.yaml")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, from the first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _answers(url: str):
    def ready() -> bool:
        try:
            answer: Answer = ask("GET", url, timeout_seconds=2)
        except OSError:
            return False
        return answer.status == 200

    return ready


def main(arguments: list[str]) -> int:
    """Does what the one argument says."""
    stack = Stack(Path(os.environ.get("CLAMPD_RUN_DIR", ROOT / ".run")).resolve())
    try:
        match arguments:
            case ["up"]:
                if (state := stack.running()) is None:
                    state = stack.up()
                else:
                    print("already up; `make down` first for a fresh one")
                print(stack.state_file.read_text(), end="")
                print(f"the gateway is at {state['gateway_url']}; written to {stack.state_file}")
            case ["down"]:
                stopped = stack.down()
                print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
            case ["status"]:
                state = stack.running()
                print(f"up: {state['gateway_url']}" if state else "not running")
                return 0 if state else 3
            case ["validate"]:
                validate()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (StackError, FetchError) as error:
        print(f"envoy/stack.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
