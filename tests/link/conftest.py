"""The runs of all cases, which go on beside the other tests here, and the table at the end."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agent.wakeup import Wakeup
from tests.link.bench import CASES
from tests.link.line import Line
from tests.link.runs import HERE, Runs, Verdicts, table

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = pytest.StashKey[Verdicts]()


@pytest.fixture(scope="session", autouse=True)
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Both runs of the cases that were chosen."""
    chosen = {
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "paho" in item.callspec.params
    }
    names = [] if len(chosen) == len({one.name for one in CASES}) else sorted(chosen)
    with Runs(HERE if chosen else [], names) as both:
        request.config.stash[TABLE] = both.verdicts
        yield both


@pytest.fixture
def line() -> Iterator[Line]:
    """A line, not open yet."""
    with Wakeup() as wakeup:
        one = Line(wakeup)
        with closing(one.broker):
            yield one
        if hasattr(one, "connection"):
            one.connection.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of case, protocol and paho with the verdicts."""
    verdicts = terminalreporter.config.stash.get(TABLE, {})
    if verdicts:
        terminalreporter.section("link: case, protocol, paho")
        for line in table(verdicts):
            terminalreporter.write_line(line)
