"""Starts services that outlive the command that started them, and stops them by their pid files.

A pid file holds the process's id and the moment it started, so that an id which the kernel has
given to somebody else in the meantime is never signalled.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

STOP_SECONDS_MAX = 10.0
POLL_SECONDS = 0.05


class StackError(Exception):
    """The stack could not do what was asked; the text says why and what to do."""


class Processes:
    """The services of one run directory: pid files in `pids/`, output in `logs/`."""

    def __init__(self, run_dir: Path) -> None:
        self.pids = run_dir / "pids"
        self.logs = run_dir / "logs"

    def log(self, name: str) -> Path:
        """Where the service writes."""
        return self.logs / f"{name}.log"

    def start(self, name: str, command: list[str], env: dict[str, str], cwd: Path) -> int:
        """Starts a service in a session of its own and gives its process id.

        It gets `PATH` and what is in `env`, nothing else: no secret of the caller's environment.
        """
        self.pids.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={"PATH": os.environ.get("PATH", os.defpath), "NO_COLOR": "1", **env},
                start_new_session=True,
            )
        (self.pids / f"{name}.pid").write_text(f"{process.pid} {_started_at(process.pid)}\n")
        return process.pid

    def running(self, name: str) -> int | None:
        """The service's process id, or None when it does not run."""
        try:
            pid_text, _, started = (self.pids / f"{name}.pid").read_text().strip().partition(" ")
        except FileNotFoundError:
            return None
        pid = int(pid_text)
        return pid if started and _started_at(pid) == started else None

    def stop(self, name: str) -> bool:
        """Asks the service to end, insists after a while, and says whether it had been running."""
        pid = self.running(name)
        if pid is not None:
            _signal(pid, signal.SIGTERM)
            if not wait_until(lambda: self.running(name) is None, STOP_SECONDS_MAX):
                _signal(pid, signal.SIGKILL)
                wait_until(lambda: self.running(name) is None, STOP_SECONDS_MAX)
        (self.pids / f"{name}.pid").unlink(missing_ok=True)
        return pid is not None

    def stop_all(self) -> list[str]:
        """Stops every service that has a pid file, the last started first, and names them."""
        files = sorted(self.pids.glob("*.pid"), key=lambda file: file.stat().st_mtime_ns)
        return [file.stem for file in reversed(files) if self.stop(file.stem)]

    def wait_ready(self, name: str, ready: Callable[[], bool], seconds_max: float) -> None:
        """Waits until `ready()`. Raises StackError with the end of the log when it never is."""

        def settled() -> bool:
            return ready() or self.running(name) is None

        if wait_until(settled, seconds_max) and self.running(name) is not None:
            return
        lines = self.log(name).read_text(errors="replace").splitlines()[-20:]
        what = "ended" if self.running(name) is None else f"is not ready after {seconds_max:g} s"
        raise StackError("\n  ".join([f"{name} {what}; the end of {self.log(name)}:", *lines]))


def wait_until(condition: Callable[[], bool], seconds_max: float) -> bool:
    """Polls until `condition()` holds; gives False when it does not within `seconds_max`."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def port_is_free(port: int) -> bool:
    """Whether a service could listen on the port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """That many different ports on which nobody listens."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _started_at(pid: int) -> str:
    """When the process started, in ticks since boot; empty when there is none or it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The name stands in brackets and may hold anything; state is field 3, start time field 22.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
