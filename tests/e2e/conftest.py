"""The stack that the tests run against: real, on free ports, started once, ended with the run."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "envoy"))

from gateway import Agent, Gateway  # noqa: E402
from model import Model  # noqa: E402
from processes import wait_until  # noqa: E402
from stack import Ports, Stack  # noqa: E402


@pytest.fixture(scope="session")
def answering() -> Iterator[Model]:
    """A server that answers in place of every model's API."""
    model = Model()
    try:
        yield model
    finally:
        model.stop()


@pytest.fixture
def model(answering: Model) -> Model:
    """The same, with nothing told and nothing seen."""
    answering.begin()
    return answering


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, answering: Model) -> Iterator[Gateway]:
    """The shared stack."""
    stack = Stack(tmp_path_factory.mktemp("stack"), Ports.free(), models=answering.authority)
    try:
        yield Gateway(stack, stack.up())
    finally:
        stack.down()


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The shared stack, found alive: a test that broke it would otherwise fail its successors."""
    assert running.ask("GET", "/health").status == 200
    return running


@pytest.fixture
def new_agent(gateway: Gateway) -> Callable[..., Agent]:
    """Registers an agent of the test's own and returns when the gateway knows it."""

    def register(scopes: tuple[str, ...] = ("*",)) -> Agent:
        agent_id = f"agent-{uuid.uuid4()}"
        wanted = {"id": agent_id, "name": agent_id, "scopes": list(scopes)}
        made = gateway.admin("POST", "/v1/agents", wanted)
        assert made.status == 201, made.body
        agent = Agent(agent_id, made.json["secret"])
        body = {"text": "hello"}
        known = wait_until(
            lambda: gateway.call("/v1/scan-input", body, agent=agent).status == 200, 5
        )
        assert known, "the gateway does not learn of a new agent"
        return agent

    return register


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own that it may break; not started."""
    stack = Stack(tmp_path, Ports.free())
    try:
        yield stack
    finally:
        stack.down()
