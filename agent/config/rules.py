"""Rules: the [[rules]] of a document, each with one limit and with what goes with that."""

from __future__ import annotations

import re

from agent.config.fields import seen, show
from agent.config.rule import HOURS, Rule
from agent.config.tables import no_sensor
from agent.model import DAY_S, HOUR_S, MINUTE_S
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.config.tables import Tables

#: Keys that are limits, and what goes with each alone.
LIMITS = {
    "quiet_for_s": ("hours",),
    "offline_for_s": (),
    "above": (THRESHOLD := ("sensor", "quantity", "for_s", "hysteresis")),
    "below": THRESHOLD,
}

#: So much a value has to come back, by the unit in its name, and else, as a part of its limit.
HYSTERESIS = {"_c": 0.5, "_pct": 2.0}
HYSTERESIS_PART = 0.02

#: Each may run a command at the same time.
MOST = 32


def read_rules(tables: Tables, listed: list[object], sensors: list[object]) -> tuple[Rule, ...]:
    """The rules in the array `listed`, beside that of `sensors`; all that is wrong is noted."""
    if len(listed) > MOST:
        tables.note(f"rules: are {len(listed)}, and may be {MOST}")
    named = [one.get("name") for one in sensors if isinstance(one, dict)]
    known = [name for name in named if isinstance(name, str)]
    names: dict[str, int] = {}
    rules = []
    for index, table in enumerate(listed):
        key = f"rules[{index}]"
        rule = tables.read(Rule, table, key, {})
        if isinstance(table, dict):
            given = {name: value for name, value in table.items() if value != ""}
            for problem in _problems(given, known):
                tables.note(f"{key}.{problem}")
            name = given.get("name")
            if isinstance(name, str) and (first := names.setdefault(name, index)) < index:
                tables.note(f"{key}.name: {show(name)} is the name of rules[{first}] too")
        if rule:
            rules.append(_completed(rule))
    return tuple(rules)


def words(rule: Rule) -> str:
    """Words for what `rule` tells of, as a person says it."""
    if rule.kind == "quiet":
        begin, _, end = rule.hours.partition("-")
        hours = f" between {begin.strip()} and {end.strip()}" if rule.hours else ""
        return f"nobody seen for {duration(rule.limit)}{hours}"
    if rule.kind == "offline":
        return f"offline for {duration(rule.limit)}"
    lasting = f" for {duration(rule.for_s)}" if rule.for_s else ""
    return f"{rule.quantity} of {rule.sensor} {rule.kind} {rule.limit:g}{lasting}"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that tells them exactly, as 4 h."""
    for unit_s, unit in ((HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def _problems(given: Mapping[str, object], sensors: list[str]) -> Iterator[str]:
    """Problems of keys that need, or rule out, each other; each begins with its key."""
    limits = [key for key in LIMITS if key in given]
    if not limits:
        yield f"name: the rule has no limit; give one of {', '.join(LIMITS)}"
        return
    for more in limits[1:]:
        yield f"{more}: stands beside {limits[0]}; a rule has one limit, so make another [[rules]]"
    mine = LIMITS[limits[0]]
    for key, owner in (("hours", "quiet_for_s"), *((key, "above or below") for key in THRESHOLD)):
        if key in given and key not in mine:
            yield f"{key}: goes with {owner}, not with {limits[0]}"
    if mine is THRESHOLD:
        yield from _value_problems(given, limits[0], sensors)
    hours, quiet_s = given.get("hours"), given.get("quiet_for_s")
    if isinstance(hours, str) and re.fullmatch(HOURS, hours):
        if not (length_s := _length_s(hours)):
            yield f"hours: {seen(hours)} is no time at all; for all day leave it out"
        elif isinstance(quiet_s, int | float) and quiet_s >= length_s:
            yield f"quiet_for_s: {quiet_s:g} is not within hours, which are {duration(length_s)}"
    if "command_timeout_s" in given and "command" not in given:
        yield "command_timeout_s: goes with command"


def _length_s(hours: str) -> int:
    """Length of the hours on a day as most are; 0 if they begin when they end."""
    begin, end = (
        int(hour) * HOUR_S + int(minute) * MINUTE_S
        for hour, minute in (one.strip().split(":") for one in hours.split("-"))
    )
    return (end - begin) % DAY_S if (begin, end) != (0, DAY_S) else DAY_S


def _value_problems(given: Mapping[str, object], limit: str, sensors: list[str]) -> Iterator[str]:
    """Problems of the value that the key `limit` is for."""
    for key in ("sensor", "quantity"):
        if key not in given:
            yield f"{key}: is missing; it goes with {limit}"
    name = given.get("sensor")
    if isinstance(name, str) and name not in sensors:
        yield f"sensor: {no_sensor(name, sensors)}"


def _completed(rule: Rule) -> Rule:
    """The rule with the hysteresis of its quantity, where none is given."""
    if rule.kind not in {"above", "below"} or rule.hysteresis is not None:
        return rule
    part = abs(rule.limit) * HYSTERESIS_PART
    known = (value for unit, value in HYSTERESIS.items() if rule.quantity.endswith(unit))
    return replace(rule, hysteresis=next(known, part))
