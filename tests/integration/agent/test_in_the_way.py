"""What a misused agent has left in the place of its files keeps no agent from its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.agent.conftest import FAST

if TYPE_CHECKING:
    from tests.integration.conftest import MakeAgent

RUNTIME = ("agent.lock", "status.json", "ended", "in-memory", "window.json")
STATE = ("mode.json", "store.db-spare")


def test_directories_in_the_place_of_files_end_no_start(make_agent: MakeAgent) -> None:
    """It is online with all of them, and has its own files again."""
    agent = make_agent(sensors=FAST, count={"window_s": 3600})
    runtime, state = agent.directory / "runtime", agent.directory / "state"
    for path in (*(runtime / name for name in RUNTIME), *(state / name for name in STATE)):
        (path / "below").mkdir(parents=True)

    agent.start().wait_online()

    agent.wait_status(lambda _: (runtime / "window.json").is_file())
    assert (runtime / "agent.lock").is_file()
