"""The machine under a watch: what systemd, dpkg and the service say is taken as what it is."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.errors import AgentError
from agent.updates.dpkg import TAKING_BACK, Dpkg, Package
from agent.updates.machine import Machine, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: A process that holds a lock on a file until its input ends, as dpkg does.
HOLDS = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Programs:
    """Programs that are not run: what each was told, and what it says."""

    def __init__(self, said: str = "", code: int = 0) -> None:
        self.said = said
        self.code = code
        self.failure: Exception | None = None
        self.commands: list[tuple[str, ...]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(
        self, command: Sequence[str], *, env: dict[str, str], **_: object
    ) -> subprocess.CompletedProcess[str]:
        """Note the command, and say what is set."""
        self.commands.append(tuple(command))
        self.environments.append(env)
        if self.failure:
            raise self.failure
        return subprocess.CompletedProcess(command, self.code, self.said, "")


def machine(programs: Programs, *, status: Path, reach: Callable[[bool], int] = int) -> Machine:
    """A machine whose programs are these."""
    return Machine(Dpkg(status.parent, run=programs), reach=reach, status=status, run=programs)


@pytest.mark.parametrize(
    ("said", "service"),
    [
        (
            "MainPID=42\nExecMainStartTimestampMonotonic=3500000\nActiveState=active\n",
            Service("active", "", pid=42, began_s=3.5),
        ),
        (
            "MainPID=0\nResult=exit-code\nNRestarts=3\nExecMainStatus=78\nActiveState=failed\n",
            Service("failed", "exit-code", 78, 3, 0),
        ),
        ("ActiveState=inactive\n", Service("inactive", "")),
    ],
)
def test_systemd_says_how_the_service_is(tmp_path: Path, said: str, service: Service) -> None:
    """Its properties come in any order; where one lacks it is none."""
    programs = Programs(said)

    assert machine(programs, status=tmp_path / "status.json").service() == service
    assert programs.commands[0][:2] == ("/usr/bin/systemctl", "show")


@pytest.mark.parametrize(("said", "code"), [("", 0), ("ActiveState=active\n", 1), ("Result=\n", 0)])
def test_systemd_that_says_nothing_is_no_service_that_failed(
    tmp_path: Path, said: str, code: int
) -> None:
    """Such as while it executes itself anew."""
    with pytest.raises(AgentError, match="does not say how the service is"):
        machine(Programs(said, code), status=tmp_path / "status.json").service()


@pytest.mark.parametrize(
    ("service", "well"),
    [
        (Service("active", restarts=9, pid=1), True),
        (Service("activating", pid=1), True),
        (Service("activating", "exit-code", 1, restarts=1), False),
        (Service("failed", "exit-code", 78), False),
        (Service("inactive"), False),
    ],
)
def test_a_service_is_well_while_it_runs_or_has_just_begun(service: Service, *, well: bool) -> None:
    """What systemd has to start again and again is not."""
    assert service.is_well == well


@pytest.mark.parametrize(
    ("told", "online", "has_been"),
    [
        ({"pid": 7, "state": "online", "session_present": False}, True, True),
        ({"pid": 7, "state": "offline", "session_present": True}, False, True),
        ({"pid": 7, "state": "offline", "session_present": None}, False, False),
        ({"pid": 8, "state": "online", "session_present": False}, False, False),
        ([], False, False),
        (None, False, False),
    ],
)
def test_a_process_is_believed_for_itself_alone(
    tmp_path: Path, told: object, *, online: bool, has_been: bool
) -> None:
    """What another one has left says nothing."""
    status = tmp_path / "status.json"
    status.write_text(json.dumps(told))
    seen = machine(Programs(), status=status)

    assert (seen.is_online(7), seen.has_been_online(7)) == (online, has_been)


def test_nothing_that_the_service_can_put_there_leads_the_watch(tmp_path: Path) -> None:
    """A link, a pipe without a writer, an endless file, deep or wrong JSON: it is not online."""
    status = tmp_path / "status.json"
    seen = machine(Programs(), status=status)
    good = tmp_path / "good.json"
    good.write_text(json.dumps({"pid": 7, "state": "online"}))

    def is_online() -> bool:
        found = seen.is_online(7)
        status.unlink()
        return found

    status.symlink_to(good)
    assert not is_online()
    os.mkfifo(status)
    assert not is_online()
    with status.open("wb") as file:
        file.truncate(1 << 40)
    assert not is_online()
    for text in (b"[" * 100_000, b"\xff", b"{", b'{"pid": ' + b"9" * 5000 + b"}"):
        status.write_bytes(text)
        assert not is_online()


@pytest.mark.parametrize(
    ("code", "reaches", "reads"), [(0, True, True), (75, False, True), (78, False, False)]
)
def test_a_try_to_connect_says_two_things(
    tmp_path: Path, code: int, *, reaches: bool, reads: bool
) -> None:
    """If the endpoint answers, and if the configuration can be read at all."""
    seen = machine(
        Programs(), status=tmp_path / "status.json", reach=lambda session: 0 if session else code
    )

    assert seen.reach(session=False) == (reaches, reads)
    assert seen.reach(session=True) == (True, True)


@pytest.mark.parametrize(
    ("said", "code", "package"),
    [
        ("installed\tok\t0.2.0", 0, Package("0.2.0", "installed")),
        ("half-installed\treinstreq\t0.1.0~rc1-2", 0, Package("0.1.0~rc1-2", "half-installed")),
        ("unpacked\treinstreq\t0.2.0", 0, Package("0.2.0", "half-installed")),
        ("half-configured\treinstreq\t1", 0, Package("1", "half-installed", begun=True)),
        ("half-configured\tok\t0.2.0", 0, Package("0.2.0", "half-configured")),
        ("", 1, Package("", "")),
    ],
)
def test_dpkg_says_how_the_package_is(
    tmp_path: Path, said: str, code: int, package: Package
) -> None:
    """One that it does not know has neither version nor state."""
    assert Dpkg(tmp_path, run=Programs(said, code)).package() == package


@pytest.mark.parametrize("code", [2, -9])
def test_a_question_that_fails_is_no_package_that_is_gone(tmp_path: Path, code: int) -> None:
    """A database that cannot be read, or a want of memory, ends no watch."""
    with pytest.raises(AgentError, match="dpkg-query: exit code"):
        Dpkg(tmp_path, run=Programs(code=code)).package()


def test_dpkg_itself_knows_what_it_does_not_know(tmp_path: Path) -> None:
    """The real one, asked for a package that is nowhere, and for one of no database."""
    (tmp_path / "updates").mkdir()
    (tmp_path / "status").touch()
    assert Dpkg(tmp_path).package() == Package("", "")
    (tmp_path / "status").write_text("Nonsense\n")
    with pytest.raises(AgentError, match="dpkg-query: error: parsing file"):
        Dpkg(tmp_path).package()


@pytest.mark.parametrize("name", ["lock", "lock-frontend"])
def test_dpkg_is_busy_while_another_process_holds_a_lock(tmp_path: Path, name: str) -> None:
    """Asked without taking it for an instant; not busy where there is no such file."""
    dpkg = Dpkg(tmp_path)
    assert not dpkg.is_busy()
    holds = [sys.executable, "-c", HOLDS, str(tmp_path / name)]
    with subprocess.Popen(holds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"

        assert dpkg.is_busy()
        with (tmp_path / name).open("w") as file, pytest.raises(BlockingIOError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

        holder.communicate()
    assert not dpkg.is_busy()


def test_the_packages_scripts_are_told_of_a_way_back_alone(tmp_path: Path) -> None:
    """They do not prepare another one then; while it is only set up, they do as ever."""
    programs = Programs("ActiveState=active\n")
    seen = machine(programs, status=tmp_path / "status.json")

    seen.configure()
    seen.take_back(tmp_path / "forerunner.deb", runs=True)
    seen.take_back(tmp_path / "forerunner.deb", runs=False)

    work = [
        one
        for one in zip(programs.commands, programs.environments, strict=True)
        if "dpkg" in one[0][0]
    ]
    assert [one.get(TAKING_BACK) for _, one in work] == [None, "runs", "1"]
    assert work[1][0][-1] == str(tmp_path / "forerunner.deb")
    assert all("/sbin" in one["PATH"] for _, one in work)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("active", ["show", "dpkg"]),
        ("inactive", ["show", "dpkg"]),
        ("activating", ["show", "stop", "dpkg", "start"]),
        ("failed", ["show", "stop", "dpkg", "start"]),
    ],
)
def test_a_service_that_fails_again_and_again_is_stopped_while_it_is_replaced(
    tmp_path: Path, state: str, words: list[str]
) -> None:
    """Systemd would start it amid of that; what somebody has stopped stays stopped."""
    programs = Programs(f"ActiveState={state}\n")

    machine(programs, status=tmp_path / "status.json").take_back(tmp_path / "a.deb", runs=False)

    said = [one[1] if "systemctl" in one[0] else "dpkg" for one in programs.commands]
    assert said == words


@pytest.mark.parametrize(
    "failure", [OSError("no such file"), subprocess.TimeoutExpired("dpkg", 900)]
)
def test_a_program_that_does_not_end_is_a_failure_in_words(
    tmp_path: Path, failure: Exception
) -> None:
    """A question is an error; work that dpkg did not do is seen by the state of the package."""
    programs = Programs()
    programs.failure = failure
    seen = machine(programs, status=tmp_path / "status.json")

    seen.configure()
    seen.take_back(tmp_path / "forerunner.deb", runs=True)
    with pytest.raises(AgentError, match="systemctl does not answer"):
        seen.service()
    with pytest.raises(AgentError, match="dpkg-query cannot be run to its end"):
        seen.package()
