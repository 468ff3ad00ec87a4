"""The restart for a new version waits for what the old one has to send, and for no longer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging/debian/launcher/gentle-restart"

#: Programs in place of systemd's: their answers are files, and what is asked for is noted.
FAKES = {
    "systemctl": """\
case $1 in
is-active) cat state; grep -q "^active" state ;;
show) cat pid ;;
*) echo "$*" >>asked ;;
esac
""",
    "deb-systemd-invoke": "echo invoke $* >>asked; cp started pid; grep -q yes result\n",
    "setpriv": 'while [ "$1" != sh ]; do shift; done; exec "$@"\n',
    "sleep": "echo 44 >pid; rm -f status.json\n",
}
WAITS = '{"queued": 0, "conditions": [{"code": "sos-waiting", "since": 1}]}'
HELD = '{"queued": 299, "conditions": [{"code": "store-memory-only", "since": 1}]}'
SENT = '{"queued": 0, "conditions": [{"code": "store-memory-only", "since": 1}]}'
CALM = '{"queued": 7, "conditions": [{"code": "offline", "text": "sos-waiting"}]}'


class Machine:
    """A directory with these programs, and the script."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name, text in FAKES.items():
            (directory / name).write_text(f"#!/bin/sh\n{text}")
            (directory / name).chmod(0o755)
        script = SCRIPT.read_text().replace("/run/pi-iot-agent/", "")
        (directory / "script").write_text(script)
        self.set(state="active", pid="42", started="43", result="yes")

    def set(self, **files: str) -> None:
        """Set the answers."""
        for name, text in files.items():
            (self.directory / name.replace("status", "status.json")).write_text(text + "\n")

    def run(self, word: str) -> bool:
        """True if the script says yes."""
        path = f"{self.directory}:{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "script", word],
            cwd=self.directory,
            env=os.environ | {"PATH": path},
            timeout=60,
            check=False,
        )
        return done.returncode == 0

    @property
    def asked(self) -> str:
        """What systemd was asked to do."""
        asked = self.directory / "asked"
        return asked.read_text() if asked.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """The machine, whose agent runs."""
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("status", "waits"), [(WAITS, True), (HELD, True), (SENT, False), (CALM, False)]
)
def test_what_a_stop_would_lose_or_hold_up_waits(
    machine: Machine, status: str, *, waits: bool
) -> None:
    """A call for help, and what is in memory only."""
    machine.set(status=status)

    assert machine.run("waits") == waits


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_nothing_waits_in_a_process_that_is_not(machine: Machine, state: str) -> None:
    """Whatever it has left."""
    machine.set(status=WAITS, state=state)

    assert not machine.run("waits")


def test_a_look_that_fails_is_no_answer(machine: Machine) -> None:
    """Such as one for which there is no memory, or while systemd executes itself anew."""
    machine.set(status=CALM, state="")
    assert not machine.run("waits")
    machine.set(status=WAITS, state="")
    assert machine.run("waits")
    (machine.directory / "setpriv").write_text("#!/bin/sh\nexit 2\n")

    assert machine.run("waits")


def test_without_a_report_nothing_waits(machine: Machine) -> None:
    """The process is just beginning, which is the new version's then."""
    assert not machine.run("waits")


def test_a_process_that_does_not_stop_is_killed(machine: Machine) -> None:
    """One that has not started yet is not."""
    machine.set(result="no")
    assert not machine.run("now")
    assert "kill" not in machine.asked

    machine.set(state="deactivating")
    assert not machine.run("now")
    assert "kill --signal=KILL pi-iot-agent.service" in machine.asked


def test_it_is_started_anew_once_nothing_waits(machine: Machine) -> None:
    """And not again where another process runs by then."""
    machine.set(status=CALM)
    assert machine.run("later")
    assert machine.asked == "invoke restart pi-iot-agent.service\n"

    machine.set(status=WAITS)  # until it sleeps: then the process is another, and all is sent
    assert machine.run("later")
    assert machine.asked == "invoke restart pi-iot-agent.service\n"
