"""The command `report` shows what the store keeps, or says that there is nothing yet."""

from __future__ import annotations

import io
import json
import stat
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.main import main
from agent.cli.output import Output
from agent.cli.report_days import report
from agent.cli.report_page import page
from agent.cli.report_words import Words
from agent.clock import Clock
from agent.config import StoreLimits
from agent.model import COUNT, NewRecord
from agent.store import COUNTS, Hour, Outage, open_store
from tests.unit.cli.conftest import add
from tests.unit.cli.report_case import NOW_S, past
from tests.unit.cli.test_status import running

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns in English."""
    for name, value in (("LC_ALL", "C.UTF-8"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)


@pytest.fixture
def kept(config: str) -> str:
    """A configuration whose store has the hour that goes on: seven detections, and a reading."""
    clock = Clock()
    now = clock.now()
    start_s = int(now.wall_s // 3600 * 3600)
    state = Path(config).with_name("state")
    state.mkdir()
    with open_store(StoreLimits(path=state / "store.db")) as store:
        store.note(
            Hour(start_s, COUNTS, 1, 7, first_s=now.wall_s, last_s=now.wall_s, observed_s=60),
            Hour(start_s, "room.temperature_c", 1, 21.5, 21.5, 21.5),
            Outage(now.wall_s - 900, "link", now.wall_s - 600, "no route"),
        )
        store.append(NewRecord(COUNT, now.wall_s, now, {"detect_count": 7}))
    return config


def test_without_a_store_the_report_says_so(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And makes none."""
    assert main(["report", "--config", config]) == 0
    assert "the history is empty" in capsys.readouterr().out
    assert not Path(config).with_name("state").exists()
    assert main(["report", "--config", config, "--language", "ja"]) == 0
    assert "まだ記録がありません" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["page.html", "-"])
def test_no_page_is_made_of_nothing(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Who sends it on sees that there is none, and has no sentence in its place."""
    target = name if name == "-" else str(tmp_path / name)
    assert main(["report", "--config", config, "--html", target]) == 75
    told = capsys.readouterr()
    assert told.out == ""
    assert "the history is empty" in told.err
    assert not (tmp_path / "page.html").exists()


def test_where_no_history_is_kept_the_report_says_so(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be no better in an hour."""
    add(config, "[store]\nhistory_days = 0\n")
    assert main(["report", "--config", config]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "history_days is 0" in told.err
    assert "in an hour" not in told.err


def test_the_report_shows_what_the_store_keeps(
    kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In text without colours where it is no terminal."""
    assert main(["report", "--config", kept, "--days", "2"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("cat: ")
    assert "Detections      7\n" in told
    assert "21.5 °C to 21.5 °C" in told
    assert "offline, 5 min: no route\n" in told
    assert "\x1b" not in told


def test_the_report_shows_what_the_running_agent_says(
    kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """How quiet it is, and the mode."""
    status = {"quiet_for_s": 3660, "last_detection": 1_795_790_100, "mode": "visitor"}
    with running(kept, json.dumps(status)):
        assert main(["report", "--config", kept]) == 0
    told = capsys.readouterr().out
    assert "Quiet for       1 h 1 min\n" in told
    assert "Mode            visitor\n" in told


def test_the_page_is_a_new_file_for_its_writer_alone(
    kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file that is there is written over, and no link is followed."""
    target = tmp_path / "page.html"
    assert main(["report", "--config", kept, "--html", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_text().startswith('<!DOCTYPE html>\n<html lang="en">')
    target.write_text("mine")
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "elsewhere.html")
    for name in (target, link, tmp_path / "nowhere" / "page.html", tmp_path):
        assert main(["report", "--config", kept, "--html", str(name)]) == 2
    assert target.read_text() == "mine"
    assert not link.exists()
    assert "--html" not in capsys.readouterr().out


def test_the_page_goes_to_standard_output(kept: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In the language that is asked for."""
    assert main(["report", "--config", kept, "--html", "-", "--language", "ja"]) == 0
    told = capfd.readouterr().out
    assert '<html lang="ja">' in told
    assert told.endswith("</html>\n")
    assert "時間ごとの検知回数" in told


@pytest.mark.parametrize("word", ["0", "-1", "x", "3661", "1e2"])
def test_no_other_number_of_days_is_taken(
    config: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From 1 to 3660, as history_days."""
    assert main(["report", "--config", config, "--days", word]) == 2
    assert "expected a number from 1 to 3660" in capsys.readouterr().err


def test_a_painted_text_keeps_its_colours_and_nothing_else() -> None:
    """Whatever else moves the cursor is shown, as in every text."""
    stream = io.StringIO()
    Output(stream).paint("\x1b[48;5;23m  \x1b[0m\x1b[2J\x1b[1;1Hx\r\n")
    assert stream.getvalue() == "\x1b[48;5;23m  \x1b[0m\\x1b[2J\\x1b[1;1Hx\\x0d\n"


def test_a_terminal_that_has_colours_is_given_them(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that is asked to have none (https://no-color.org), or that tells of none."""

    def shown(**environment: str) -> str:
        for name, value in ({"TERM": "xterm-256color", "NO_COLOR": ""} | environment).items():
            monkeypatch.setenv(name, value)
        raw = io.BytesIO()
        terminal = Terminal(raw, encoding="utf-8", write_through=True)
        with redirect_stdout(terminal):
            assert main(["report", "--config", kept]) == 0
        return raw.getvalue().decode()

    assert "\x1b[48;5;" in shown()
    assert "\x1b" not in shown(NO_COLOR="1")
    assert "\x1b" not in shown(TERM="vt100")


def test_a_terminal_of_ascii_gets_english_in_ascii(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever language the environment asks for."""
    monkeypatch.setenv("LC_ALL", "ja_JP.eucJP")
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with redirect_stdout(terminal):
        assert main(["report", "--config", kept]) == 0
    told = raw.getvalue().decode("ascii")
    assert "Detections by hour" in told
    assert "21.5 C" in told


class Terminal(io.TextIOWrapper):
    """A stream that says of itself that a person reads it."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_the_page_is_whole_and_asks_for_nothing(zone: Callable[[str], None]) -> None:
    """No address, no script, no style from elsewhere; what is forbidden is said first of all."""
    zone("UTC0")
    found = report(past(7), 7, NOW_S)
    assert found
    text = page(found, Words("en"))
    assert "default-src &#x27;none&#x27;" not in text
    assert text.index("Content-Security-Policy") < text.index("<style>")
    for word in ("http:", "https:", "src=", "<script", "@import", "<link"):
        assert word not in text.replace("default-src 'none'", "")
    assert text.count("<svg id=") == text.count('role="img"') == 4
    assert text.count("<details>") == 4
    assert sys.getsizeof(text) < 500_000
