"""Apt: a look counts only with an index that is signed, and is noted with what waits since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.updates import Looked, looked_of
from agent.updates.apt import LOCKED_TRIES, TIMED_OUT, Said, Versions, run, versions
from agent.updates.notes import write
from tests.unit.updates.machine import DAY_S, GOOD, NOW_S, Machine
from tests.unit.updates.said import RELEASES, said

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One with updates taken up."""
    made = Machine(tmp_path)
    made.take_up()
    return made


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", ["good", "swap-replay-older"])
def test_a_look_that_succeeds_is_noted(machine: Machine, release: str, name: str) -> None:
    """With what is installed, and that nothing waits."""
    machine.looks = [said(release)[name]]

    assert machine.look() is None
    assert machine.note == Looked(NOW_S, NOW_S, NOW_S, installed="0.1.0")


@pytest.mark.parametrize("release", RELEASES)
def test_a_look_that_fails_is_noted_with_its_trouble(machine: Machine, release: str) -> None:
    """Every one that was made to fail; the last that succeeded stays."""
    machine.look()
    machine.now_s += DAY_S
    for name, look in said(release).items():
        if look.code:
            machine.looks = [look]
            found = machine.look()
            assert found, name
            assert machine.note.trouble == found.text
            assert machine.note.hint == found.hint
            assert (machine.note.looked_s, machine.note.succeeded_s) == (NOW_S + DAY_S, NOW_S)


@pytest.mark.parametrize(
    "look",
    [
        Said(0, "Reading package lists...\n"),
        Said(0, ""),
        Said(0, GOOD.text.replace("Hit:1", "Ign:1")),
        Said(0, f"{GOOD.text}W: An error occurred during the signature verification.\n"),
        Said(0, f"{GOOD.text}W: GPG error: http://x InRelease: NO_PUBKEY DA13544DA6143337\n"),
        Said(0, f"{GOOD.text}E: Something new\n"),
        Said(1, GOOD.text),
        Said(-9, GOOD.text),
    ],
)
def test_an_exit_code_is_no_proof(machine: Machine, look: Said) -> None:
    """Nor is an index alone, where anything was complained of."""
    machine.looks = [look]

    assert machine.look()
    assert machine.note.succeeded_s == 0


def test_a_look_without_an_index_on_the_disk_failed(machine: Machine) -> None:
    """Whatever apt has said."""
    machine.has_index = False

    assert machine.look()


@pytest.mark.parametrize("origin", ["Debian", "", "pi-iot-agent of somebody"])
def test_another_repository_is_none_of_ours(machine: Machine, origin: str) -> None:
    """However well it is signed: what is pinned by the origin would come from there."""
    machine.origin = origin

    found = machine.look()

    assert found
    assert (found.kind, found.exit_code, found.passes) == ("foreign", 78, False)
    assert machine.note.succeeded_s == 0


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("name", "waits"),
    [
        *(("expired", ""), ("wrongkey", ""), ("revoked", "")),
        *(("dns", "0.2.0"), ("hash", "0.2.0"), ("unsigned", "0.2.0")),
    ],
)
def test_what_is_not_vouched_for_any_more_is_not_kept(
    machine: Machine, release: str, name: str, waits: str
) -> None:
    """Apt would install it by an index that it checks no more, by key or by date."""
    machine.candidate = "0.2.0"
    others = machine.lists / "deb.debian.org_debian_dists_stable_InRelease"
    others.touch()
    machine.look()
    assert machine.note.waiting == "0.2.0"
    machine.looks = [said(release)[name]]

    assert machine.look()

    assert machine.note.waiting == waits
    assert machine.release.exists() == bool(waits)
    assert others.exists()


def test_programs_of_others_after_a_look_are_no_trouble_of_ours(machine: Machine) -> None:
    """They may fail as they like."""
    hooks = "E: Problem executing scripts APT::Update::Post-Invoke 'false'\n"
    hooks += "E: Sub-process returned an error code\n"
    machine.looks = [Said(100, GOOD.text + hooks)]

    assert machine.look() is None


def test_a_warning_of_something_else_is_no_trouble(machine: Machine) -> None:
    """Such as of a key that will be too weak in a year."""
    machine.looks = [Said(0, f"{GOOD.text}W: {'x'}: Policy will reject signature within a year\n")]

    assert machine.look() is None


def test_another_program_that_looks_is_waited_for(machine: Machine) -> None:
    """For a while."""
    locked = said("trixie")["lock"]
    machine.looks = [locked, locked, GOOD]
    assert machine.look() is None
    assert len(machine.slept_s) == 2

    machine.looks = [locked]
    found = machine.look()
    assert found
    assert found.kind == "locked"
    assert len(machine.slept_s) == 2 + LOCKED_TRIES


def test_a_look_that_does_not_end_is_told(machine: Machine) -> None:
    """It passes."""
    machine.looks = [Said(TIMED_OUT, "")]

    found = machine.look()

    assert found
    assert found.passes
    assert "did not come to an end" in machine.note.trouble


def test_a_key_that_is_missing_or_spoiled_is_told_before_apt_is_asked(machine: Machine) -> None:
    """As apt of Debian 12 would say that it is another one."""
    keyring = machine.etc / "keyrings/pi-iot-agent.gpg"
    for spoil in (lambda: keyring.write_text("rubbish"), keyring.unlink):
        spoil()
        found = machine.look()
        assert found
        assert found.kind == "key-file"
        assert str(keyring) in found.text


def test_nothing_is_done_where_updates_are_not_taken_up(tmp_path: Path) -> None:
    """Neither by a look nor afterwards."""
    machine = Machine(tmp_path)

    assert machine.look() is None
    machine.refresh()

    assert looked_of(machine.directory) is None
    write(Looked(NOW_S), machine.directory)
    machine.refresh()
    assert machine.commands == []


def test_a_version_waits_since_it_was_seen_first(machine: Machine) -> None:
    """Until another one does, or none."""
    machine.candidate = "0.2.0"
    machine.look()
    machine.now_s += DAY_S
    machine.look()
    assert (machine.note.waiting, machine.note.waiting_since_s) == ("0.2.0", NOW_S)

    machine.candidate = "0.3.0"
    machine.look()
    assert (machine.note.waiting, machine.note.waiting_since_s) == ("0.3.0", NOW_S + DAY_S)

    machine.installed = "0.3.0"
    machine.look()
    assert (machine.note.waiting, machine.note.waiting_since_s) == ("", 0.0)


def test_what_waits_is_noted_after_an_upgrade_without_a_look(machine: Machine) -> None:
    """All else stays as the last look had it."""
    machine.candidate = "0.2.0"
    machine.look()
    before = machine.note
    machine.now_s += DAY_S
    machine.installed = "0.2.0"

    machine.refresh()

    assert machine.note == Looked(
        before.since_s, before.looked_s, before.succeeded_s, installed="0.2.0"
    )
    assert not any("update" in command for command in machine.commands[4:])


def test_a_version_that_fails_while_updates_wait_is_still_known(machine: Machine) -> None:
    """A look that failed changes nothing of what waits since when."""
    machine.candidate = "0.2.0"
    machine.look()
    machine.now_s += DAY_S
    machine.looks = [said("trixie")["dns"]]

    machine.look()

    assert (machine.note.waiting, machine.note.waiting_since_s) == ("0.2.0", NOW_S)


@pytest.mark.parametrize(
    ("installed", "candidate", "waiting"),
    [
        ("0.1.0", "0.2.0", "0.2.0"),
        ("0.2.0", "0.1.0", ""),
        ("0.1.0", "(none)", ""),
        ("(none)", "0.2.0", ""),
    ],
)
def test_only_a_newer_version_waits(
    machine: Machine, installed: str, candidate: str, waiting: str
) -> None:
    """Where one is installed."""
    machine.installed, machine.candidate = installed, candidate
    machine.look()

    found = versions(machine.etc, machine.run)

    assert found == Versions("" if installed == "(none)" else installed, waiting)


def test_an_apt_that_tells_no_versions_changes_none(machine: Machine) -> None:
    """As one that cannot read its settings; what it names is told."""
    machine.candidate = "0.2.0"
    machine.look()
    machine.broken = "E: Syntax error /etc/apt/apt.conf.d/99local:1: Extra junk at end of file"
    machine.looks = [Said(100, machine.broken)]

    found = machine.look()

    assert found
    assert "apt.conf.d/99local" in found.text
    assert "mend what it names" in found.hint
    assert (machine.note.installed, machine.note.waiting) == ("0.1.0", "0.2.0")


@pytest.mark.parametrize(("since_s", "kept"), [(NOW_S - DAY_S, True), (5.0, False), (9e9, False)])
def test_a_day_that_a_wrong_clock_gave_is_not_kept(
    machine: Machine, *, since_s: float, kept: bool
) -> None:
    """Long past or still to come, it would tell of trouble too early, or never."""
    write(Looked(since_s, 0.0, 9e9), machine.directory)
    machine.looks = [said("trixie")["dns"]]

    machine.look()

    assert machine.note.since_s == (since_s if kept else NOW_S)
    assert machine.note.succeeded_s == NOW_S


@pytest.mark.parametrize("release", RELEASES)
def test_a_clock_that_is_behind_changes_nothing_of_what_was_noted(
    machine: Machine, release: str
) -> None:
    """Its times may be right: the next look, by a clock that is set, finds them as they were."""
    machine.look()
    before = machine.note
    machine.now_s -= 400 * DAY_S
    machine.looks = [said(release)["clock-2h-behind"]]

    machine.look()

    after = machine.note
    assert (after.since_s, after.succeeded_s) == (before.since_s, before.succeeded_s)
    assert after.looked_s == machine.now_s


def test_a_program_is_run_in_english_without_input() -> None:
    """To its end, or until it took too long; one that is not there is an error as apt says it."""
    script = 'echo "$LC_ALL"; cat; echo wrong >&2; exit 3'

    assert run(["/bin/sh", "-c", script], 10) == Said(3, "C\nwrong\n")
    assert run(["/bin/sleep", "60"], 0.05).code == TIMED_OUT
    assert run(["/nowhere"], 1).text.startswith("E: /nowhere: No such file")
