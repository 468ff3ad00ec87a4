"""Examples: the records of a device as it makes them, as things go well and as they go badly.

Nothing is written, and no command is run.
"""

from __future__ import annotations

from agent.config import Digest, StoreLimits
from agent.facts import Facts, LinkWatch, Mode, ModeFile, day_of, marked
from agent.facts.summary import OUTAGES_MAX, of_day
from agent.health.health import Health
from agent.model import HOUR_S, LATEST_S, NewRecord, Reading
from agent.sampling import CountWindow
from agent.sampling.sos import Sos
from agent.sensors import Detections
from agent.store import COUNTS, Hour, Outage, Spell, Store
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.clock import Clock
    from agent.config import Config
    from agent.config.rule import Rule
    from agent.model import Moment

EXAMPLE = "an example"

#: Detections in an example of a window, the seconds that they lasted, and edges lost.
SEEN = Detections(3, 41.2)
LOST = Detections(0, 0.0, edges=2, lost=1)

#: Mode of those that are not usual; a quiet time that was observed; weeks of which a digest knows.
AWAY = Mode("away", LATEST_S)
QUIET_S, WEEKS = 60.0, 4


def counts(config: Config, clock: Clock) -> Iterator[NewRecord]:
    """Counts of one window; of which, in the second, edges were lost and nobody was at home."""
    tested = [one.name for one in config.sensors if one.test]
    names, window_s, now = config.count.sensor, config.count.window_s, clock.now()
    for mode, quiet_s, more in ((Mode(), QUIET_S, ()), (AWAY, HOUR_S, (LOST,))):
        began = replace(now, wall_s=now.wall_s // window_s * window_s)
        window = CountWindow(names, began, window_s=window_s, tested=tested)
        end = _later(began, window_s)
        for name in names:
            window.joins(name, began)
            for seen in (SEEN, *more):
                window.saw(name, seen, _later(began, 1.0))
            window.saw(name, Detections(0, 0.0), end)
        report = window.close(end)
        with Store(StoreLimits(), memory_only=EXAMPLE) as store:
            known = facts(config, store, clock, mode, _later(end, -quiet_s))
            known.tend(end, watching=True, is_set=True)
            yield known.marked(known.counted(report.record, report.seen_boot_s)[0])


def calls(config: Config, clock: Clock) -> Iterator[NewRecord]:
    """A press of each SOS button."""
    with Store(StoreLimits(), memory_only=EXAMPLE) as store:
        sos = Sos(config, store, health=Health(), link=LinkWatch(clock))
        for button in config.sensors:
            if button.sos and (record := sos.call(button, clock.now())):
                yield record


def events(config: Config, clock: Clock) -> Iterator[NewRecord]:
    """The begin and the end of each rule, as if it had no patience, and no command."""
    now = clock.now()
    begins, ends = _later(now, QUIET_S), _later(now, 2 * QUIET_S)
    for rule in config.rules:
        quick = replace(rule, for_s=0.0, hours="", command=())
        if rule.kind == "quiet":
            quick = replace(quick, quiet_for_s=QUIET_S / 2)
        elif rule.kind == "offline":
            quick = replace(quick, offline_for_s=QUIET_S / 2)
        with Store(StoreLimits(), memory_only=EXAMPLE) as store:
            known = facts(config, store, clock, Mode(), now, rules=(quick,))
            known.read(Reading(rule.sensor, _values(rule, 1), begins))
            made = known.tend(begins, watching=True, is_set=True)
            known.link.went_up()
            known.saw(SEEN, ends)
            known.read(Reading(rule.sensor, _values(rule, -1), ends))
            made += known.tend(ends, watching=True, is_set=True)
        yield from (one.record for one in made)


def _values(rule: Rule, side: int) -> dict[str, float | str]:
    """Values that a rule's quantity has, or is made of: beyond its limit, or with -1 well back."""
    side *= -1 if rule.kind == "below" else 1
    far = side * (1.0 + (rule.hysteresis or 0.0))
    air = {"temperature_c": side * 60.0, "humidity_pct": 50.0 + side * 50.0}
    return {**air, rule.quantity: rule.limit + far}


def digests(values: Mapping[str, float | str], now: Moment) -> Iterator[NewRecord]:
    """Digests of yesterday, of which the second leaves something out, and is of a holiday."""
    day = day_of(now.wall_s, days=-1)
    weeks = [day_of(now.wall_s, days=-1 - 7 * back) for back in range(WEEKS)]
    starts = [start_s for one in weeks for start_s in one.hours]
    for mode, outages in ((Mode(), 1), (AWAY, OUTAGES_MAX + 1)):
        with Store(StoreLimits(), memory_only=EXAMPLE) as store:
            for start_s in starts:
                at_s = start_s + 60.5
                store.note(Hour(start_s, COUNTS, 6, 3, None, None, at_s, at_s, HOUR_S, 41.2))
            for name, value in values.items():
                if not isinstance(value, str):
                    store.note(Hour(day.start_s, name, 1, value, value, value))
            for number in range(outages):
                began_s = day.start_s + 600.0 * number
                store.note(Outage(began_s, "link", began_s + 90.5, EXAMPLE))
            store.note(Spell(day.start_s, day.start_s, day.start_s + 21_600.0, 21_600.0))
            if record := of_day(day, store, Health().snapshot(), now):
                yield marked(record, mode)


class _Constant(ModeFile):
    """A mode that is in no file."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode

    def now(self, *, is_set: bool = True) -> Mode:  # noqa: ARG002 -- it never ends
        """The mode."""
        return self._mode


def facts(
    config: Config,
    store: Store,
    clock: Clock,
    mode: Mode,
    last: Moment,
    *,
    rules: tuple[Rule, ...] = (),
) -> Facts:
    """The facts of a device in that mode, with its last detection, and no rules but these."""
    # Without sensors: that a real one would not give a rule's quantity is for `check` to say.
    still = replace(config, rules=rules, digest=Digest(at="off"), sensors=())
    known = Facts(still, store, clock=clock, health=Health(), modes=_Constant(mode))
    known.tend(last, watching=True, is_set=True)
    known.saw(SEEN, last)
    return known


def _later(moment: Moment, passed_s: float) -> Moment:
    return replace(moment, wall_s=moment.wall_s + passed_s, boot_s=moment.boot_s + passed_s)
