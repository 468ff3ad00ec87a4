"""`updates` and the flags of `setup` for them: what is written, looked for, told and refused."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

import pytest

from agent.cli import setup, update_flags, updates
from agent.cli.main import main
from agent.cli.questions import UsageError
from agent.errors import AgentError, NotPermittedError
from agent.updates import Pending, looked_of
from agent.updates.held import HELD, hold
from agent.updates.notes import write
from agent.updates.openpgp import KeyFileError, public_key
from agent.updates.sources import ETC, KEY, SOURCE, SourceError, current
from tests.unit.updates.keys import ARMOURED, BINARY, ENDED, FINGERPRINT, SECRET
from tests.unit.updates.machine import NOW_S, URL, Machine
from tests.unit.updates.said import said

if TYPE_CHECKING:
    from pathlib import Path

    from agent.cli.update_flags import Wanted


#: Another public key.
OTHER = BINARY.replace(b"good", b"nice")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One where updates are not taken up; its public key lies beside it."""
    (tmp_path / "key.asc").write_bytes(ARMOURED)
    (tmp_path / "other.asc").write_bytes(OTHER)
    (tmp_path / "third.asc").write_bytes(BINARY.replace(b"good", b"mine"))
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "ended").write_bytes(ENDED)
    return Machine(tmp_path)


def parsed(machine: Machine, *words: str) -> argparse.Namespace:
    """The arguments of `setup`; a file is one beside the machine."""
    subparsers = argparse.ArgumentParser().add_subparsers()
    setup.add(subparsers)
    place = str(machine.etc.parent)
    return subparsers.choices["setup"].parse_args([word.replace("@", place) for word in words])


def wanted(machine: Machine, *words: str, root: bool = True, apt: bool = True) -> Wanted | None:
    """What these arguments ask for."""
    given = parsed(machine, *words)
    return update_flags.wanted(given, etc=machine.etc, is_root=lambda: root, has_apt=lambda: apt)


def take_up(machine: Machine, *words: str) -> int:
    """Do as `setup` does with these arguments alone; the exit code."""
    place = wanted(machine, *words)
    assert place
    return update_flags.take_up(
        place, etc=machine.etc, directory=machine.directory, run=machine.run
    )


BOTH = ("--updates", URL, "--updates-key", "@/key.asc")


def test_updates_are_taken_up_and_looked_for(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is shown for who compares it; a second run gives the same."""
    assert take_up(machine, *BOTH) == 0

    told = capsys.readouterr().out
    assert f"Updates come from {URL}, signed with the key 3FD4 8CD0 B4CB" in told
    assert "Version 0.1.0 is installed; nothing newer is known. Looked for just now." in told
    source, since_s = current(machine.etc), machine.note.since_s
    assert source
    assert source.url == URL

    assert take_up(machine, *BOTH) == 0
    assert current(machine.etc) == source
    assert machine.note.since_s == since_s


@pytest.mark.parametrize(
    ("words", "url", "key"),
    [
        (("--updates", "file:///media/usb"), "file:///media/usb", BINARY),
        (("--updates-key", "@/other.asc"), URL, OTHER),
    ],
)
def test_one_flag_alone_changes_what_is_set_up(
    machine: Machine, words: tuple[str, ...], url: str, key: bytes
) -> None:
    """The URL, or the key."""
    take_up(machine, *BOTH)

    assert take_up(machine, *words) == 0

    source = current(machine.etc)
    assert source
    assert source.url == url
    assert source.key.read_bytes() == key


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (("--updates", URL), "--updates-key FILE"),
        (("--updates-key", "@/key.asc"), "--updates URL"),
    ],
)
def test_the_first_time_both_are_needed(
    machine: Machine, words: tuple[str, ...], missing: str
) -> None:
    """The one that is missing is named."""
    with pytest.raises(UsageError, match=missing):
        wanted(machine, *words)


def test_updates_end_with_off(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and note are gone; a second time it says that there were none."""
    take_up(machine, *BOTH)

    assert take_up(machine, "--updates", "off") == 0
    assert "no longer taken up" in capsys.readouterr().out
    assert current(machine.etc) is None
    assert looked_of(machine.directory) is None
    assert take_up(machine, "--updates", "off") == 0
    assert "were not taken up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        (("--updates", "off", "--updates-key", "@/key.asc"), UsageError, "takes no key"),
        ((*BOTH, "--allow"), UsageError, "--allow"),
        (("--updates", "ftp://host", "--updates-key", "@/key.asc"), SourceError, "no URL"),
        (("--updates", "", "--updates-key", "@/key.asc"), SourceError, "no URL"),
        (("--updates", URL, "--updates-key", "@/secret"), KeyFileError, "the secret key"),
        (("--updates", URL, "--updates-key", "@/ended"), KeyFileError, "ended on 2025-01-02"),
        (("--updates", URL, "--updates-key", "@/none"), AgentError, "none: No such file"),
        (("--updates", URL, "--updates-key", "@"), AgentError, "not a regular file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(
    machine: Machine, words: tuple[str, ...], error: type[AgentError], match: str
) -> None:
    """With what to do instead."""
    with pytest.raises(error, match=match) as raised:
        wanted(machine, *words)
    assert raised.value.hint
    assert not machine.etc.exists()


def test_only_root_says_where_updates_come_from(machine: Machine) -> None:
    """Others are told to use sudo."""
    for words in (BOTH, ("--updates", "off")):
        with pytest.raises(NotPermittedError) as raised:
            wanted(machine, *words, root=False)
        assert "sudo" in raised.value.hint


def test_a_machine_without_apt_is_told(machine: Machine) -> None:
    """Updates come by nothing else."""
    with pytest.raises(AgentError, match="no apt"):
        wanted(machine, *BOTH, apt=False)


def test_without_a_network_it_is_set_up_all_the_same(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """And told; the exit code is 0, since what was wanted is done."""
    machine.looks = [said("trixie")["dns"]]

    assert take_up(machine, *BOTH) == 0

    told = capsys.readouterr()
    assert "Not yet looked: the server of" in told.out
    assert "No look for updates has succeeded yet." in told.out
    assert told.err == ""
    assert current(machine.etc)


@pytest.mark.parametrize(
    ("look", "code", "text"),
    [("wrongkey", 78, "is signed with another key"), ("expired", 75, "is not valid any more")],
)
@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_a_repository_that_does_not_do_is_told_with_an_exit_code(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    *,
    release: str,
    look: str,
    code: int,
    text: str,
) -> None:
    """What was wanted is written nevertheless, so that the next run may give one flag alone."""
    machine.looks = [said(release)[look]]

    assert take_up(machine, *BOTH) == code

    told = capsys.readouterr().err
    assert text in told
    assert "hint: " in told
    assert current(machine.etc)


def test_another_repository_is_taken_away_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it stays, since more than this package could come from there."""
    machine.origin = "Debian"

    assert take_up(machine, *BOTH) == 78

    told = capsys.readouterr()
    assert "another repository" in told.err
    assert "It is taken away again: updates are not taken up." in told.out
    assert current(machine.etc) is None
    assert looked_of(machine.directory) is None


@pytest.mark.parametrize("name", ["file", "wrongkey", "foreign"])
def test_a_wrong_place_gives_way_to_the_one_before(
    machine: Machine, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Which is named; what was noted of it stays."""
    take_up(machine, *BOTH)
    before, note = current(machine.etc), machine.note
    if name == "foreign":
        machine.origin = "Debian"
    else:
        machine.looks = [said("trixie")[name]]

    assert take_up(machine, "--updates", "file:///media/usb") == 78

    assert f"Updates stay with {URL}." in capsys.readouterr().out
    assert current(machine.etc) == before
    assert machine.note == note


def test_a_key_that_was_replaced_never_comes_back(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have been stolen; nor is anything installed that it has signed."""
    machine.candidate = "0.2.0"
    take_up(machine, *BOTH)
    machine.looks = [said("bookworm")["wrongkey"]]

    assert take_up(machine, "--updates-key", "@/other.asc") == 78
    assert "It stays set up as given" in capsys.readouterr().out
    assert machine.note.waiting == ""
    assert not machine.release.exists()

    machine.looks = [said("bookworm")["file"]]
    words = ("--updates", "file:///media/usb", "--updates-key", "@/third.asc")
    assert take_up(machine, *words) == 78

    assert f"Updates stay with {URL}, and this key." in capsys.readouterr().out
    source = current(machine.etc)
    assert source
    assert (source.url, source.key.read_bytes()) == (URL, BINARY.replace(b"good", b"mine"))


def test_what_was_fetched_goes_with_its_source(machine: Machine) -> None:
    """So that nothing is there when another key is given for the same place."""
    take_up(machine, *BOTH)
    assert machine.release.exists()

    take_up(machine, "--updates", "off")

    assert not machine.release.exists()


def test_other_flags_of_setup_are_known(machine: Machine) -> None:
    """So that it does only this where nothing else is asked for."""
    alone = partial(parsed, machine)

    assert update_flags.alone(alone(*BOTH))
    assert update_flags.alone(alone("--updates", "off"))
    assert not update_flags.alone(alone(*BOTH, "--name", "x"))
    assert not update_flags.alone(alone(*BOTH, "--sensor", "a=simulated"))
    assert not update_flags.alone(alone(*BOTH, "--keep-key"))
    assert not update_flags.alone(alone("--name", "x"))
    assert not update_flags.alone(alone())
    assert wanted(machine, "--name", "x") is None


def work(machine: Machine, *, look_now: bool = True) -> int:
    """The command, as root on a machine with apt."""
    return updates.work(
        look_now=look_now,
        etc=machine.etc,
        directory=machine.directory,
        run=machine.run,
        is_root=lambda: True,
        has_apt=lambda: True,
    )


def test_the_command_looks_and_tells(
    machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Which version is installed, which waits, and how it comes."""
    machine.take_up()
    machine.candidate = "0.2.0"
    assert work(machine) == 0
    assert (
        "Version 0.1.0 is installed; 0.2.0 waits. Looked for just now." in capsys.readouterr().out
    )

    (tmp_path / "unattended-upgrade").touch()
    updates.show(
        etc=machine.etc,
        directory=machine.directory,
        run=machine.run,
        installer=tmp_path / "unattended-upgrade",
    )
    assert "now with: sudo apt-get install pi-iot-agent" in capsys.readouterr().out

    machine.looks = [said("trixie")["dns"]]
    machine.look()
    updates.show(
        etc=machine.etc,
        directory=machine.directory,
        run=machine.run,
        installer=tmp_path / "unattended-upgrade",
    )
    assert "apt-get install" not in capsys.readouterr().out


def test_the_command_tells_a_trouble_as_an_error(machine: Machine) -> None:
    """With the exit code of its kind, and noted for the agent."""
    machine.take_up()
    machine.looks = [said("bookworm")["revoked"]]

    with pytest.raises(AgentError, match="was revoked") as raised:
        work(machine)

    assert raised.value.exit_code == 78
    assert machine.note.trouble == raised.value.text


def test_without_a_look_the_last_one_is_told(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """And apt is not asked to look."""
    machine.take_up()
    work(machine)
    machine.looks = [said("trixie")["dns"]]
    capsys.readouterr()

    assert work(machine, look_now=False) == 0
    assert "Looked for just now." in capsys.readouterr().out


def test_the_command_says_how_updates_are_taken_up(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where they are not; what was noted before they were taken away by hand counts no more."""
    machine.take_up()
    machine.look()
    (machine.etc / SOURCE).unlink()

    assert work(machine) == 0
    assert looked_of(machine.directory) is None
    assert "sudo pi-iot-agent setup --updates URL --updates-key FILE" in capsys.readouterr().out


def test_only_root_looks(machine: Machine) -> None:
    """Others are told to use sudo; so is a machine without apt."""
    machine.take_up()
    with pytest.raises(NotPermittedError):
        updates.work(look_now=True, etc=machine.etc, is_root=lambda: False)
    with pytest.raises(AgentError, match="no apt"):
        updates.work(look_now=True, etc=machine.etc, is_root=lambda: True, has_apt=lambda: False)


def test_why_a_version_would_wait_for_ever_is_told(machine: Machine, tmp_path: Path) -> None:
    """Each reason with the command that ends it."""
    installer = tmp_path / "unattended-upgrade"
    assert "sudo apt install unattended-upgrades" in "".join(
        updates.obstacles(machine.run, installer)
    )
    installer.touch()
    assert updates.obstacles(machine.run, installer) == []
    machine.enabled = "masked"
    assert "systemctl unmask" in "".join(updates.obstacles(machine.run, installer))
    machine.enabled = "enabled"
    machine.periodic = {"APT::Periodic::Enable": "0"}
    assert "APT::Periodic::Enable is 0" in "".join(updates.obstacles(machine.run, installer))
    machine.periodic, machine.held = {}, "pi-iot-agent\n"
    assert "apt-mark unhold" in "".join(updates.obstacles(machine.run, installer))


def test_a_version_that_failed_here_is_told(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file that holds it back, beside one that is on trial."""
    machine.take_up()
    hold("0.3.0", machine.etc / HELD.relative_to(ETC))
    write(Pending("0.1.0", "0.4.0", ready=True, online=True, began_s=NOW_S), machine.directory)

    assert work(machine) == 0

    told = capsys.readouterr().out
    assert "0.3.0 failed here, and is held back by" in told
    assert "Version 0.4.0 is on trial since" in told


def test_a_key_that_is_gone_is_asked_for(machine: Machine) -> None:
    """Where none is given; nothing tells of a file that nobody has named."""
    take_up(machine, *BOTH)
    (machine.etc / KEY).unlink()

    with pytest.raises(UsageError, match="missing here") as raised:
        wanted(machine, "--updates", "file:///media/usb")

    assert "--updates-key" in raised.value.hint


def test_times_are_told_in_the_unit_that_a_person_would_choose(machine: Machine) -> None:
    """Of what waits, and of the last look; one that failed is no look."""
    machine.take_up()
    machine.candidate = "0.2.0"
    machine.look()
    later_s = machine.now_s + 3 * 86400

    assert updates.versions(machine.note, later_s) == (
        "Version 0.1.0 is installed; 0.2.0 waits for 3 days. Looked for 3 days ago."
    )
    machine.looks = [said("trixie")["dns"]]
    machine.look()
    assert "The last look that succeeded was 3 days ago." in updates.versions(machine.note, later_s)


def test_a_key_that_is_spoiled_is_told_beside_the_place(machine: Machine) -> None:
    """The fingerprint is that of the file that is there."""
    machine.take_up()
    source = current(machine.etc)
    assert source
    assert updates.place(source).replace(" ", "").endswith(f"{FINGERPRINT}.")
    assert public_key(ARMOURED).fingerprints == (FINGERPRINT,)
    source.key.unlink()
    assert "is missing or spoiled" in updates.place(source)


def test_a_configuration_that_is_wrong_keeps_no_device_from_its_updates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But one that is named has to be right."""
    (tmp_path / "agent.toml").write_text("rubbish")

    assert main(["updates", "--config", str(tmp_path / "agent.toml")]) == 78
    assert "agent.toml" in capsys.readouterr().err
    assert not (tmp_path / SOURCE).exists()
