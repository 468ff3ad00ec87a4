"""SVG charts of the report: a heat map of hours and days, a line with its band for a quantity.

Each names itself to who cannot see it. Colours are the page's, by classes.
"""

from __future__ import annotations

import math
from html import escape
from itertools import groupby

from agent.cli.report_figures import amount, scale, share, value
from agent.cli.units import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from agent.cli.report_days import Cell, Point, Report, Series
    from agent.cli.report_words import Words

    Mapped: TypeAlias = Callable[[float], float]

#: Size of a cell of the heat map and the gap to the next; room for names and totals beside it.
CELL, GAP = 24, 2
LEFT, RIGHT, TOP = 104, 64, 24
HOURS = 24

#: What fills a cell that nobody looked at.
PATTERN = (
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path class="hatch" d="M0 0V5"/></pattern></defs>'
)

#: Size of a line chart, and the room around it.
WIDTH, HEIGHT = 744, 202
LINE_LEFT, LINE_RIGHT, LINE_TOP, LINE_BOTTOM = 52, 12, 22, 24

#: About so many lines across a chart, and names of days below it.
GRID, NAMES = 4, 7

#: The part of a number below which two are not told apart, and the part of a step by which a value
#: may miss its line.
FINEST, SLACK = 1e-12, 1e-9


def heat_map(report: Report, words: Words) -> str:
    """Hours across, days down; each cell tells its number to who points at it."""
    lines = [(day, line) for day in report.days for line in day.lines]
    width = LEFT + HOURS * CELL + RIGHT
    drawn = [PATTERN, _ruler(), _text(width - 4, TOP - 8, words("total"), "end")]
    for row, (day, line) in enumerate(lines):
        name, base = words.day(day.day.start_s), TOP + row * CELL + 16
        shown = words("again", day=name) if line.again else name
        drawn.append(_text(LEFT - 8, base, shown, "end"))
        drawn += [
            _square(_shade(report, cell), column, TOP + row * CELL, _told(words, shown, cell))
            for column, cell in enumerate(line.cells)
            if cell
        ]
        if not line.again:
            total = "?" if day.total is None else amount(day.total)
            drawn.append(_text(width - 4, base, total, "end"))
    height = TOP + len(lines) * CELL
    if any(report.usual):
        drawn += _usual(report, words, len(lines))
        height += CELL + 3 * GAP
    return _svg("heat", (width, height), words("heat_map"), words("heat_map_about"), "".join(drawn))


def line_chart(series: Series, report: Report, words: Words, number: int) -> str:
    """Mean as a line, low to high as a band; a gap where nothing was read."""
    days = report.days
    first_s, last_s = days[0].day.start_s, days[-1].day.end_s
    factor, unit = scale(series.name)
    lines = ticks(series.low * factor, series.high * factor)
    bottom, top = lines[0], lines[-1]

    def across(at_s: float) -> float:
        return LINE_LEFT + (at_s - first_s) / (last_s - first_s) * (WIDTH - LINE_LEFT - LINE_RIGHT)

    def down(number: float) -> float:
        return LINE_TOP + (top - number * factor) / (top - bottom) * (
            HEIGHT - LINE_TOP - LINE_BOTTOM
        )

    drawn = [_text(LINE_LEFT - 6, LINE_TOP - 10, unit, "end")] if unit else []
    for tick in lines:
        drawn.append(
            f'<path class="grid" d="M{LINE_LEFT} {down(tick / factor):.1f}H{WIDTH - LINE_RIGHT}"/>'
        )
        drawn.append(_text(LINE_LEFT - 6, down(tick / factor) + 4, _short(tick), "end"))
    every = math.ceil(len(days) / NAMES)
    for index in range(0, len(days), every):
        start_s = days[index].day.start_s
        end_s = days[min(index + every, len(days)) - 1].day.end_s
        left, middle = across(start_s), across((start_s + end_s) / 2)
        drawn.append(f'<path class="grid" d="M{left:.1f} {LINE_TOP}V{HEIGHT - LINE_BOTTOM}"/>')
        if index == 0 or every == 1 or end_s < last_s or len(days) % every == 0:
            drawn.append(
                _text(
                    left if every > 1 else middle,
                    HEIGHT - 7,
                    words.day(start_s),
                    "start" if every > 1 else "middle",
                )
            )
    for known, run in groupby(series.points, key=lambda one: one is not None):
        if known:
            drawn.append(_run([one for one in run if one], across, down))
    about = words(
        "series_about",
        **{key: value(getattr(series, key), series.name) for key in ("low", "mean", "high")},
    )
    return _svg(
        f"line{number}", (WIDTH, HEIGHT), words.quantity(series.name), about, "".join(drawn)
    )


def _svg(name: str, size: tuple[int, int], title: str, about: str, inner: str) -> str:
    """A drawing that names and describes itself."""
    width, height = size
    return (
        f'<svg id="{name}" role="img" aria-labelledby="{name}-title {name}-about" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-about">{escape(about)}</desc>{inner}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _ruler() -> str:
    """Every third hour, above its column."""
    return "".join(
        _text(LEFT + hour * CELL, TOP - 8, f"{hour}", "start") for hour in range(0, HOURS, 3)
    )


def _told(words: Words, day: str, cell: Cell) -> str:
    """An hour in words."""
    hour, count = words.clock(cell.start_s), words.count(cell.count)
    if cell.count is None:
        return words("cell_unknown", day=day, hour=hour, count=count)
    return words("cell", day=day, hour=hour, count=count, share=share(cell.share))


def _shade(report: Report, cell: Cell) -> str:
    """The class of an hour."""
    if cell.count is None:
        return "unknown"
    return "part" if cell.is_part else f"l{report.scale.level(cell.count)}"


def _usual(report: Report, words: Words, row: int) -> Iterator[str]:
    """The rhythm of this weekday, below the days."""
    top = TOP + row * CELL + 3 * GAP
    yield _text(LEFT - 8, top + 16, words("usual"), "end")
    for column, one in enumerate(report.usual):
        if one:
            told = words(
                "usual_cell",
                hour=f"{column:02}:00",
                median=_few(one.median),
                low=_few(one.low),
                high=_few(one.high),
                weeks=one.weeks,
            )
            yield _square(f"l{report.scale.level(one.median)}", column, top, told)


def _square(shade: str, column: int, top: int, told: str) -> str:
    size = CELL - GAP
    return (
        f'<rect class="{shade}" x="{LEFT + column * CELL}" y="{top}" width="{size}" '
        f'height="{size}" rx="3"><title>{escape(told)}</title></rect>'
    )


def _few(number: float) -> str:
    return plain(round(number, 1))


def _run(points: list[Point], across: Mapped, down: Mapped) -> str:
    """A band and a line without a gap; a dot for one point that stands alone."""
    xs = [across((one.start_s + one.end_s) / 2) for one in points]
    if len(points) == 1:
        (one,) = points
        return (
            f'<path class="span" d="M{xs[0]:.1f} {down(one.high):.1f}V{down(one.low):.1f}"/>'
            f'<circle class="dot" cx="{xs[0]:.1f}" cy="{down(one.mean):.1f}" r="2.5"/>'
        )
    highs = [f"{x:.1f} {down(one.high):.1f}" for x, one in zip(xs, points, strict=True)]
    lows = [f"{x:.1f} {down(one.low):.1f}" for x, one in zip(xs, points, strict=True)]
    means = [f"{x:.1f} {down(one.mean):.1f}" for x, one in zip(xs, points, strict=True)]
    return (
        f'<path class="band" d="M{"L".join(highs + lows[::-1])}Z"/>'
        f'<path class="mean" d="M{"L".join(means)}"/>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, two at least, from at most `low` to at least `high`."""
    rough, size = (high - low) / GRID, max(abs(low), abs(high), 1.0)
    if rough <= size * FINEST:  # one value, or as good as one
        return ticks(low - size / 20, high + size / 20)
    exponent = math.floor(math.log10(rough))
    step = next((one for one in (1, 2, 5) if one * 10.0**exponent >= rough), 10) * 10.0**exponent
    first = math.floor(low / step + SLACK)
    last = max(math.ceil(high / step - SLACK), first + 1)
    return [round(number * step, max(0, -exponent)) for number in range(first, last + 1)]


def _short(number: float) -> str:
    """A number beside a line, in few digits."""
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(number) >= size:
            return f"{plain(number / size)} {name}"
    return plain(number)
