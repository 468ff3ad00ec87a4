"""Table of the results: a row's figures by contestant, their ratios, and the target."""

from __future__ import annotations

import re
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from agent.value import Value, asdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: A part of a target: the agent's median (or each of its figures), or that of its ratios to
#: another's, is at most that.
BOUND = re.compile(r"(every round )?≤ ([\d.]+)(?: x (.+))?")

#: From here on a figure is shown without a fraction.
WHOLE = 100

COLUMNS = 100

#: Whom a target binds: contestants with this in the beginning of their name.
BOUND_ONE = "agent"


class Row(Value):
    """One figure of each contestant.

    `condition` says what exactly was measured, `of` names the contestant whom ratios are to.
    `values` has one figure a round. `target` reads "≤ 10, every round ≤ 14" or
    "≤ 1.15 x lean, ≤ 1 x mqtt-io", or is "".
    """

    name: str
    condition: str
    unit: str
    of: str
    values: Mapping[str, Sequence[float]]
    target: str = ""


class Spread(Value):
    """The middle of some figures, and the least and largest of them."""

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        """Like `1.2 [1.1..1.4]`."""
        return f"{short(self.middle)} [{short(self.least)}..{short(self.most)}]"


class Verdict(Value):
    """One part of a target for one contestant: whether its figure is within it."""

    contestant: str
    bound: str
    figure: float
    reached: bool


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}" if abs(value) < WHOLE else f"{value:,.0f}"


def spread(values: Sequence[float]) -> Spread:
    """The median with the extremes; of at least one figure."""
    return Spread(median(values), min(values), max(values))


def ratios(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """The ratio of each round, or to the base's median where rounds are missing; none to none."""
    if not base:
        return []
    bases = base if len(base) == len(values) else [median(base)] * len(values)
    return [value / other for value, other in zip(values, bases, strict=True) if other]


def verdicts(row: Row) -> Iterator[Verdict]:
    """The target's parts, for each contestant that it binds and was measured."""
    for part in row.target.split(", "):
        bound = BOUND.fullmatch(part)
        if not bound:
            continue
        for contestant, values in row.values.items():
            figures = ratios(values, row.values.get(bound[3], ())) if bound[3] else list(values)
            if contestant.startswith(BOUND_ONE) and contestant != bound[3] and figures:
                figure = max(figures) if bound[1] else median(figures)
                yield Verdict(contestant, part, figure, figure <= float(bound[2]))


def lines(row: Row, above: Row | None = None) -> Iterator[str]:
    """The row as text, a line for each contestant; its condition if it is not that of `above`."""
    target = f"; target {row.target}" if row.target else ""
    yield f"\n{row.name}, {row.unit}{target}"
    if not above or above.condition != row.condition:
        yield from wrap(f"({row.condition})", COLUMNS, initial_indent="  ", subsequent_indent="  ")
    width = max((len(name) for name in row.values), default=0)
    base = row.values.get(row.of, ())
    for contestant, values in row.values.items():
        if not values:
            yield f"  {contestant:{width}}  -"
            continue
        ratio = ratios(values, base) if base else []
        beside = f"{spread(ratio)} x {row.of}" if ratio and contestant != row.of else ""
        yield f"  {contestant:{width}}  {spread(values)!s:26}  {beside}".rstrip()


def unjudged(row: Row) -> list[str]:
    """The target's parts that nobody is judged by: somebody was not measured."""
    judged = {verdict.bound for verdict in verdicts(row)}
    return [part for part in row.target.split(", ") if part and part not in judged]


def target_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Each part of each target: reached, not, or not judged."""
    for row in rows:
        for found in verdicts(row):
            mark = "reached    " if found.reached else "NOT reached"
            yield f"  {mark}  {row.name}: {found.contestant} {found.figure:.5g}, {found.bound}"
        for part in unjudged(row):
            yield f"  not judged   {row.name}: {part}"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All figures, medians, ratios and verdicts, for a JSON file."""
    return [
        asdict(row)
        | {
            "median": {name: median(one) for name, one in row.values.items() if one},
            "ratio": {
                name: median(found)
                for name, one in row.values.items()
                if one and (found := ratios(one, row.values.get(row.of, ())))
            },
            "targets": [asdict(verdict) for verdict in verdicts(row)],
            "unjudged": unjudged(row),
        }
        for row in rows
    ]
