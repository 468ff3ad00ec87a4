"""Span: the hours of a day in which a rule of quiet holds, by the local clock."""

from __future__ import annotations

from agent.facts.day import day_of, of_local, parsed_time
from agent.value import Value


class Span(Value):
    """Hours of one day, which may end on the next: from `start_s` to before `end_s`, epoch."""

    start_s: float
    end_s: float


def span_at(hours: str, wall_s: float) -> Span:
    """The span of `hours`, such as 22:00-06:00, that `wall_s` lies in, else the next one."""
    start, end = (parsed_time(one.strip()) for one in hours.split("-"))
    for days in range(-1, 3):  # a change of summer time may leave one without any time
        day = day_of(wall_s, days=days)
        last = day if end > start else day_of(wall_s, days=days + 1)
        span = Span(of_local(day, start), of_local(last, end))
        if span.start_s < span.end_s > wall_s:
            return span
    raise ValueError(f"no hours at all: {hours}")
