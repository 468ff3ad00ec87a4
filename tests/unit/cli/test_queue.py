"""The command `queue` shows what waits and what was set aside, whether or not an agent runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.cli.main import main
from agent.config import StoreLimits
from agent.model import Moment, NewRecord
from agent.store import open_store

if TYPE_CHECKING:
    from agent.model import Json


def test_queue_without_a_store_says_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent that has never run has nothing waiting; nothing is made either."""
    assert main(["queue", "--config", config]) == 0
    assert "no record waits: there is no store yet" in capsys.readouterr().out
    assert not Path(config).with_name("state").exists()


def test_queue_lists_what_waits_beside_a_running_agent(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number, then the oldest records with topic and payload."""
    state = Path(config).with_name("state")
    state.mkdir()
    with open_store(StoreLimits(path=state / "store.db")) as store:
        moment = Moment(1_795_500_600.0, 5.0, "boot")
        for number in range(3):
            store.append(NewRecord("sensors/room", 1_795_500_600 + number, moment, {"x": number}))
        assert main(["queue", "--config", config, "--limit", "2"]) == 0
    first, *records, more = capsys.readouterr().out.splitlines()
    assert first == "3 records wait"
    assert ["cat/sensors/room" in record for record in records] == [True, True]
    assert '"x":0' in records[0]
    assert more == "and 1 more"


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({"queued": 0}, ["no record waits", "of 3 in the file 3 have arrived and leave it"]),
        ({"queued": 2}, ["2 records wait", "of 3 in the file 1 has arrived and leaves it"]),
        ({"queued": 3}, ["3 records wait", "       1 "]),
        ({"queued": 5}, ["5 records wait", "2 of them in the agent's memory only"]),
        (
            {"queued": 0, "conditions": [{"code": "store-memory-only"}]},
            ["no record waits", "the agent does without its file now, which holds 3"],
        ),
        ({}, ["3 records wait", "       1 "]),
        (None, ["3 records wait", "       1 "]),
    ],
)
def test_queue_agrees_with_status(
    report: dict[str, Json] | None,
    told: list[str],
    config: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A running agent knows what has arrived, though its file does not yet; a dead one nothing."""
    directory = Path(config).parent
    (directory / "state").mkdir()
    runtime = directory / "run"
    with open_store(StoreLimits(path=directory / "state" / "store.db")) as store:
        moment = Moment(1_795_500_600.0, 5.0, "boot")
        for number in range(3):
            store.append(NewRecord("sensors/room", 1_795_500_600 + number, moment, {"x": number}))
        (runtime / "status.json").write_text(
            json.dumps({"queued": 77} if report is None else report)
        )
        if report is None:
            assert main(["queue", "--config", config]) == 0
        else:
            with files.lock(runtime / "agent.lock", "a test"):
                assert main(["queue", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(words) for line, words in zip(lines, told, strict=False)] == [True] * 2


@pytest.mark.parametrize("directory_there", [False, True])
def test_queue_of_an_agent_without_a_file_is_what_the_agent_says(
    config: str, capsys: pytest.CaptureFixture[str], *, directory_there: bool
) -> None:
    """There is no file, or another thing has its name; without an agent that is an error."""
    directory = Path(config).parent
    (directory / "state" / ("store.db" if directory_there else "")).mkdir(parents=True)
    report = {"queued": 5, "conditions": [{"code": "store-memory-only"}]}
    (directory / "run" / "status.json").write_text(json.dumps(report))
    with files.lock(directory / "run" / "agent.lock", "a test"):
        assert main(["queue", "--config", config]) == 0
        assert capsys.readouterr().out == "5 records wait\nthe agent does without its file now\n"
        if not directory_there:  # it was removed under a running agent
            (directory / "run" / "status.json").write_text('{"queued": 2}')
            assert main(["queue", "--config", config]) == 0
            assert capsys.readouterr().out.startswith("2 records wait\n2 of them in the agent's")
    assert main(["queue", "--config", config]) == int(directory_there)
    assert capsys.readouterr().out.startswith("" if directory_there else "no record waits: ")


def test_what_was_set_aside_is_shown_and_sent_once_more(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason; but not while an agent has the store open."""
    directory = Path(config).parent
    (directory / "state").mkdir()
    limits = StoreLimits(path=directory / "state" / "store.db")
    assert main(["queue", "--config", config, "--dead"]) == 0
    with open_store(limits) as store:
        moment = Moment(1_795_500_600.0, 5.0, "boot")
        for number in range(3):
            store.append(NewRecord("sensors/room", 1_795_500_600 + number, moment, {"x": number}))
            store.set_aside(number + 1, "payload format not valid")
    capsys.readouterr()
    assert main(["queue", "--config", config, "--dead", "--limit", "1"]) == 0
    first, reason, record, more = capsys.readouterr().out.splitlines()
    assert first.startswith("set aside: 3; ")
    assert reason == "payload format not valid:"
    assert '"x":0' in record
    assert more == "and 2 more"
    (directory / "run").mkdir(exist_ok=True)
    with files.lock(directory / "run" / "agent.lock", "a test"):
        assert main(["queue", "--config", config, "--replay"]) == 75
    assert main(["queue", "--config", config, "--replay"]) == 0
    assert "3 set aside before wait again" in capsys.readouterr().out
    with open_store(limits) as store:
        assert [record.seq for record in store.page(0, 9).records] == [1, 2, 3]
    assert main(["queue", "--config", config, "--dead"]) == 0
    assert capsys.readouterr().out == "no record was set aside\n"


def test_queue_tells_a_spoiled_store(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and the file stays as it is."""
    path = Path(config).with_name("state") / "store.db"
    path.parent.mkdir()
    path.write_text("no database at all " * 100)
    assert main(["queue", "--config", config]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_text().startswith("no database")
