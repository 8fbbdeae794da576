"""The mesh that the tests share, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mesh import Mesh


@pytest.fixture(scope="session")
def running_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    try:
        mesh.up()
        yield mesh
    finally:
        mesh.down()


@pytest.fixture
def mesh(running_mesh: Mesh) -> Mesh:
    """The shared mesh, found alive."""
    assert running_mesh.tool_is_guarded()
    return running_mesh
