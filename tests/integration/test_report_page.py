"""The page of `report` in a real Chromium: everybody can read it, and it shows the data."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.cli.report_days import report
from agent.cli.report_page import page
from agent.cli.report_words import Words
from agent.store import COUNTS, Outage
from agent.value import replace
from tests.integration.browser import PROGRAM, Browser
from tests.unit.cli.report_case import past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.cli.report_past import Past

AXE = Path(sys.prefix) / "axe" / "axe_playwright_python" / "axe.min.js"

#: The 25th of October 2026 by the clocks of Berlin, which are put back on it, 14:40.
ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"
NOW_S = 1_792_935_600
DAYS = 2

#: What a hostile service could have the report tell.
HOSTILE = '"><script>document.title = "taken"</script><img src="https://example.com/x">'

TABLES = """
Object.fromEntries([...document.querySelectorAll("table")].map(table => [
    table.caption.textContent,
    [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)),
]))
"""
CELLS = '[...document.querySelectorAll("#heat rect title")].map(title => title.textContent)'
OPEN = 'document.querySelectorAll("details").forEach(one => { one.open = true })'
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
RUN_AXE = """
axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(one =>
    one.id + ": " + one.help + ": " + one.nodes.slice(0, 3).map(node => node.html).join(" | ")))
"""


@pytest.fixture(scope="module", autouse=True)
def _in_berlin() -> Iterator[None]:
    """The local time is Berlin's."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = ZONE
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests, as its start takes longest."""
    if not PROGRAM and "CI" not in os.environ:
        pytest.skip("no Chromium is here: apt install chromium")
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def case() -> Past:
    """The past of this test."""
    return past(DAYS, NOW_S, quantities=2)


def shown(browser: Browser, directory: Path, language: str) -> None:
    """Show the page of the case, with what a hostile service could put in it."""
    known = case()
    outages = (*known.outages, Outage(NOW_S - 9000, HOSTILE, NOW_S - 8000, HOSTILE))
    found = report(replace(known, thing=HOSTILE, outages=outages), DAYS, NOW_S)
    assert found
    file = directory / f"{language}.html"
    file.write_text(page(found, Words(language)), encoding="utf-8")
    browser.show(file)
    browser.value(OPEN)


@pytest.mark.parametrize(
    ("language", "width", "dark"),
    [("en", 360, False), ("en", 1280, True), ("ja", 360, True), ("ja", 1280, False)],
)
def test_everybody_can_read_the_page(
    browser: Browser, tmp_path: Path, language: str, width: int, *, dark: bool
) -> None:
    """Axe finds nothing on a phone nor on a large screen, light or dark; none has to scroll it."""
    shown(browser, tmp_path, language)
    browser.look(width=width, dark=dark)
    assert browser.value(OVERFLOW) <= 0
    browser.value(AXE.read_text(encoding="utf-8"))
    assert browser.value(RUN_AXE) == []


def test_axe_finds_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    """A faint text and a picture without a name are found, so that none found means something."""
    shown(browser, tmp_path, "en")
    browser.look(width=1280, dark=False)
    browser.value(AXE.read_text(encoding="utf-8"))
    browser.value(
        'document.querySelector("h1").style.color = "#bbbbbb";'
        'document.querySelector("#heat").removeAttribute("aria-labelledby");'
        'document.querySelectorAll("#heat title").forEach(one => one.remove())'
    )
    told = browser.value(RUN_AXE)
    assert {one.partition(":")[0] for one in told} == {"color-contrast", "svg-img-alt"}


def test_the_page_loads_nothing_and_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    """What a hostile service put in is text; nothing is asked for, and nothing was forbidden."""
    shown(browser, tmp_path, "en")
    asked = [
        one["params"]["request"]["url"]
        for one in browser.events
        if one.get("method") == "Network.requestWillBeSent"
    ]
    assert asked == [(tmp_path / "en.html").as_uri()]
    assert not [one for one in browser.events if one.get("method") == "Log.entryAdded"]
    assert browser.value("document.title") == f"{HOSTILE}: the last {DAYS} days"
    assert browser.value('document.querySelectorAll("img, script, link").length') == 0


def test_the_heat_map_and_its_table_show_the_data(browser: Browser, tmp_path: Path) -> None:
    """Each hour of the store is in a cell and in the table, also the one that comes twice."""
    shown(browser, tmp_path, "en")
    cells, expected = browser.value(CELLS), []
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    totals: dict[str, float] = defaultdict(float)
    for hour in case().hours:
        if hour.name != COUNTS:
            continue
        at = time.localtime(hour.start_s)
        day, clock = time.strftime(f"%a {at.tm_mday} %b", at), time.strftime("%H:00", at)
        span_s = min(3600, NOW_S - hour.start_s)
        percent = min(100, round(hour.observed_s / span_s * 100)) if span_s else 0
        line = f"{day} again" if str(at.tm_hour) in rows[day] else day
        number = f"{hour.total:.0f}"
        told = f"{number} detection{'' if hour.total == 1 else 's'}, observed {percent} %"
        if hour.observed_s == 0:
            number, told = "?", "unknown, nobody looked"
        elif percent < 90:
            number += f" ({percent} %)"
        expected.append(f"{line} {clock}: {told}")
        rows[line][str(at.tm_hour)] = number
        totals[day] += hour.total
    assert sorted(cells) == sorted(expected)
    head, *lines = browser.value(TABLES)["Detections by hour"]
    assert [line[0] for line in lines] == [*rows]
    for label, *numbers, total in lines:
        there = {hour: number for hour, number in zip(head[1:25], numbers, strict=True) if number}
        assert there == rows[label]
        assert total == (f"{totals[label]:.0f}" if label in totals else "")
    assert [line[0] for line in lines if line[0].endswith("again")] == ["Sun 25 Oct again"]


def test_the_tables_of_readings_show_the_data(browser: Browser, tmp_path: Path) -> None:
    """Low, mean and high of each hour that has readings, and of no other."""
    shown(browser, tmp_path, "ja")
    tables: dict[str, Any] = browser.value(TABLES)
    expected = []
    for hour in case().hours:
        if hour.name == "room.temperature_c":
            at = time.localtime(hour.start_s)
            weekday = "月火水木金土日"[at.tm_wday]
            assert hour.low is not None
            assert hour.high is not None
            values = (hour.low, hour.total / hour.number, hour.high)
            day = f"{at.tm_mon}月{at.tm_mday}日\uff08{weekday}\uff09"
            told = [f"{round(one, 1):g} °C" for one in values]
            expected.append([f"{day} {at.tm_hour:02}:00", *told])
    head, *lines = tables["温度\uff08room\uff09"]
    assert head == ["時刻", "最低", "平均", "最高"]
    assert lines == expected
