"""The agent goes up a version and back, with a store that has gained a step, and loses nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.integration.agent.conftest import QUICK, name_of, numbers
from tests.integration.agent_process import ROOT
from tests.tools.newer_agent import BREACH, NEWER_SCHEMA, NEWER_VERSION, STEP, newer_agent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

SENSORS = [
    {"name": "room", "driver": "simulated", "interval_s": 0.1},
    {"name": "motion", "driver": "simulated", "detections_per_s": 2},
]


def figures(agent: AgentProcess) -> tuple[int, int]:
    """The version of the store's schema, and how many records a newer agent has put there."""
    with closing(sqlite3.connect(agent.directory / "state" / "store.db")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        columns = [row[1] for row in db.execute("PRAGMA table_info(records)")]
        place = "place" if "place" in columns else "NULL"
        (rows,) = db.execute(f"SELECT count({place}) FROM records").fetchone()  # noqa: S608
    return version, rows


def wait_queued(agent: AgentProcess, rows: int) -> None:
    """Wait until the agent has stored so many more."""
    before = agent.wait_status(lambda status: status["state"] != "starting")["queued"]
    agent.wait_status(lambda status: status["queued"] >= before + rows)


def test_what_the_newer_has_stored_is_sent_by_the_older_and_back(
    cloud: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """Stopped or killed, with a broker or without: one epoch, and no number is missing."""
    newer = newer_agent(tmp_path / "newer")
    agent = make_agent(sensors=SENSORS, mqtt=QUICK, count={"window_s": 5}).start()
    name = name_of(agent)
    agent.wait_online()
    cloud.observer.wait(f"{name}/sensors/room", count=3)
    assert agent.stop() == 0
    cloud.broker.kill()
    for tree, orderly in ((newer, False), (ROOT, False), (newer, True), (ROOT, True)):
        agent.tree = tree
        agent.start()
        wait_queued(agent, 8)
        version, rows = figures(agent)
        assert (version, rows > 0) == (NEWER_SCHEMA, True)
        assert agent.status()["version"] == NEWER_VERSION or tree == ROOT
        if orderly:
            assert agent.stop() == 0
        else:
            agent.kill()
    cloud.broker.start()
    for tree in (ROOT, newer):
        agent.tree = tree
        agent.start().wait_status(lambda status: status["state"] == "online")
        agent.wait_status(lambda status: status["queued"] <= 3 and status["acked"] > 0)
        assert agent.stop() == 0

    seen = numbers(cloud, agent)
    assert set(seen) == set(range(1, max(seen) + 1))
    assert max(seen) > 40
    epochs = {one.json()["epoch"] for one in cloud.observer.messages(f"{name}/sensors/#")}
    assert len(epochs) == 1
    assert "store-reset" not in agent.log
    totals = [one.json()["total"] for one in cloud.observer.messages(f"{name}/count")]
    counts = [one.json()["detect_count"] for one in cloud.observer.messages(f"{name}/count")]
    assert max(totals) == sum(counts)


def test_a_file_that_only_the_newer_can_read_is_kept_and_told(
    cloud: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """The older begins a new one; when the newer is back, it tells where what was not sent is."""
    agent = make_agent(sensors=SENSORS, mqtt=QUICK)
    assert agent.command("provision").returncode == 0
    agent.tree = newer_agent(tmp_path / "newer", STEP + BREACH)
    cloud.broker.kill()
    agent.start()
    wait_queued(agent, 5)
    assert agent.stop() == 0
    cloud.broker.start()

    agent.tree = ROOT
    refused = agent.command("queue")
    assert "made by a newer version of the agent" in refused.stderr
    agent.start().wait_online()
    told = agent.wait_condition("store-reset")
    (aside,) = (agent.directory / "state").glob("store.db.newer-*[0-9]")
    assert f"schema {NEWER_SCHEMA}" in told["text"]
    assert aside.name in told["text"]
    assert "update the agent" in told["hint"]
    assert agent.stop() == 0

    agent.tree = tmp_path / "newer"
    agent.start().wait_online()
    told = agent.wait_condition("store-reset")
    assert f"{aside}: this version can read it" in told["text"]
    assert agent.stop() == 0
