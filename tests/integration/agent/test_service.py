"""The service is small, alone, watched by systemd, and open to a person's questions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.identity.credentials import Files
from tests.integration.agent.conftest import name_of
from tests.integration.agent_process import ListeningSystemd

if TYPE_CHECKING:
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws


LEAN = Path(__file__).parents[3] / "bench" / "peers" / "lean.py"


def pss_kib(pid: int) -> int:
    """The memory of a process, with its share of what it has in common with others."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def test_the_daemon_stays_small(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """Provisioned and connected, it takes at most 15 % more than what it cannot do without.

    That is the same libraries, connected in the same way. With boto3 it would be thrice as much.
    """
    agent, other = make_agent(), make_agent("lean")
    for one in (agent, other):
        assert one.command("provision").returncode == 0
    files = Files(other.directory / "certs" / "lean", "lean")
    where = ("localhost", cloud.port, cloud.ca_file, files.certificate, files.key, "lean", "sit")
    command = [sys.executable, str(LEAN), *map(str, where)]
    agent.environment["MALLOC_ARENA_MAX"] = "1"  # as the unit has it
    with subprocess.Popen(command) as lean:
        try:
            agent.start().wait_online()
            cloud.observer.wait(f"{name_of(agent)}/sensors/room")
            cloud.observer.wait("lean/sensors/room")
            ours_kib, least_kib = pss_kib(agent.pid), pss_kib(lean.pid)
        finally:
            lean.terminate()
    assert ours_kib < 1.15 * least_kib


def test_only_one_agent_runs_at_a_time(make_agent: MakeAgent) -> None:
    """A second one with the same configuration ends at once, temporarily, and says why."""
    agent = make_agent().start()
    agent.wait_online()

    second = agent.command("run")

    assert second.returncode == 75
    assert "running already" in second.stderr


def test_status_tells_running_from_not_running(make_agent: MakeAgent) -> None:
    """`status` exits 0 when healthy, 3 when there is no agent, whatever an old file says."""
    agent = make_agent()
    assert agent.command("status").returncode == 3
    agent.start().wait_online()
    agent.wait_status(lambda status: not status["conditions"])
    assert agent.command("status").returncode == 0
    assert json.loads(agent.command("status", "--json").stdout)["state"] == "online"
    agent.kill()
    assert agent.command("status").returncode == 3


def test_doctor_finds_a_sound_device_sound(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """While the agent runs it keeps its connection; without it doctor connects itself."""
    agent = make_agent().start()
    agent.wait_online()
    connects = len(cloud.broker.connects)

    beside = agent.command("doctor")
    assert beside.returncode == 0, beside.stdout
    assert "OK    connection: the agent holds it: online" in beside.stdout
    assert len(cloud.broker.connects) == connects
    assert agent.stop() == 0

    alone = agent.command("doctor")
    assert alone.returncode == 0, alone.stdout
    assert f"OK    connection: accepted as {name_of(agent)}; a session is kept" in alone.stdout


def test_systemd_hears_the_whole_story(make_agent: MakeAgent, tmp_path: Path) -> None:
    """READY once sampling, STATUS on changes, WATCHDOG while all is well, STOPPING at the end."""
    agent = make_agent()
    with ListeningSystemd(tmp_path / "notify") as systemd:
        agent.environment |= {**systemd.environment, "WATCHDOG_USEC": "1500000"}
        agent.start().wait_online()
        systemd.wait("WATCHDOG=1", count=2)
        assert agent.stop() == 0

    assert systemd.heard[0] == "READY=1"
    assert any(line.startswith("STATUS=provisioning as") for line in systemd.heard)
    assert any(line.startswith("STATUS=online as") for line in systemd.heard)
    assert systemd.heard.index("STOPPING=1") > systemd.heard.index("WATCHDOG=1")


def test_a_dead_network_never_starves_the_watchdog(make_agent: MakeAgent, tmp_path: Path) -> None:
    """Alive is not connected: with nobody at the broker's port WATCHDOG=1 goes on."""
    agent = make_agent()
    assert agent.command("provision").returncode == 0
    agent.config.write_text(re.sub(r"(?m)^port = .*$", "port = 9", agent.config.read_text()))
    with ListeningSystemd(tmp_path / "notify") as systemd:
        agent.environment |= {**systemd.environment, "WATCHDOG_USEC": "600000"}
        agent.start().wait_condition("offline")
        systemd.wait("WATCHDOG=1", count=systemd.count("WATCHDOG=1") + 4)
        assert agent.stop() == 0


def test_a_file_that_is_no_configuration_ends_with_78(tmp_path: Path) -> None:
    """`run` on a missing file: one clear message, no traceback, an exit code systemd obeys."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "run", "--config", str(tmp_path / "none.toml")],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )

    assert done.returncode == 78
    assert str(tmp_path / "none.toml") in done.stderr
    assert "Traceback" not in done.stderr
