"""The daemon tells of updates by root's notes: what waits, what fails, and what was taken back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.daemon.updates_watch import LATE_S, UpdatesWatch
from agent.health.health import Health
from agent.model import DAY_S
from agent.updates import KEPT, NAMES, RESTORED, ROLLED_BACK, STUCK, Looked, Outcome, Pending
from agent.updates.notes import remove, write
from agent.value import replace
from tests.fakes import START_S, FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from agent.health.health import Standing

# Of sdnotify, which closes none, in the tests before these.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

RAN, NEWER = "0.1.0", "0.2.0"
LOOKED = Looked(since_s=START_S, looked_s=START_S, succeeded_s=START_S, installed=RAN)
EXPIRED = replace(LOOKED, trouble="the index has expired", hint="check the clock")
WAITING = replace(LOOKED, waiting=NEWER, waiting_since_s=START_S)
YEAR_S = 365.0 * DAY_S


class Watched:
    """A directory of root's notes, under watch."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "updates"
        self.directory.mkdir()
        self.unattended = directory / "unattended-upgrade"
        self.unattended.touch()
        self.clock = FakeClock()
        self.health = Health(wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        self.watch = self.anew()

    def anew(self) -> UpdatesWatch:
        """The watch of another process."""
        return UpdatesWatch(
            self.directory,
            health=self.health,
            clock=self.clock,
            unattended=self.unattended,
            running=RAN,
        )

    def after(self, seconds: float = 0.0) -> list[Standing]:
        """The conditions that a look finds, so much later."""
        self.clock.pass_by(seconds)
        self.watch.look()
        return list(self.health.snapshot().conditions)

    def note(self, note: Looked | Outcome) -> list[Standing]:
        """The conditions with a new note."""
        write(note, self.directory)
        return self.after()

    def waiting(self) -> object:
        """The version that waits, as it is shown."""
        return self.watch.shown()["version_waiting"]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """One without a note."""
    return Watched(tmp_path)


def test_nothing_is_told_where_updates_are_not_taken_up(watched: Watched) -> None:
    """However long."""
    assert watched.after() == watched.after(YEAR_S) == []
    assert set(watched.watch.shown().values()) == {None}


def test_a_look_that_failed_is_shown_as_what_it_is(watched: Watched) -> None:
    """Its time and its trouble; before the first that succeeds there is no time of one."""
    watched.note(Looked(START_S, looked_s=START_S + 60, trouble="it does not answer"))

    shown = watched.watch.shown()

    assert (shown["updates_looked"], shown["updates_tried"]) == (None, START_S + 60)
    assert shown["updates_trouble"] == "it does not answer"


def test_looks_that_fail_are_told_after_14_days(watched: Watched) -> None:
    """Since the last that succeeded, in the words of the last trouble, until one succeeds."""
    assert watched.note(EXPIRED) == []
    assert watched.after(LATE_S - 1) == []

    (one,) = watched.after(3600)

    assert (one.code, one.severity) == ("updates-failing", "warning")
    assert one.text == "no look for updates has succeeded since 2026-11-24: the index has expired"
    assert one.hint == "check the clock"
    again = replace(EXPIRED, trouble="the key has expired", hint="")
    (one,) = watched.note(again)
    assert one.text.endswith(": the key has expired")
    assert "sudo pi-iot-agent updates" in one.hint
    assert watched.note(replace(LOOKED, succeeded_s=watched.clock.wall_s())) == []


def test_none_that_succeeded_counts_from_the_day_of_the_set_up(watched: Watched) -> None:
    """At once where that is long ago, as at the start of a process."""
    since_s = START_S - LATE_S
    assert watched.note(replace(EXPIRED, succeeded_s=0.0, since_s=since_s + 1)) == []
    (one,) = watched.note(replace(EXPIRED, succeeded_s=0.0, since_s=since_s))
    assert one.code == "updates-failing"


@pytest.mark.parametrize(("note", "late"), [(EXPIRED, 1), (WAITING, 2)])
def test_a_machine_that_was_off_has_the_time_to_catch_up(
    watched: Watched, note: Looked, late: int
) -> None:
    """For three hours after its start."""
    watched.clock.reboot(YEAR_S)
    assert watched.note(note) == []
    assert watched.after(3 * 3600 - 60) == []
    assert len(watched.after(3600)) == late


def test_a_machine_that_was_off_and_has_looked_in_vain_tells_it_at_once(watched: Watched) -> None:
    """It has had its time."""
    watched.clock.reboot(YEAR_S)
    assert len(watched.note(replace(EXPIRED, looked_s=watched.clock.wall_s()))) == 1


def test_looks_that_nobody_takes_are_told(watched: Watched) -> None:
    """There is no trouble in the note then; the timer may be off."""
    watched.note(LOOKED)
    (one,) = watched.after(LATE_S)
    assert one.text.endswith(": nobody has looked for them")
    assert "pi-iot-agent-updates.timer" in one.hint


def test_nothing_is_late_by_a_clock_that_is_not_set(watched: Watched) -> None:
    """It is judged as soon as the clock is set."""
    watched.clock.was_set = False
    watched.note(EXPIRED)
    assert watched.after(YEAR_S) == []
    watched.clock.was_set = True
    assert [one.code for one in watched.after(1)] == ["updates-failing"]


def test_what_is_late_is_judged_once_an_hour(watched: Watched) -> None:
    """Or with a new note."""
    watched.note(EXPIRED)
    watched.after(LATE_S - 60)
    assert watched.after(61) == []
    assert len(watched.after(3600 - 61)) == 1


@pytest.mark.parametrize("ahead_s", [YEAR_S, 20 * YEAR_S])
def test_times_ahead_of_the_clock_silence_nothing(watched: Watched, ahead_s: float) -> None:
    """They count from when they were seen: the clock was wrong when root wrote the note."""
    watched.note(replace(EXPIRED, succeeded_s=START_S + ahead_s))
    assert watched.after(LATE_S - 1) == []
    assert len(watched.after(3600)) == 1
    assert len(watched.note(replace(EXPIRED, succeeded_s=START_S + ahead_s, trouble="x"))) == 1


def test_a_clock_that_was_ahead_with_the_note_silences_nothing(watched: Watched) -> None:
    """Which is seen once it is set back."""
    watched.clock.jump(YEAR_S)
    watched.note(replace(EXPIRED, succeeded_s=watched.clock.wall_s()))
    watched.after(3600)
    watched.clock.jump(-YEAR_S)
    assert watched.after(3600) == []
    assert len(watched.after(LATE_S)) == 1


def test_a_version_that_waits_is_shown_at_once_and_told_after_14_days(watched: Watched) -> None:
    """Looks succeed meanwhile."""
    assert watched.note(WAITING) == []
    assert watched.watch.shown() == {
        "version_waiting": NEWER,
        "updates_since": WAITING.since_s,
        "updates_looked": WAITING.succeeded_s,
        "updates_tried": WAITING.looked_s,
        "updates_trouble": None,
    }
    watched.clock.pass_by(LATE_S)

    (one,) = watched.note(replace(WAITING, succeeded_s=watched.clock.wall_s()))

    assert (one.code, one.severity) == ("updates-failing", "warning")
    assert one.text == "version 0.2.0 waits since 2026-11-24 and is not installed"
    assert "`sudo pi-iot-agent updates` says what is in the way" in one.hint


def test_the_absence_of_what_installs_it_is_told(watched: Watched) -> None:
    """Without unattended-upgrades nothing is installed by itself."""
    watched.unattended.unlink()
    watched.clock.pass_by(LATE_S)
    (one,) = watched.note(replace(WAITING, succeeded_s=watched.clock.wall_s()))
    assert "unattended-upgrades is not on this device" in one.text
    assert "apt install unattended-upgrades" in one.hint


@pytest.mark.parametrize(("went", "waits"), [(KEPT, None), (ROLLED_BACK, None), (RESTORED, NEWER)])
def test_what_was_judged_since_waits_no_more(
    watched: Watched, went: str, waits: str | None
) -> None:
    """It is installed by then, or is held; one that was cut short comes again."""
    watched.note(WAITING)
    watched.note(Outcome(went, RAN, NEWER, "", START_S + 60))
    assert watched.waiting() == waits


def test_what_was_found_after_its_end_waits(watched: Watched) -> None:
    """A person has allowed it again, or gone back by hand."""
    watched.note(Outcome(ROLLED_BACK, RAN, NEWER, "", START_S - 60))
    watched.note(WAITING)
    assert watched.waiting() == NEWER


@pytest.mark.parametrize(
    "note", [replace(WAITING, waiting=RAN, installed="0.0.9"), replace(WAITING, installed=NEWER)]
)
def test_what_runs_does_not_wait(watched: Watched, note: Looked) -> None:
    """The note is older than the upgrade."""
    watched.note(note)
    assert watched.waiting() is None
    watched.clock.pass_by(LATE_S)
    assert watched.note(replace(note, succeeded_s=watched.clock.wall_s())) == []


@pytest.mark.parametrize(
    ("went", "severity", "text", "hint"),
    [
        (ROLLED_BACK, "warning", "version 0.2.0 was taken back to 0.1.0: it hangs", "journalctl"),
        (RESTORED, "info", "version 0.2.0 was taken back to 0.1.0: it hangs", "comes again"),
        (STUCK, "error", "version 0.2.0 cannot be taken back to 0.1.0: it hangs", "apt"),
    ],
)
def test_an_upgrade_that_did_not_last_is_told(
    watched: Watched, went: str, severity: str, text: str, hint: str
) -> None:
    """With its reason, whatever the clock, until a later one does."""
    watched.clock.was_set = False
    (one,) = watched.note(Outcome(went, RAN, NEWER, "it hangs", START_S))
    assert (one.code, one.severity) == ("rolled-back", severity)
    assert text in one.text
    assert hint in one.hint
    watched.watch = watched.anew()
    assert watched.after(YEAR_S) == [one]
    assert watched.note(Outcome(KEPT, RAN, "0.3.0", "", START_S)) == []


def test_a_version_that_runs_was_not_taken_back(watched: Watched) -> None:
    """The note comes before the old one is there, and lasts while the new one is tried again."""
    assert watched.note(Outcome(ROLLED_BACK, "0.0.9", RAN, "it hangs", START_S)) == []
    (one,) = watched.note(Outcome(STUCK, "0.0.9", RAN, "it hangs", START_S))
    assert one.code == "rolled-back"


def test_one_outcome_follows_another(watched: Watched) -> None:
    """With a severity of its own."""
    for went, severity in ((RESTORED, "info"), (ROLLED_BACK, "warning"), (STUCK, "error")):
        (one,) = watched.note(Outcome(went, RAN, NEWER, "x", START_S))
        assert one.severity == severity


def test_a_text_of_a_note_is_one_line_of_bounded_length(watched: Watched) -> None:
    """Whatever root's programs have said."""
    (one,) = watched.note(Outcome(ROLLED_BACK, RAN, NEWER, "a\nb\x1b[2J" * 400, START_S))
    assert one.text.isprintable()
    assert len(one.text) < 400


def test_what_waited_before_an_upgrade_is_not_said_to_wait(watched: Watched) -> None:
    """A later one may have been installed; the next look, or the end of the upgrade, tells."""
    watched.note(WAITING)
    assert watched.waiting() == NEWER
    began_s = WAITING.looked_s + 60

    write(Pending(RAN, NEWER, ready=True, online=True, began_s=began_s), watched.directory)
    watched.after()

    assert watched.waiting() is None
    watched.note(replace(WAITING, looked_s=began_s + 60))
    assert watched.waiting() == NEWER


def test_what_is_removed_is_over(watched: Watched) -> None:
    """A purge, or updates that are taken up no more; whether the clock is set or not."""
    watched.note(EXPIRED)
    watched.note(Outcome(ROLLED_BACK, RAN, NEWER, "x", START_S))
    assert len(watched.after(LATE_S)) == 2
    watched.clock.was_set = False
    remove(Looked, watched.directory)
    remove(Outcome, watched.directory)
    assert watched.after() == []
    assert set(watched.watch.shown().values()) == {None}


@pytest.mark.parametrize("text", ["", "{", '{"since_s": "x"}'])
def test_a_spoiled_note_is_none(watched: Watched, text: str) -> None:
    """The next look writes a new one."""
    watched.note(WAITING)
    (watched.directory / NAMES[Looked]).write_text(text)
    assert watched.after(LATE_S) == []
    assert watched.waiting() is None
    watched.note(WAITING)
    assert watched.waiting() == NEWER


def test_a_note_is_read_only_where_its_state_has_changed(watched: Watched) -> None:
    """By stat(2), which costs little with each tick."""
    watched.note(WAITING)
    before = watched.watch._looked
    watched.after(YEAR_S)
    assert watched.watch._looked is before
    os.utime(watched.directory / NAMES[Looked], (0, 0))
    watched.after()
    assert watched.watch._looked is not before
