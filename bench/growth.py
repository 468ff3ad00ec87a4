"""Row `growth`: what grows with the number of sensors, and of the rows that wait."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from bench import stored
from bench.home import thermometers
from bench.rounds import rounds, windows
from bench.subscriber import Subscriber
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.contestants import Bench

SENSORS = (1, 10, 100)
STORED, STORED_QUICK = (1, 10_000, 1_000_000), (1, 10_000, 100_000)
INTERVAL_S, SETTLE_S = 2.0, 3.0
PSS, CPU, SWITCHES = "PSS", "CPU", "switches"
UNITS = {PSS: "MiB", CPU: "us/reading", SWITCHES: "switches/reading"}


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Costs with 1, 10 and 100 sensors, and with next to nothing up to a million rows stored."""
    yield from _by_sensors(bench, quick=quick)
    yield from _by_rows(bench, quick=quick)


def sensors(count: int) -> str:
    """The contestant's name."""
    return f"agent with {count} sensor{'s' * (count > 1)}"


def waiting(count: int) -> str:
    """The contestant's name."""
    return f"agent with {count:,} row{'s' * (count > 1)}"


def _by_sensors(bench: Bench, *, quick: bool) -> Iterator[Row]:
    window_s = 6.0 if quick else 30.0
    begin = partial(_side_by_side, bench, window_s)
    found = windows(1 if quick else 4, begin, name="growth with sensors")
    condition = (
        f"each sensor simulated and sent every {INTERVAL_S:g} s, all in the same instant; windows"
        f" of {window_s:g} s, side by side"
    )
    for figure, unit in UNITS.items():
        values = {sensors(count): one for (count, of), one in found.items() if of == figure}
        base = sensors(SENSORS[0])
        yield Row(
            f"growth with sensors, {figure}", condition, unit, base, values, f"≤ 1.5 x {base}"
        )


@contextmanager
def _side_by_side(
    bench: Bench, window_s: float
) -> Iterator[Callable[[], dict[tuple[int, str], float]]]:
    with ExitStack() as stack:
        running, arrived = {}, {}
        for count in SENSORS:
            home = bench.home(sensors=thermometers(count, INTERVAL_S))
            heard = Subscriber(bench.broker, f"{home.name}/sensors/+", home.directory / "heard")
            arrived[count] = stack.enter_context(heard)
            running[count] = stack.enter_context(bench.contestant("agent", home=home, steady=False))
        for contestant in running.values():
            contestant.wait_connected()
        time.sleep(SETTLE_S)

        def window() -> dict[tuple[int, str], float]:
            before = {
                count: (one.cpu_s, one.switches, arrived[count].count())
                for count, one in running.items()
            }
            time.sleep(window_s)
            found: dict[tuple[int, str], float] = {}
            for count, one in running.items():
                one.check()
                cpu_s, switched, readings = before[count]
                readings = max(1, arrived[count].count() - readings)
                found[count, CPU] = (one.cpu_s - cpu_s) * 1e6 / readings
                found[count, SWITCHES] = (one.switches - switched).total() / readings
                found[count, PSS] = one.memory.pss_mib
            return found

        yield window


def _by_rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    counts = STORED_QUICK if quick else STORED
    paths = {}
    for count in counts:
        path = bench.directory / f"stored-{count}" / "store.db"
        stored.fill(path, count)
        paths[waiting(count)] = path

    def measure() -> dict[tuple[str, str], float]:
        return {
            (label, operation): cost
            for operation, by in stored.costs_us(paths, 50 if quick else 200).items()
            for label, cost in by.items()
        } | {
            (label, step): cost
            for label, path in paths.items()
            for step, cost in stored.once_ms(path).items()
        }

    found = rounds(2 if quick else 5, measure, name="growth with rows")
    condition = "200 bytes each, the oldest a count, the others not; the store alone; "
    for name, unit, how, target in (
        *((one, "us", "median of the thread's CPU", "≤ 1.5") for one in stored.OPERATIONS),
        *((one, "ms", "time that passes", "") for one in stored.STEPS),
    ):
        values = {label: one for (label, of), one in found.items() if of == name}
        base = waiting(counts[name == stored.PAGE])  # one row is no page
        bound = target and f"{target} x {base}"
        yield Row(f"growth with rows, {name}", condition + how, unit, base, values, bound)
