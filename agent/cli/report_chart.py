"""Charts of the report for a terminal: a heat map of hours and days, a line for each quantity."""

from __future__ import annotations

import math
import re
from itertools import groupby
from unicodedata import east_asian_width

from agent.cli.report_figures import amount, share, value
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.cli.report_days import Cell, DayFacts, Report, Series
    from agent.cli.report_words import Words

#: Signs of the shades, of none, of none in an hour observed in part, and of what nobody looked at.
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = ":-=+*%#@"
NONE, NONE_ASCII, PART, UNKNOWN = "·", ".", "~", "?"

#: Signs of units in ASCII.
IN_ASCII = str.maketrans({"°": "", "µ": "u", "²": "2", "₂": "2", "³": "3", "Ω": "Ohm"})

#: Backgrounds of the shades, from dark to light on a dark screen and seen on a light one (xterm).
SHADES = (23, 29, 35, 71, 107, 143, 179, 215)
FAINT, RESET = "\x1b[2m", "\x1b[0m"

#: Columns beside the hours: total, where it needs no more, observed, longest quiet.
BESIDE = (6, 6, 8)

HOURS = 24
WIDTH_MIN, WIDTH_MAX = 56, 120
OUTAGES_MAX = 20


class Screen(Value):
    """Terminal that the charts are for: its columns, colours, and signs beside ASCII."""

    columns: int = 80
    colour: bool = False
    utf8: bool = True


def chart(report: Report, words: Words, screen: Screen) -> str:
    """All of it, for people."""
    text = "\n".join(_Chart(report, words, screen).lines())
    return text if screen.utf8 else text.translate(IN_ASCII)


def wide(text: str) -> int:
    """Columns that a terminal takes for the text."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def fit(text: str, columns: int, *, right: bool = False) -> str:
    """The text filled up with blanks, or cut, to so many columns."""
    while wide(text) > columns:
        text = text[:-1]
    blanks = " " * (columns - wide(text))
    return blanks + text if right else text + blanks


def fold(text: str, columns: int, indent: int) -> Iterator[str]:
    """The text in lines of so many columns at most, where blanks allow it; later ones indented."""
    line = ""
    for word in re.split("(?<=\\S) (?=\\S)", text):
        longer = f"{line} {word}" if line.strip() else f"{line}{word}"
        if line.strip() and wide(longer) > columns:
            yield line
            longer = " " * indent + word
        line = longer
    yield line


class _Chart:
    def __init__(self, report: Report, words: Words, screen: Screen) -> None:
        self._report = report
        self._words = words
        self._screen = screen
        self._width = min(max(screen.columns, WIDTH_MIN), WIDTH_MAX)
        self._signs = BLOCKS if screen.utf8 else ASCII
        labels = [words.short_day(day.day.start_s) for day in report.days]
        labels += [words("again", day=label) for label in labels if self._is_twice()]
        labels += [words("usual")] if any(report.usual) else []
        self._label = max(map(wide, labels)) + 1
        totals = (wide(amount(day.total)) for day in report.days if day.total is not None)
        self._columns = (max(BESIDE[0] - 1, *totals, 0) + 1, *BESIDE[1:])
        room = self._width - self._label - sum(self._columns)
        self._wide = 2 if room >= 2 * HOURS else 1

    def lines(self) -> Iterator[str]:
        """The report from the top."""
        words, report = self._words, self._report
        yield words.title(report.past.thing, len(report.days))
        first_s, last_s = (report.days[at].day.start_s for at in (0, -1))
        yield words.period(first_s, last_s, report.now_s)
        yield ""
        facts = [*about(report, words)]
        column = max((wide(name) for name, _ in facts), default=0) + 2
        for name, text in facts:
            yield fit(name, column) + text
        if report.counts:
            yield from self._titled("heat_map", self._heat_map())
        if report.series:
            yield from self._titled("quantities", self._quantities())
        yield from self._titled("outages", self._outages())

    def _titled(self, title: str, lines: Iterator[str]) -> Iterator[str]:
        yield ""
        yield self._words(title)
        yield from lines

    def _heat_map(self) -> Iterator[str]:
        words, report = self._words, self._report
        step = 3 if self._wide > 1 else 6
        ruler = "".join(f"{hour:<{step * self._wide}}" for hour in range(0, HOURS, step))
        heads = (words(key) for key in ("total", "seen", "quiet"))
        yield " " * self._label + ruler + self._beside(heads)
        for day in report.days:
            yield from self._day(day)
        if any(report.usual):
            cells = (self._shade(one.median) if one else (" ", "") for one in report.usual)
            yield fit(words("usual"), self._label) + self._painted(cells)
        yield ""
        yield from self._legend()

    def _day(self, day: DayFacts) -> Iterator[str]:
        words, label = self._words, self._words.short_day(day.day.start_s)
        for line in day.lines:
            name = words("again", day=label) if line.again else label
            cells = self._painted(map(self._cell, line.cells))
            beside = ""
            if not line.again:
                total = UNKNOWN if day.total is None else amount(day.total)
                spell = day.spell
                quiet = words.short_span(spell.observed_s) if spell else ""
                beside = self._beside((total, share(day.share), quiet))
            yield (fit(name, self._label) + cells + beside).rstrip()

    def _beside(self, texts: Iterator[str] | Sequence[str]) -> str:
        return "".join(
            fit(text, columns, right=True)
            for text, columns in zip(texts, self._columns, strict=True)
        )

    def _cell(self, cell: Cell | None) -> tuple[str, str]:
        if cell is None:
            return " ", ""
        if cell.count is None:
            return UNKNOWN, FAINT
        if cell.is_part:
            return PART, FAINT
        return self._shade(cell.count)

    def _shade(self, count: float) -> tuple[str, str]:
        """The sign of a count, and its colour."""
        level = self._report.scale.level(count)
        if not level:
            return (NONE if self._screen.utf8 else NONE_ASCII), FAINT
        if self._screen.colour:
            return " ", f"\x1b[48;5;{SHADES[level - 1]}m"
        return self._signs[level - 1], ""

    def _painted(self, cells: Iterator[tuple[str, str]]) -> str:
        """The cells side by side, in colour where there is one."""
        text = ""
        for colour, group in groupby(cells, key=lambda one: one[1]):
            signs = "".join(self._spread(sign) for sign, _ in group)
            text += f"{colour}{signs}{RESET}" if colour and self._screen.colour else signs
        return text

    def _spread(self, sign: str) -> str:
        return sign * self._wide if sign in self._signs else f"{sign:<{self._wide}}"

    def _legend(self) -> Iterator[str]:
        words, report = self._words, self._report
        cells = [cell for day in report.days for line in day.lines for cell in line.cells if cell]
        entries = [(self._shade(0), words("legend_none"))]
        if any(cell.is_part for cell in cells):
            entries.append(((PART, FAINT), words("legend_part")))
        if any(cell.count is None for cell in cells):
            entries.append(((UNKNOWN, FAINT), words("legend_unknown")))
        yield self._entries(entries)
        if bounds := report.scale.used().values():
            entries = [(self._shade(bound), amount(bound)) for bound in bounds]
            yield words("legend_levels", levels=self._entries(entries))
        if self._is_twice():
            yield words("again_about")
        if weeks := max((one.weeks for one in report.usual if one), default=0):
            yield words("usual_about", weeks=weeks)

    def _entries(self, entries: list[tuple[tuple[str, str], str]]) -> str:
        """Shades, each with what it stands for."""
        return "  ".join(
            f"{self._painted(iter([shade])).strip()} {told}" for shade, told in entries
        )

    def _is_twice(self) -> bool:
        return any(len(day.lines) > 1 for day in self._report.days)

    def _quantities(self) -> Iterator[str]:
        words, series = self._words, self._report.series
        names = {one.name: words.quantity(one.name) for one in series}
        label = min(max(map(wide, names.values())), self._width // 3) + 1
        ranges = {
            one.name: words("range", low=value(one.low, one.name), high=value(one.high, one.name))
            for one in series
        }
        beside = max(map(wide, ranges.values())) + 1
        columns = max(self._width - label - beside, 8)
        for one in series:
            yield (
                fit(names[one.name], label)
                + self._sparkline(one, columns)
                + fit(ranges[one.name], beside, right=True)
            )

    def _sparkline(self, series: Series, columns: int) -> str:
        """The means from the least to the greatest of them, a column for one step or several."""
        count = len(series.points)
        columns = min(columns, count)
        means: list[float | None] = []
        for column in range(columns):
            part = series.points[column * count // columns : (column + 1) * count // columns]
            known = [one.mean for one in part if one]
            is_told = 2 * len(known) > len(part)  # else a gap would be lost in a mean
            means.append(math.fsum(known) / len(known) if is_told else None)
        known = [one for one in means if one is not None]
        low = min(known, default=0.0)
        span = max(known, default=0.0) - low or 1.0
        top = len(self._signs) - 1
        return "".join(
            UNKNOWN if one is None else self._signs[round((one - low) / span * top)]
            for one in means
        )

    def _outages(self) -> Iterator[str]:
        words, report = self._words, self._report
        if not report.outages:
            yield words("no_outages")
        for one in report.outages[-OUTAGES_MAX:]:
            lasted = words.lasted(one, report.now_s)
            what = words("outage", kind=words.kind(one.kind), lasted=lasted)
            cause = words("because", cause=words.cause(one.cause)) if one.cause else ""
            moment = words.moment(one.began_s)
            yield from fold(f"{moment}  {what}{cause}", self._width, wide(moment) + 2)
        if (more := len(report.outages) - OUTAGES_MAX) > 0:
            yield words("more", number=more)


def about(report: Report, words: Words) -> Iterator[tuple[str, str]]:
    """The facts at the top of a report: each with its name; of detections where it counts any."""
    now, total, last_s = report.past, report.total, report.last_s
    if report.counts:
        yield words("last_detection"), words("unknown") if last_s is None else words.moment(last_s)
        quiet = words("unknown" if now.runs else "not_running")
        if now.quiet_s is not None:
            quiet = words.span(now.quiet_s)
            if now.quiet_observed_s is not None:
                quiet = words("of_which", span=quiet, observed=words.span(now.quiet_observed_s))
        yield words("quiet_now"), quiet
    if now.mode:
        mode = words.mode(now.mode)
        if now.mode_until_s is not None:
            mode = words("until", mode=mode, moment=words.moment(now.mode_until_s))
        yield words("mode"), mode
    if report.counts:
        number = words("unknown") if total is None else words("sum", number=amount(total))
        yield words("detections"), number
        yield words("observed"), share(report.share)
