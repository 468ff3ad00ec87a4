"""An upgrade that begins: what is noted of the old version, and which one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from agent.errors import AgentError
from agent.updates import Pending, pending_of
from agent.updates.dpkg import TORN, Dpkg, Package
from agent.updates.forerunner import PACKAGE, PROGRAM
from agent.updates.machine import Service
from agent.updates.notes import write
from agent.updates.upgrade import WATCH_UNIT, begin, mend
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path

    from agent.updates.machine import Machine

BEGUN = Pending("0.2.0", "0.3.0", ready=True, online=True, began_s=1.0)
WATCHED = Pending("0.1.0", "0.2.0", ready=True, online=True, began_s=1.0, back="it failed")


class FakeDpkg(Dpkg):
    """A database with one package of one file; building makes an empty one."""

    def __init__(self, admin: Path, root: Path) -> None:
        super().__init__(admin)
        (admin / "info").mkdir(parents=True)
        (admin / "info/pi-iot-agent.list").write_text(f"/.\n{root / 'file'}\n")
        (root / "file").touch()
        self.failure: AgentError | None = None
        self.pending: Pending | None = None

    def stanza(self, name: str = "pi-iot-agent") -> str:
        """Its name alone."""
        return f"Package: {name}\n"

    def build(self, tree: Path, target: Path) -> None:
        """Make an empty one, or fail."""
        self.pending = pending_of(target.parents[1])
        if self.failure:
            raise self.failure
        assert (tree / "DEBIAN/control").is_file()
        target.touch()

    def unpack(self, package: Path, directory: Path) -> None:
        """Make the program."""
        assert package.is_file()
        program = directory.parent / PROGRAM
        program.parent.mkdir(parents=True)
        program.touch()


class FakeMachine:
    """A machine with version 0.2.0, which runs and is connected."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.dpkg = FakeDpkg(directory / "dpkg", directory)
        self.runs: Service | None = Service("active", pid=7)
        self.watched = False
        self.starts = True
        self.busy = False
        self.restarted: list[str] = []
        self.mended: list[str] = []
        #: As dpkg has it while its script runs before an upgrade.
        self.stands = Package("0.2.0", TORN, begun=True)

    def is_busy(self) -> bool:
        """As set."""
        return self.busy

    def package(self) -> Package:
        """As set."""
        return self.stands

    def configure(self) -> None:
        """Note it."""
        self.mended.append("configured")

    def take_back(self, package: Path, *, runs: bool) -> None:
        """Note it; the package is there."""
        assert runs
        assert package.is_file()
        self.mended.append("installed")

    def service(self) -> Service:
        """As set; an error where nothing is."""
        if self.runs is None:
            raise AgentError("systemd does not answer")
        return self.runs

    def has_been_online(self, pid: int) -> bool:
        """If it runs."""
        return pid > 0

    def is_watched(self, unit: str) -> bool:
        """As set."""
        return self.watched and unit == WATCH_UNIT

    def restart_watch(self, unit: str) -> bool:
        """Note it; it is as set."""
        self.restarted.append(unit)
        return self.starts


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """The machine."""
    return FakeMachine(tmp_path / "machine")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of updates, which is not there yet."""
    return tmp_path / "updates"


def upgrade(machine: FakeMachine, new: str, directory: Path) -> list[str]:
    """Begin an upgrade to the version."""
    return begin(cast("Machine", machine), new, directory=directory, wall_s=lambda: 9.0)


def test_the_old_version_is_kept_and_noted_as_it_was(machine: FakeMachine, directory: Path) -> None:
    """Before it is kept, since dpkg has begun by then; the watch begins after that."""
    assert upgrade(machine, "0.3.0", directory) == []

    noted = Pending("0.2.0", "0.3.0", ready=True, online=True, began_s=9.0)
    assert machine.dpkg.pending == pending_of(directory) == noted
    assert (directory / PACKAGE).is_file()
    assert (directory / PROGRAM).is_file()
    assert machine.restarted == [WATCH_UNIT]
    assert directory.stat().st_mode & 0o777 == 0o755


def test_a_version_that_did_not_run_is_noted_as_such(machine: FakeMachine, directory: Path) -> None:
    """The new one need not do better."""
    machine.runs = Service("failed", "exit-code", 78)

    upgrade(machine, "0.3.0", directory)

    pending = pending_of(directory)
    assert pending
    assert (pending.ready, pending.online) == (False, False)


def test_systemd_that_does_not_answer_keeps_nobody_from_a_way_back(
    machine: FakeMachine, directory: Path
) -> None:
    """The new version has to be ready then, as is usual; no connection is asked of it."""
    machine.runs = None

    upgrade(machine, "0.3.0", directory)

    pending = pending_of(directory)
    assert pending
    assert (pending.ready, pending.online) == (True, False)
    assert (directory / PACKAGE).is_file()


def test_a_version_installed_anew_is_no_upgrade(machine: FakeMachine, directory: Path) -> None:
    """Nothing is kept, noted or watched."""
    upgrade(machine, "0.2.0", directory)

    assert not directory.exists()
    assert machine.restarted == []


def test_during_a_watch_the_proven_version_stays_the_one_to_go_back_to(
    machine: FakeMachine, directory: Path
) -> None:
    """The one that is watched has not proven itself; the watch begins anew."""
    upgrade(machine, "0.3.0", directory)
    (directory / PACKAGE).write_text("proven")
    write(WATCHED, directory)
    machine.watched = True

    upgrade(machine, "0.3.0", directory)

    assert (directory / PACKAGE).read_text() == "proven"
    assert pending_of(directory) == Pending("0.1.0", "0.3.0", ready=True, online=True, began_s=1.0)
    assert machine.restarted == [WATCH_UNIT] * 2


def test_a_note_that_nobody_watches_is_of_the_past(machine: FakeMachine, directory: Path) -> None:
    """Such as one that is left of a version that knew no watch: what is installed is kept."""
    upgrade(machine, "0.3.0", directory)
    write(WATCHED, directory)

    upgrade(machine, "0.3.0", directory)

    pending = pending_of(directory)
    assert pending
    assert pending.old == "0.2.0"


def test_a_watch_without_a_version_to_go_back_to_gets_one(
    machine: FakeMachine, directory: Path
) -> None:
    """Somebody has removed it: what is installed is the best there is."""
    upgrade(machine, "0.3.0", directory)
    (directory / PACKAGE).unlink()
    machine.watched = True

    upgrade(machine, "0.4.0", directory)

    assert (directory / PACKAGE).is_file()


def test_an_upgrade_while_the_machine_goes_down_is_watched_when_it_is_up(
    machine: FakeMachine, directory: Path
) -> None:
    """Systemd starts nothing then: the note is there for the next time."""
    machine.starts = False

    assert upgrade(machine, "0.3.0", directory) == [
        "the watch begins at the next start of the machine"
    ]
    assert pending_of(directory)


def test_an_old_version_that_cannot_be_kept_leaves_no_note(
    machine: FakeMachine, directory: Path
) -> None:
    """Nobody watches without a way back."""
    machine.dpkg.failure = AgentError("no space")

    with pytest.raises(AgentError, match="no space"):
        upgrade(machine, "0.3.0", directory)

    assert pending_of(directory) is None
    assert machine.restarted == []


@pytest.mark.parametrize("noted", [None, BEGUN])
def test_what_was_cut_off_at_its_begin_is_installed_as_it_was(
    machine: FakeMachine, directory: Path, noted: Pending | None
) -> None:
    """Nothing is replaced yet: the version is made of its files, though an older one is kept."""
    directory.mkdir()
    (directory / PACKAGE).write_text("0.1.0")
    if noted:
        write(noted, directory)

    mend(cast("Machine", machine), directory)

    assert machine.mended == ["installed"]
    assert (directory / PACKAGE).read_text() == ""


@pytest.mark.parametrize(
    ("noted", "stands"),
    [
        (WATCHED, Package("0.2.0", TORN, begun=True)),
        (replace(BEGUN, old="0.1.0"), Package("0.2.0", TORN, begun=True)),
        (BEGUN, Package("0.2.0", TORN)),
    ],
)
def test_what_the_watch_knows_the_end_of_is_left_to_it(
    machine: FakeMachine, directory: Path, noted: Pending, stands: Package
) -> None:
    """A version that is being taken back, or that is not the proven one, is never kept."""
    directory.mkdir()
    write(noted, directory)
    machine.stands = stands

    mend(cast("Machine", machine), directory)

    assert machine.mended == []


@pytest.mark.parametrize("state", ["installed", "unpacked", TORN])
def test_the_journal_of_dpkg_is_in_nobodys_way(
    machine: FakeMachine, directory: Path, state: str
) -> None:
    """Without an upgrade of ours dpkg finishes what it can, but not while it is at work."""
    machine.stands = Package("0.2.0", state)
    machine.busy = True
    mend(cast("Machine", machine), directory)
    assert machine.mended == []

    machine.busy = False
    mend(cast("Machine", machine), directory)
    assert machine.mended == ["configured"]
