"""Page of the report: one HTML file that needs nothing else, for a phone or a large screen.

No script, nothing loaded from elsewhere; every chart is followed by its numbers in a table.
"""

from __future__ import annotations

from html import escape

from agent import __version__
from agent.cli.report_chart import about
from agent.cli.report_figures import amount, share, value
from agent.cli.report_style import STYLE
from agent.cli.report_svg import heat_map, line_chart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.cli.report_days import Cell, DayFacts, Report, Series
    from agent.cli.report_words import Words

#: More outages than this are not told one by one.
OUTAGES_MAX = 200

#: Up to so many days, their table is open.
OPEN_DAYS = 14

HOURS = 24

HEAD = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p>{period}</p>
</header>
"""

FOOT = """\
<footer>
<p>{made}</p>
</footer>
</main>
</body>
</html>
"""


def page(report: Report, words: Words) -> str:
    """The page as one text."""
    return "".join(_Page(report, words).parts())


class _Page:
    def __init__(self, report: Report, words: Words) -> None:
        self._report = report
        self._words = words

    def parts(self) -> Iterator[str]:
        """Everything from the top."""
        words, report = self._words, self._report
        first_s, last_s = (report.days[at].day.start_s for at in (0, -1))
        yield HEAD.format(
            language=words.language,
            title=escape(words.title(report.past.thing, len(report.days))),
            style=STYLE,
            period=escape(words.period(first_s, last_s, report.now_s)),
        )
        yield '<dl class="facts">'
        for name, text in about(report, words):
            yield f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"
        yield "</dl>\n"
        if report.counts:
            yield self._section("heat_map", self._heat_map())
            yield self._section("days", self._days())
        if report.series:
            yield self._section("quantities", self._quantities())
        yield self._section("outages", self._outages())
        yield FOOT.format(made=escape(words("made", version=__version__)))

    def _section(self, key: str, parts: Iterable[str]) -> str:
        inner = "".join(parts)
        return f"<section>\n<h2>{escape(self._words(key))}</h2>\n{inner}</section>\n"

    def _scrolled(self, title: str, inner: str) -> str:
        """Region that may be wider than a phone, and can be moved with the keyboard."""
        label = escape(self._words("scroll", title=title))
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">{inner}</div>\n'
        )

    def _table(
        self, title: str, head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = ""
    ) -> str:
        """A table whose rows begin with their name."""
        heads = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            f"{''.join(f'<td>{escape(one)}</td>' for one in cells)}</tr>\n"
            for name, *cells in rows
        )
        table = (
            f"<table{kind and f' class={kind!r}'}><caption>{escape(title)}</caption>"
            f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table>"
        )
        return self._scrolled(title, table)

    def _numbers(self, title: str, table: str) -> str:
        summary = escape(self._words("numbers", title=title))
        return f"<details><summary>{summary}</summary>\n{table}</details>\n"

    def _heat_map(self) -> Iterator[str]:
        words, report = self._words, self._report
        title = words("heat_map")
        yield f"<p>{escape(words('heat_map_about'))}</p>\n"
        yield self._scrolled(words("chart_of", title=title), heat_map(report, words))
        yield self._legend()
        if any(len(day.lines) > 1 for day in report.days):
            yield f"<p>{escape(words('again_about'))}</p>\n"
        weeks = max((one.weeks for one in report.usual if one), default=0)
        if weeks:
            yield f"<p>{escape(words('usual_about', weeks=weeks))}</p>\n"
        head = [words("day"), *map(str, range(HOURS)), words("total")]
        table = self._table(title, head, self._hours(), "hours")
        yield self._numbers(title, f"<p>{escape(words('table_about'))}</p>{table}")

    def _hours(self) -> Iterator[list[str]]:
        words = self._words
        for day in self._report.days:
            for line in day.lines:
                name = words.day(day.day.start_s)
                total = "" if line.again else _count(day.total)
                shown = words("again", day=name) if line.again else name
                yield [shown, *map(_cell, line.cells), total]

    def _legend(self) -> str:
        words, report = self._words, self._report
        entries = [("l0", words("legend_none"))]
        entries += [
            (f"l{level}", words("legend_up_to", number=amount(bound)))
            for level, bound in report.scale.used().items()
        ]
        entries += [("part", words("legend_part")), ("unknown", words("legend_unknown"))]
        items = "".join(
            f'<li><svg aria-hidden="true" width="18" height="18">'
            f'<rect class="{shade}" width="18" height="18" rx="3"/></svg>{escape(told)}</li>'
            for shade, told in entries
        )
        return f'<ul class="legend">{items}</ul>\n'

    def _days(self) -> Iterator[str]:
        words, report = self._words, self._report
        keys = ("day", "detections", "observed", "first", "last_detection", "longest")
        rows = (self._day(day) for day in reversed(report.days))
        table = self._table(words("days"), [words(key) for key in keys], rows)
        if len(report.days) <= OPEN_DAYS:
            yield table
        else:
            yield self._numbers(words("days"), table)

    def _day(self, day: DayFacts) -> list[str]:
        words, spell = self._words, day.spell
        longest = ""
        if spell:
            longest = words(
                "from_to",
                span=words.span(spell.observed_s),
                begin=words.clock(spell.began_s),
                end=words.clock(spell.ended_s),
            )
        times = ("" if at_s is None else words.clock(at_s) for at_s in (day.first_s, day.last_s))
        return [words.day(day.day.start_s), _count(day.total), share(day.share), *times, longest]

    def _quantities(self) -> Iterator[str]:
        words, report = self._words, self._report
        yield f"<p>{escape(words('quantities_about'))}</p>\n"
        for number, one in enumerate(report.series):
            name = words.quantity(one.name)
            chart = line_chart(one, report, words, number)
            low, mean, high = (value(it, one.name) for it in (one.low, one.mean, one.high))
            yield f"<h3>{escape(name)}</h3>\n"
            yield f"<p>{escape(words('series_about', low=low, mean=mean, high=high))}</p>\n"
            yield self._scrolled(words("chart_of", title=name), chart)
            head = [words("hour" if report.by_hours else "day")]
            head += [words(key) for key in ("low", "mean", "high")]
            yield self._numbers(name, self._table(name, head, self._points(one)))

    def _points(self, series: Series) -> Iterator[list[str]]:
        name_of = self._words.moment if self._report.by_hours else self._words.day
        for one in series.points:
            if one:
                values = (value(it, series.name) for it in (one.low, one.mean, one.high))
                yield [name_of(one.start_s), *values]

    def _outages(self) -> Iterator[str]:
        words, report = self._words, self._report
        if not report.outages:
            yield f"<p>{escape(words('no_outages'))}</p>\n"
            return
        head = [words(key) for key in ("from", "what", "lasted", "cause")]
        shown = report.outages[-OUTAGES_MAX:]
        rows = (
            [
                words.moment(one.began_s),
                words.kind(one.kind),
                words.lasted(one, report.now_s),
                words.cause(one.cause),
            ]
            for one in reversed(shown)
        )
        yield self._table(words("outages"), head, rows, "words")
        if more := len(report.outages) - len(shown):
            yield f"<p>{escape(words('more', number=more))}</p>\n"


def _cell(cell: Cell | None) -> str:
    """The detections of an hour, and how much was observed of one that was not in whole."""
    if cell is None:
        return ""
    part = f" ({share(cell.share)})" if cell.count is not None and cell.is_partly_observed else ""
    return _count(cell.count) + part


def _count(number: float | None) -> str:
    return "?" if number is None else amount(number)
