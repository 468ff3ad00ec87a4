"""The local AWS is started once; each test has a device with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.integration.agent_process import AgentProcess
from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from pathlib import Path

MakeAgent = Callable[..., AgentProcess]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS for the tests of one file."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def make_agent(
    cloud: LocalAws, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[MakeAgent]:
    """Makes agents that end with the test; the first has the test's name, shortened."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[-60:].strip("-")
    with ExitStack() as stack:

        def make(name: str = name, **settings: object) -> AgentProcess:
            directory = tmp_path / name
            directory.mkdir()
            toml = cloud.agent_toml(directory, name=name, **settings)  # type: ignore[arg-type]
            return stack.enter_context(AgentProcess(cloud, directory, toml=toml))

        yield make
        cloud.faults.clear()
