"""An upgrade is told to the cloud by the process that ends for it and by the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from agent.updates import ROLLED_BACK, Looked, Outcome, Pending
from agent.updates.notes import remove, write
from tests.integration.agent.conftest import FAST, name_of

if TYPE_CHECKING:
    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

#: The command `run` with another directory for root's notes.
RUN = """
import sys
from pathlib import Path
from agent import config, daemon, sensors
read = config.load(Path(sys.argv[1]), options_of=sensors.options_of)
sys.exit(daemon.run(read, updates=Path(sys.argv[2])))
"""
PENDING = Pending("0.1.0", "0.2.0", ready=True, online=True, began_s=1.0)


def said(cloud: LocalAws, agent: AgentProcess, count: int) -> dict[str, Any]:
    """The last of so many messages on its status."""
    body: dict[str, Any] = cloud.observer.wait(f"{name_of(agent)}/status", count=count)[-1].json()
    return body


def test_an_upgrade_and_the_way_back_are_told(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """By root's notes: in the status, the farewell and the next birth, as long as they say so."""
    agent = make_agent(sensors=FAST)
    notes = agent.directory / "updates"
    notes.mkdir()
    agent.program = ["-c", RUN, str(agent.config), str(notes)]
    agent.start().wait_status(lambda status: status["state"] == "online")
    assert "rolled_back" not in said(cloud, agent, 1)
    now_s = time.time()
    write(Looked(now_s, now_s, now_s, installed="0.1.0", waiting="0.2.0"), notes)
    agent.wait_status(lambda status: status["version_waiting"] == "0.2.0")
    assert "; 0.2.0 is waiting; updates were last looked for " in agent.command("status").stdout

    write(PENDING, notes)
    assert agent.stop() == 0
    assert said(cloud, agent, 2)["reason"] == "upgrade"

    remove(Pending, notes)
    write(Outcome(ROLLED_BACK, "0.1.0", "0.2.0", "it was not online", time.time()), notes)
    agent.start().wait_condition("rolled-back")
    birth = said(cloud, agent, 3)
    assert (birth["state"], birth["reason"]) == ("online", "upgrade")
    assert birth["rolled_back"] == {"version": "0.2.0", "reason": "it was not online"}
    assert agent.status()["version_waiting"] is None
    told = agent.command("status")
    assert (told.returncode, "rolled-back" in told.stdout) == (1, True)

    assert agent.stop() == 0
    assert said(cloud, agent, 4)["reason"] == "stopped"
