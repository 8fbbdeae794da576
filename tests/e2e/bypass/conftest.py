"""A stack whose tool and models are one server that says yes to everything; started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attempt import Scene
from gateway import Gateway
from open_stack import OpenStack
from stack import Ports
from upstream import Upstream


@pytest.fixture(scope="session")
def bypassed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    upstream = Upstream()
    stack = OpenStack(
        tmp_path_factory.mktemp("bypass"),
        Ports.free(),
        models=f"127.0.0.1:{upstream.port}",
        mcp_port=upstream.port,
    )
    try:
        yield Scene(Gateway(stack, stack.up()), upstream)
    finally:
        stack.down()
        upstream.stop()


@pytest.fixture
def scene(bypassed: Scene) -> Scene:
    """The shared stack, found alive, its upstream with nothing seen."""
    assert bypassed.gateway.ask("GET", "/health").status == 200
    bypassed.upstream.received.clear()
    bypassed.upstream.raw = None
    return bypassed

