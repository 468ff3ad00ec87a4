"""Cases of a past: days of an imagined household, with all that a report can show."""

from __future__ import annotations

import random

from agent.cli.report_past import Past
from agent.facts import day_of
from agent.store import COUNTS, Hour, Outage, Spell

#: Friday, 27 November 2026, 14:35 UTC.
NOW_S = 1_795_790_100

QUANTITIES = {
    "room.temperature_c": (21.0, 3.0),
    "room.humidity_pct": (48.0, 9.0),
    "room.pressure_pa": (101_300.0, 700.0),
    "pi.cpu_temperature_c": (48.0, 8.0),
    "pi.memory_free_bytes": (210_000_000.0, 4e7),
    "outside.temperature_c": (4.0, 6.0),
    "outside.humidity_pct": (80.0, 12.0),
    "yard.illuminance_lx": (400.0, 380.0),
}


def past(days: int, now_s: float = NOW_S, quantities: int = 3) -> Past:
    """The past of so many days: quiet nights, an hour that nobody watched, one watched in part."""
    chance = random.Random(days)
    hours, spells = [], []
    first_s = day_of(now_s, days=1 - days).start_s
    day = day_of(first_s)
    number = 0
    while day.start_s <= now_s:
        for place, start_s in enumerate(day.hours):
            if start_s > now_s:
                break
            number += 1
            unseen, part = number % 61 in (17, 18, 19), number % 53 == 4
            awake = 7 <= place < 22
            seen = int(chance.expovariate(1 / 14)) if awake else int(chance.random() < 0.07)
            observed_s = 0.0 if unseen else 600.0 if part else 3600.0
            seen = 0 if unseen or part else seen
            hours.append(
                Hour(
                    start_s,
                    COUNTS,
                    6,
                    float(seen),
                    first_s=start_s + 60.0 if seen else None,
                    last_s=start_s + 3000.0 if seen else None,
                    observed_s=observed_s,
                )
            )
            for name, (base, spread) in [*QUANTITIES.items()][:quantities]:
                if unseen:
                    continue
                middle = base + spread * chance.uniform(-1, 1)
                low, high = middle - spread / 6, middle + spread / 5
                hours.append(Hour(start_s, name, 60, middle * 60, low, high))
        spells.append(Spell(day.start_s, day.start_s + 600, day.start_s + 25_260, 24_000.0))
        day = day_of(day.end_s)
    outages = (
        Outage(now_s - 200_000.0, "agent", now_s - 196_700.0, "power cut"),
        Outage(now_s - 90_000.0, "link", now_s - 88_000.0, "no route to the endpoint"),
        Outage(now_s - 5_000.0, "sensor", None, "door: gives no answer"),
    )
    return Past("living-room", tuple(hours), outages, tuple(spells), now_s - 780, 780.0, runs=True)
