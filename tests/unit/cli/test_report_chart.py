"""The report's charts in a terminal, and the words of both languages."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

import pytest

from agent.cli.report_chart import BLOCKS, Screen, chart, wide
from agent.cli.report_days import report
from agent.cli.report_figures import share, value
from agent.cli.report_page import page
from agent.cli.report_past import Past
from agent.cli.report_words import (
    CAUSES,
    LANGUAGES,
    TEXTS,
    Words,
    language_of,
)
from agent.facts import day_of
from agent.store import COUNTS, Hour, Outage
from agent.value import replace
from tests.unit.cli.report_case import NOW_S, past

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _utc(zone: Callable[[str], None]) -> None:
    """A clock without summer time."""
    zone("UTC0")


def drawn(known: Past, days: int = 7, language: str = "en", **screen: object) -> list[str]:
    """The lines of the charts."""
    found = report(known, days, NOW_S)
    assert found
    return chart(found, Words(language), Screen(**screen)).splitlines()  # type: ignore[arg-type]


def row(*numbers: float | None) -> Past:
    """A past of one day that begins with these counts; None is an hour that nobody observed."""
    start_s = day_of(NOW_S).start_s
    hours = (
        Hour(
            start_s + place * 3600,
            COUNTS,
            6,
            number or 0.0,
            observed_s=0.0 if number is None else 3600.0,
        )
        for place, number in enumerate(numbers)
    )
    return Past("cat", tuple(hours), (), ())


def test_unknown_none_and_each_shade_have_signs_of_their_own() -> None:
    """In blocks; in ASCII where the terminal has no others."""
    known = row(None, 0, 1, 4, 9, 16, 25, 36, 49, 64)
    (line,) = (
        one for one in drawn(known, columns=60) if one.startswith("Fri 27 Nov ") and "%" in one
    )
    assert line.split()[3] == f"?·{BLOCKS}????"
    (line,) = (
        one
        for one in drawn(known, columns=60, utf8=False)
        if one.startswith("Fri 27 Nov ") and "%" in one
    )
    assert line.split()[3] == "?.:-=+*%#@????"
    assert line.split()[4:] == ["204", "62", "%"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("columns", [60, 80, 100])
@pytest.mark.parametrize("days", [1, 7, 90])
def test_nothing_that_is_aligned_is_wider_than_the_terminal(
    language: str, columns: int, days: int
) -> None:
    """Rows of the heat map and of readings, also with characters of two columns."""
    lines = drawn(past(90), days, language, columns=columns)
    aligned = [one for one in lines if set("▁·%") & set(one)]
    assert len(aligned) > days
    assert max(map(wide, aligned)) <= columns
    heat = [one for one in lines if one.endswith(":40")]
    assert len(heat) == days
    assert len({wide(one) for one in heat}) == 1


def test_colours_are_backgrounds_and_end_with_their_cells() -> None:
    """Only where the terminal has them; nothing else is said to it."""
    plain, coloured = (drawn(past(7), colour=colour) for colour in (False, True))
    assert not any("\x1b" in one for one in plain)
    text = "\n".join(coloured)
    assert re.search(r"\x1b\[48;5;\d+m", text)
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in stripped
    assert len(stripped.splitlines()) == len(plain)
    for one in coloured:
        codes = re.findall(r"\x1b\[([0-9;]*)m", one)
        assert codes[1::2] == ["0"] * (len(codes) // 2)
        assert "0" not in codes[::2]


def test_a_terminal_without_other_signs_gets_ascii() -> None:
    """Units too; what a sensor's error says is its own."""
    outage = Outage(NOW_S - 900.0, "sensor", None, "room: off")
    lines = drawn(replace(past(7), outages=(outage,)), utf8=False)
    assert "\n".join(lines).isascii()
    assert any("C" in one and one.startswith("Temperature (room)") for one in lines)


def test_a_line_has_the_least_lowest_and_a_gap_where_nothing_was_read() -> None:
    """Its range stands beside it."""
    start_s = day_of(NOW_S).start_s
    hours = [
        Hour(start_s + hour * 3600, "room.temperature_c", 2, 2 * mean, mean - 1, mean + 1)
        for hour, mean in ((0, 20.0), (1, 23.5), (3, 27.0))
    ]
    newest = Hour(NOW_S - NOW_S % 3600, "room.temperature_c", 1, 20.0, 20.0, 20.0)
    lines = drawn(Past("cat", (*hours, newest), (), ()), 1)
    (line,) = (one for one in lines if one.startswith("Temperature (room)"))
    assert re.sub(r"\s+", " ", line) == "Temperature (room) ▁▅?█??????????▁ 19 °C to 28 °C"


def test_the_facts_above_say_what_is_not_known() -> None:
    """Without an agent nobody knows how quiet it is; without observation no number is told."""
    lines = drawn(row(None, None))
    assert "Last detection  unknown" in lines
    assert "Quiet for       unknown: the agent does not run" in lines
    assert "Detections      unknown" in lines
    assert "Observed        0 %" in lines
    now = replace(row(1), runs=True, quiet_s=8280.0, quiet_observed_s=7680.0)
    lines = drawn(replace(now, mode="away", mode_until_s=NOW_S + 3600.0))
    assert "Quiet for       2 h 18 min, 2 h 8 min of it observed" in lines
    assert "Mode            away, until Fri 27 Nov 15:35" in lines


def test_outages_are_told_with_their_causes_in_the_language() -> None:
    """What the agent says is translated, what others say stays."""
    known = replace(
        row(1),
        outages=(
            Outage(NOW_S - 7200.0, "agent", NOW_S - 3600.0, "power cut"),
            Outage(NOW_S - 600.0, "link", None, "no route"),
        ),
    )
    assert drawn(known)[-2:] == [
        "Fri 27 Nov 12:35  device off, 1 h: power cut",
        "Fri 27 Nov 14:25  offline, 10 min, still going on: no route",
    ]
    first, second = drawn(known, language="ja")[-2:]
    assert first.endswith("機器停止、1時間\uff1a停電または電源断")
    assert second.endswith("通信断、10分\uff08継続中\uff09\uff1ano route")


def fields(text: str) -> set[str]:
    """The names of the places in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_each_text_says_the_same_in_both_languages(key: str) -> None:
    """The same values are in both."""
    english, japanese = TEXTS[key]
    assert fields(english) == fields(japanese)
    assert english.isascii()


def test_each_reason_of_a_start_has_its_japanese() -> None:
    """Those that the agent gives itself."""
    reasons = {"power cut", "crash", "watchdog", "out of memory", "upgrade", "reboot", "restart"}
    assert reasons <= set(CAUSES)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "ja_JP"}, "ja"),
        ({"LC_ALL": "", "LANG": "ja"}, "ja"),
    ],
)
def test_the_language_is_the_environments(environment: dict[str, str], language: str) -> None:
    """As gettext(3) finds it."""
    assert language_of(environment) == language


def test_numbers_are_told_as_people_tell_them() -> None:
    """Pressure in hPa, memory in MB; nearly all is not all, and hardly any not none."""
    told = [value(101_330.0, "room.pressure_pa"), value(21.4499, "room.temperature_c")]
    assert told == ["1013.3 hPa", "21.4 °C"]
    assert value(210_412_000.0, "pi.memory_free_bytes") == "210.4 MB"
    assert value(0.000123456, "x.current_a") == "0.000123 A"
    assert [share(part) for part in (0, 0.001, 0.5, 0.999, 1)] == [
        "0 %",
        "1 %",
        "50 %",
        "99 %",
        "100 %",
    ]
    assert [Words("en").span(it) for it in (0, 3600, 90_061)] == ["0 min", "1 h", "1 d 1 h"]
    assert Words("ja").span(90_061) == "1日1時間"


@pytest.mark.parametrize("number", [123_456, 86_400_000])
def test_no_digit_of_a_total_is_cut(number: int) -> None:
    """However many are detected in a day; the column grows, and the row stays in the terminal."""
    lines = drawn(row(number), columns=80)
    (line,) = (one for one in lines if one.startswith("Fri 27 Nov ") and "%" in one)
    assert f" {number:,} " in line
    assert wide(line) <= 80


def usually(now: int, then: int) -> Past:
    """A past of three Fridays with `then` at noon, and today's first hour with `now`."""
    days = [day_of(NOW_S, days=-7 * weeks).start_s for weeks in range(1, 4)]
    hours = [Hour(at_s + 12 * 3600, COUNTS, 6, then, observed_s=3600.0) for at_s in days]
    return replace(row(now), hours=(*hours, *row(now).hours))


@pytest.mark.parametrize("now", [0, 1])
def test_the_scale_holds_what_is_usual(now: int) -> None:
    """A quiet morning and a busy usual day are not of one shade, and the legend has both."""
    lines = drawn(usually(now, 13), days=1, columns=80)
    (usual,) = (one for one in lines if one.startswith("usual today"))
    assert BLOCKS[-1] in usual
    (levels,) = (one for one in lines if one.startswith("up to: "))
    assert levels.endswith(f"{BLOCKS[-1]} 13")
    (today,) = (one for one in lines if one.startswith("Fri 27 Nov ") and "%" in one)
    assert BLOCKS[-1] not in today


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_counts_nothing_has_no_chart_of_counts(language: str) -> None:
    """A thermometer alone was read all the time: nobody looked for what is not to be counted."""
    known = past(3)
    known = replace(
        known,
        hours=tuple(one for one in known.hours if one.name != COUNTS),
        spells=(),
        last_s=None,
        quiet_s=None,
    )
    text = "\n".join(drawn(known, language=language))
    words = Words(language)
    assert words("quantities") in text
    for key in ("heat_map", "detections", "observed", "quiet_now", "last_detection", "unknown"):
        assert words(key) not in text
    found = report(known, 7, NOW_S)
    assert found
    html = page(found, words)
    for key in ("heat_map", "days", "legend_unknown"):
        assert words(key) not in html
    assert words("quantities") in html


def test_what_the_agent_itself_measures_has_names() -> None:
    """In both languages; another quantity is told by its words, without a unit that is shown."""
    names = (
        "cpu_temperature_c",
        "cpu_load_pct",
        "memory_used_pct",
        "memory_available_bytes",
        "disk_used_pct",
        "disk_free_bytes",
        "uptime_s",
        "wifi_signal_dbm",
    )
    english, japanese = Words("en"), Words("ja")
    for name in names:
        assert english.quantity(f"pi.{name}")[0].isupper()
        assert not japanese.quantity(f"pi.{name}").isascii()
        assert name.replace("_", " ") not in japanese.quantity(f"pi.{name}")
    assert english.quantity("pi.soil_moisture_pct") == "soil moisture (pi)"
    assert english.quantity("pi.people_seen") == "people seen (pi)"


def test_hours_that_were_not_read_are_seen_where_a_column_has_several() -> None:
    """A mean of the others would hide the gap."""
    start_s = day_of(NOW_S, days=-6).start_s
    hours = tuple(
        Hour(start_s + place * 3600, "room.temperature_c", 60, 60 * 20.0, 20.0, 20.0)
        for place in range(7 * 24 - 10)
        if place not in {80, 81, 82}
    )
    for columns in (60, 80, 120):
        lines = drawn(Past("cat", hours, (), ()), columns=columns)
        (line,) = (one for one in lines if one.startswith("Temperature"))
        assert "?" in line


def test_a_long_cause_is_folded_below_its_outage() -> None:
    """Between words, and nothing of it is lost."""
    cause = "no route to the endpoint, since the router gives no address to this device any more"
    known = replace(row(1), outages=(Outage(NOW_S - 600.0, "link", None, cause),))
    lines = drawn(known, columns=60)
    start = next(at for at, one in enumerate(lines) if one.startswith("Fri 27 Nov 14:25  "))
    assert len(lines[start:]) == 3
    assert all(wide(one) <= 60 for one in lines[start:])
    assert all(one.startswith(" " * 18) for one in lines[start + 1 :])
    assert " ".join(one.strip() for one in lines[start:]).endswith(f"still going on: {cause}")


def test_the_scale_of_a_line_has_its_unit() -> None:
    """That of people, as the words beside it have."""
    found = report(past(2), 2, NOW_S)
    assert found
    html = page(found, Words("en"))
    for unit in ("°C", "%", "hPa"):
        assert f">{unit}</text>" in html
