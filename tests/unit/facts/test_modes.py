"""A mode holds until its end, over restarts, and never by mistake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agent.facts import MODE_FILE, Mode, ModeFile, wanted
from tests.fakes import START_S, FakeClock, House
from tests.unit.facts.watched_home import Home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AWAY = Mode("away", START_S + 3600, START_S, "cloud")


@pytest.fixture
def berlin(zone: Callable[[str], None]) -> None:
    """The local clock of Berlin."""
    zone("CET-1CEST,M3.5.0,M10.5.0/3")


@pytest.fixture
def clock() -> FakeClock:
    """A clock."""
    return FakeClock()


@pytest.fixture
def modes(tmp_path: Path, clock: FakeClock) -> ModeFile:
    """The file, not there yet."""
    return ModeFile(tmp_path / MODE_FILE, clock.wall_s)


def test_a_mode_holds_until_its_end(modes: ModeFile, clock: FakeClock) -> None:
    """To the second, for whoever reads the file."""
    assert modes.now() == Mode()
    modes.set(AWAY)
    clock.pass_by(3599)
    assert modes.now() == modes.read() == AWAY
    clock.pass_by(1)
    assert modes.now() == Mode()
    assert modes.read() == AWAY


def test_a_clock_that_is_not_set_ends_no_mode(modes: ModeFile, clock: FakeClock) -> None:
    """It may be hours ahead; once it is set, it is over."""
    modes.set(AWAY)
    clock.jump(86_400)
    assert modes.now(is_set=False) == AWAY
    assert modes.now(is_set=True) == Mode()


def test_a_mode_that_was_over_before_a_power_cut_stays_over(modes: ModeFile) -> None:
    """Though nobody has set the clock since: it is later than the last sign of life."""
    modes.set(AWAY)
    modes.after_s = AWAY.until_s - 1
    assert modes.now(is_set=False) == AWAY
    modes.after_s = AWAY.until_s
    assert modes.now(is_set=False) == Mode()


def test_what_another_process_sets_is_seen(
    modes: ModeFile, tmp_path: Path, clock: FakeClock
) -> None:
    """The command and the agent write the same file; the last one counts."""
    other = ModeFile(tmp_path / MODE_FILE, clock.wall_s)
    other.set(AWAY)
    assert modes.now() == AWAY
    other.set(Mode("test", START_S + 60, START_S, "command"))
    assert modes.now().name == "test"
    other.set(Mode())
    other.set(Mode())
    assert modes.now() == Mode()
    assert list(tmp_path.iterdir()) == []


class CountedReads(ModeFile):
    """Counts how often the file is read."""

    reads = 0

    def read(self) -> Mode:
        """The mode in it."""
        self.reads += 1
        return super().read()


def test_the_file_is_private_and_read_only_when_it_changes(tmp_path: Path) -> None:
    """A step of the sampler costs one look at its name."""
    modes = CountedReads(tmp_path / MODE_FILE, lambda: START_S)
    for number in (1, 2):
        modes.set(AWAY)
        assert (tmp_path / MODE_FILE).stat().st_mode & 0o777 == 0o600
        for _ in range(3):
            assert modes.now() == AWAY
        assert modes.reads == number


def test_what_a_newer_agent_has_added_to_a_mode_does_no_harm(
    modes: ModeFile, tmp_path: Path
) -> None:
    """The family is still away after it was taken back."""
    modes.set(AWAY)
    path = tmp_path / MODE_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": {"a": [1]}}))
    assert modes.now() == AWAY


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"{",
        b"[" * 4000,
        b"[]",
        b"{}",
        b'{"mode": "away"}',
        b'{"mode": "off", "until": 1795503600}',
        b'{"mode": ["away"], "until": 1795503600}',
        b'{"mode": "away", "until": NaN}',
        b'{"mode": "away", "until": 1e999}',
        b'{"mode": "away", "until": "1795503600"}',
        b'{"mode": "away", "until": 1795503600, "x": "' + b"x" * 4096 + b'"}',
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_spoiled_file_is_no_mode_and_told_once(
    modes: ModeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    """Rules then work; a sound file in its place is taken."""
    (tmp_path / MODE_FILE).write_bytes(text)
    for _ in range(3):
        assert modes.now() == Mode()
    (told,) = caplog.messages
    assert MODE_FILE in told
    modes.set(AWAY)
    assert modes.now() == AWAY


def test_a_link_or_a_directory_is_no_mode(
    modes: ModeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can write in the directory leads nobody out of it."""
    path = tmp_path / MODE_FILE
    elsewhere = ModeFile(tmp_path / "elsewhere", lambda: START_S)
    elsewhere.set(AWAY)
    path.symlink_to(tmp_path / "elsewhere")
    assert modes.now() == Mode()
    assert "is a link" in caplog.text
    path.unlink()
    path.mkdir()
    assert modes.now() == Mode()
    assert len(caplog.messages) == 2


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("until", "text"),
    [
        (START_S + 86_400, "Wed 25 Nov 2026 07:00"),
        (START_S + 0.5, "Tue 24 Nov 2026 07:00"),
        ("2026-12-01T18:00", "Tue 1 Dec 2026 18:00"),
        ("2026-12-01 18:00", "Tue 1 Dec 2026 18:00"),
        ("2026-12-01", "Tue 1 Dec 2026 00:00"),
        ("2026-12-01T18:00Z", "Tue 1 Dec 2026 19:00"),
        ("2026-12-01T18:00+09:00", "Tue 1 Dec 2026 10:00"),
        ("2027-07-01T18:00", "Thu 1 Jul 2027 18:00"),
    ],
)
def test_an_end_is_told_by_the_local_clock(until: object, text: str) -> None:
    """Seconds, or ISO 8601, whose local hour is that of the day, summer or winter."""
    mode = wanted("visitor", until, now_s=START_S, by="cloud")
    assert mode.text == f"visitor until {text}"
    assert mode.rests


@pytest.mark.parametrize("name", [None, 7, "", "AWAY", "holiday", ["away"], {}, True])
def test_what_is_no_mode_is_refused(name: object) -> None:
    """Whatever JSON has."""
    with pytest.raises(ValueError, match="is no mode: away, visitor, test or off"):
        wanted(name, START_S + 60, now_s=START_S, by="cloud")


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (None, "until when"),
        (True, "until when"),
        ([], "until when"),
        (float("nan"), "until when"),
        (float("inf"), "until when"),
        (10**400, "until when"),
        (-1, "until when"),
        (START_S, "over already"),
        ("2026-11-24", "over already"),
        (START_S + 367 * 86_400, "more than 366 days"),
        ("2099-12-31", "more than 366 days"),
        ("0001-01-01", "over already|until when|no time such as"),
        ("", "no time such as"),
        ("tomorrow", "no time such as"),
        ("2026-13-01", "no time such as"),
        ("\ud800", "no time such as"),
        ("9" * 100_000, "no time such as"),
    ],
)
def test_an_end_that_cannot_be_is_refused(until: object, words: str) -> None:
    """In words, and in few."""
    with pytest.raises(ValueError, match=words) as told:
        wanted("away", until, now_s=START_S, by="cloud")
    assert len(str(told.value)) < 100


def test_off_needs_no_end() -> None:
    """And takes any."""
    assert not wanted("off", None, now_s=START_S, by="cloud").name
    assert not wanted("off", "soon", now_s=START_S, by="cloud").text


def test_every_record_says_the_mode_until_it_is_over(tmp_path: Path) -> None:
    """Over a crash too; so do the status and its condition."""
    house = House(tmp_path)
    house.start()
    modes = ModeFile(tmp_path / MODE_FILE, house.clock.wall_s)
    modes.set(Mode("visitor", START_S + 900, START_S, "command"))
    house.live(600, detections=1)
    house.crash()
    house.start()
    assert house.facts.shown()["mode"] == "visitor"
    assert house.facts.shown()["mode_until"] == START_S + 900
    house.live(60)
    assert house.conditions()["mode-set"].startswith("visitor until ")
    house.live(540)
    assert "mode-set" not in house.conditions()
    assert house.facts.shown()["mode"] is None
    house.live(600)
    assert {one.body.get("mode") for one in house.records() if one.timestamp_s < START_S + 900} == {
        "visitor"
    }
    assert [one.body.get("mode") for one in house.records()][-1] is None
    house.stop()
    assert json.loads((tmp_path / MODE_FILE).read_text())["by"] == "command"


def test_another_mode_stands_since_it_was_taken(tmp_path: Path) -> None:
    """Not since the one before; the same one with another end goes on."""
    home = Home(tmp_path)
    modes, since_s = home.facts.modes, []
    for name, hours in (("test", 2), ("away", 2), ("away", 3)):
        now_s = home.clock.wall_s()
        modes.set(Mode(name, now_s + hours * 3600, now_s, "command"))
        home.live(600)
        (mode,) = (one for one in home.health.snapshot().conditions if one.code == "mode-set")
        since_s.append(mode.since)
    assert since_s[0] < since_s[1] == since_s[2]
    home.close()
