"""Row `memory`: what a contestant takes while it does its work."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bench.commands import UNIT
from bench.environment import unit_environment
from bench.home import thermometers
from bench.rounds import rounds
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.contestants import Bench

SENSORS, INTERVAL_S = 3, 1.0
PEERS = (
    "bare",
    "tutorial",
    "awsiotsdk",
    "awsiotsdk 5",
    "AWSIoTPythonSDK",
    "mqtt-io",
    "mosquitto_pub",
)
WITHOUT = "agent, without the unit's Environment="

#: Who is worth being measured alone.
ALONE = {"agent", "lean", "awsiotsdk", "mqtt-io"}

#: PSS of the agent; that of all is told.
TARGET = "≤ 1.15 x lean, ≤ 1 x awsiotsdk, ≤ 1 x mqtt-io"


class Case(NamedTuple):
    """A contestant in an environment of its own; `label` is what a row calls it."""

    name: str
    paho: str = "deb"
    as_unit: bool = True

    @property
    def label(self) -> str:
        """Its name in a row, which is of one paho."""
        return self.name if self.as_unit else WITHOUT


Key = tuple[Case, str]

#: Those that are measured for each paho; the second only where the unit sets something.
EACH = (("agent", True), ("agent", False), ("lean", True), ("bare", True))


def rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """PSS, RSS and USS; all side by side, and but for `quick` also one at a time."""
    sets = bool(unit_environment(UNIT.read_text()))
    pahos = bench.pahos()
    ours = [
        Case(name, paho, as_unit) for paho in pahos for name, as_unit in EACH if sets or as_unit
    ]
    others = [Case(name) for name in bench.available(*PEERS) if name != "bare"]
    after_s = 8.0 if quick else 25.0
    together = rounds(
        1 if quick else 3, lambda: _measure(bench, [*ours, *others], after_s), name="memory"
    )
    condition = (
        f"{SENSORS} simulated sensors at {INTERVAL_S:g} s, connected, after {after_s:g} s;"
        " peers connected and idle; "
    )
    yield from _rows(
        pahos, together, "memory", f"{condition}all side by side: they share libraries"
    )
    if quick:
        return
    cases = [case for case in [*ours, *others] if case.name in ALONE]

    def measure_alone() -> dict[Key, float]:
        return {
            key: value for case in cases for key, value in _measure(bench, [case], after_s).items()
        }

    alone = rounds(2, measure_alone, name="memory alone")
    yield from _rows(
        pahos,
        alone,
        "memory alone",
        f"{condition}one at a time: only the bench itself runs Python too",
    )


def _measure(bench: Bench, cases: list[Case], after_s: float) -> dict[Key, float]:
    """Each figure of each of them, once all have run for `after_s`."""
    with ExitStack() as stack:
        running = {}
        for case in cases:
            home = bench.home(sensors=thermometers(SENSORS, INTERVAL_S))
            running[case] = stack.enter_context(
                bench.contestant(case.name, paho=case.paho, home=home, as_unit=case.as_unit)
            )
        for contestant in running.values():
            contestant.wait_connected()
        time.sleep(after_s)
        found = {case: contestant.memory for case, contestant in running.items()}
    return {
        (case, figure): getattr(taken, f"{figure.lower()}_mib")
        for case, taken in found.items()
        for figure in ("PSS", "RSS", "USS")
    }


def _rows(
    pahos: Mapping[str, str], values: Mapping[Key, list[float]], name: str, condition: str
) -> Iterator[Row]:
    for figure in ("PSS", "RSS", "USS"):
        for paho, version in pahos.items():
            shown = {
                case.label: one
                for (case, of), one in values.items()
                if of == figure
                and (case.paho == paho or case.name not in ("agent", "lean", "bare"))
            }
            target = TARGET if figure == "PSS" else ""
            yield Row(f"{name}, {figure}, {version}", condition, "MiB", "lean", shown, target)
