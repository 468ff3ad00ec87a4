"""The life of a household over two months: who moves when, and what goes wrong on which day.

All is drawn from one seed: the same seed, the same life. Times are quarters of seconds, which a
float holds exactly, and never those at which the agent's windows end.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, field

from tests.unit.household.calendar import DAY_S, DAYS, HOUR_S, at, utc_offset_s

#: Days without any incident at both ends.
PLAIN_FIRST, PLAIN_LAST = 3, 2


@dataclass(frozen=True)
class Span:
    """A time in which something is so; `what` says what."""

    since_s: float
    until_s: float
    what: str = ""

    def __contains__(self, at_s: float) -> bool:
        """True from its beginning to before its end."""
        return self.since_s <= at_s < self.until_s


@dataclass
class Life:
    """What happens, whether or not a device sees it.

    `away` are the spans in which no agent runs, by why it ended: `restart`, `crash` or `power cut`.
    """

    seed: int
    detections: list[float] = field(default_factory=list)
    motion_broken: list[Span] = field(default_factory=list)
    room_broken: list[Span] = field(default_factory=list)
    modes: list[Span] = field(default_factory=list)
    offline: list[Span] = field(default_factory=list)
    away: list[Span] = field(default_factory=list)
    hot_days: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        for day in range(DAYS):
            self._live(day)
        self.detections.sort()
        self._place()
        for spans in (self.offline, self.away, self.modes):
            spans.sort(key=lambda span: span.since_s)

    def next_detection_s(self, after_s: float) -> float:
        """The next after that time; infinite if nobody ever moves again."""
        index = bisect_left(self.detections, after_s + 0.25)
        return self.detections[index] if index < len(self.detections) else math.inf

    def seen(self, since_s: float, until_s: float) -> int:
        """The number of detections after `since_s`, up to `until_s`."""
        edges = (bisect_left(self.detections, edge_s + 0.25) for edge_s in (since_s, until_s))
        first, last = edges
        return last - first

    def temperature_c(self, at_s: float) -> float:
        """The temperature of the room."""
        local_s = (at_s + utc_offset_s(at_s)) % DAY_S
        hot = any(at(day) <= at_s < at(day + 1) for day in self.hot_days)
        shape = max(0.0, math.sin((local_s - 9 * HOUR_S) / (12 * HOUR_S) * math.pi))
        return round(20.0 + (17.0 if hot else 3.0) * shape, 1)

    def humidity_pct(self, at_s: float) -> float:
        """The humidity of the room."""
        return round(50.0 + 5.0 * math.cos(at_s / DAY_S), 1)

    def _live(self, day: int) -> None:
        """An ordinary day: up in the morning, busy until night, and sometimes up for a moment."""
        minute_s, chance = 60.0, self._chance
        at_s = at(day, "06:40") + chance.uniform(0, 40) * minute_s
        until_s = at(day, "22:10") + chance.uniform(0, 40) * minute_s
        while at_s < until_s:
            self._moves(at_s)
            at_s += min(70 * minute_s, 5.0 + chance.expovariate(1 / (12 * minute_s)))
        if chance.random() < 0.6:
            at_s = at(day) + chance.uniform(2.0, 5.0) * HOUR_S
            for _ in range(chance.randint(1, 3)):
                self._moves(at_s)
                at_s += chance.uniform(20, 200)

    def _moves(self, at_s: float) -> None:
        whole_s = math.floor(at_s)
        if whole_s % 600 < 2:  # right after a poll a sensor is asked a second later
            whole_s += 2
        self.detections.append(whole_s + self._chance.choice((0.25, 0.5, 0.75)))

    def _nobody(self, since_s: float, until_s: float) -> None:
        """Nobody moves in that time."""
        self.detections = [one for one in self.detections if not since_s <= one < until_s]

    def _busy(self, since_s: float, until_s: float) -> None:
        """Many move."""
        at_s = since_s
        while at_s < until_s:
            self._moves(at_s)
            at_s += self._chance.uniform(30, 600)
        self.detections.sort()

    def _place(self) -> None:
        """Put each incident on days of its own, in an order by chance."""
        incidents = [
            (self._broken_detector, 1),
            (self._visitors, 1),
            (self._short_outage, 1),
            (self._fall, 1),
            (self._night_outage, 1),
            (self._restart, 1),
            (self._crash, 1),
            (self._holiday, 3),
            (self._power_cut, 1),
            (self._hot_afternoon, 1),
            (self._long_outage, 3),
            (self._unplugged, 4),
            (self._late_evening, 2),
            (self._test, 1),
            (self._broken_thermometer, 1),
        ]
        self._chance.shuffle(incidents)
        spare = DAYS - PLAIN_FIRST - PLAIN_LAST - sum(days for _, days in incidents)
        day = PLAIN_FIRST
        for number, (incident, days) in enumerate(incidents):
            more = self._chance.randint(1, max(1, 2 * spare // (len(incidents) - number) - 1))
            spare -= more
            incident(day)
            day += days + more

    def _broken_detector(self, day: int) -> None:
        """The motion sensor is dead for hours: unknown, and no reason for an alarm."""
        self._busy(at(day, "10:30"), at(day, "11:00"))
        self.motion_broken.append(Span(at(day, "11:03") + 17, at(day, "15:20") + 2))
        self._busy(at(day, "15:30"), at(day, "15:50"))

    def _broken_thermometer(self, day: int) -> None:
        self.room_broken.append(Span(at(day, "08:05"), at(day, "10:22")))

    def _visitors(self, day: int) -> None:
        self.modes.append(Span(at(day, "12:00"), at(day, "20:00"), "visitor"))
        self._busy(at(day, "12:30"), at(day, "14:00"))
        self._nobody(at(day, "14:00"), at(day, "19:00"))  # they have gone out together

    def _test(self, day: int) -> None:
        self.modes.append(Span(at(day, "10:00") + 90, at(day, "11:00"), "test"))

    def _holiday(self, day: int) -> None:
        self.modes.append(Span(at(day, "11:45"), at(day + 2, "18:00"), "away"))
        self._nobody(at(day, "11:30"), at(day + 2, "17:30"))

    def _fall(self, day: int) -> None:
        """Nothing from ten o'clock on, though somebody is at home; help comes at half past six."""
        self._nobody(at(day, "10:00"), at(day, "18:30"))
        self._busy(at(day, "18:30") + 10, at(day, "19:00"))

    def _late_evening(self, day: int) -> None:
        """Nothing from late afternoon to the next morning: the hours of the rule end meanwhile."""
        self._nobody(at(day, "16:30"), at(day + 1, "08:00"))

    def _hot_afternoon(self, day: int) -> None:
        self.hot_days.append(day)

    def _short_outage(self, day: int) -> None:
        self.offline.append(Span(at(day, "14:00") + 5, at(day, "14:20") + 8, "no route to host"))

    def _night_outage(self, day: int) -> None:
        self.offline.append(Span(at(day, "01:30"), at(day, "06:45"), "name not resolved"))

    def _long_outage(self, day: int) -> None:
        self.offline.append(Span(at(day, "10:00"), at(day + 2, "12:00"), "connection refused"))

    def _restart(self, day: int) -> None:
        self.away.append(Span(at(day, "09:30") + 10, at(day, "09:30") + 30, "restart"))

    def _crash(self, day: int) -> None:
        self.away.append(Span(at(day, "16:04") + 3, at(day, "16:06") + 3, "crash"))

    def _power_cut(self, day: int) -> None:
        self.away.append(Span(at(day, "13:07") + 11, at(day, "17:37") + 11, "power cut"))

    def _unplugged(self, day: int) -> None:
        self.away.append(Span(at(day, "20:02") + 1, at(day + 3, "09:02") + 1, "power cut"))
