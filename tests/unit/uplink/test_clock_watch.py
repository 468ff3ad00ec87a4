"""The uplink waits for its clock within limits, and notices when it turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import BUILT_S
from agent.health.health import UPLINK, Health
from agent.uplink.clock_watch import SET_WAIT_S, ClockWatch
from agent.uplink.waits import Waits
from agent.wakeup import Wakeup
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


class PassingWaits(Waits):
    """Waits in which only the fake clock goes on; a test may set the clock when one begins."""

    def __init__(self, clock: FakeClock, health: Health, wakeup: Wakeup) -> None:
        super().__init__(UPLINK, health=health, wakeup=wakeup)
        self._clock = clock
        self.waited_s = 0.0
        self.right_after_s = float("inf")

    def wait(self, wait_s: float) -> bool:
        """Pass the time; the clock is set once it is to be."""
        self._clock.pass_by(wait_s)
        self.waited_s += wait_s
        if self.waited_s >= self.right_after_s:
            self._clock.was_set = True
            self._clock.now_wall_s = max(self._clock.now_wall_s, BUILT_S + 1)
        return self.retry_wanted()


class Bench:
    """A clock watch with its surroundings."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.clock = FakeClock()
        self.health = Health()
        self.waits = PassingWaits(self.clock, self.health, wakeup)
        self.watch = ClockWatch(self.clock, health=self.health, waits=self.waits)

    def conditions(self) -> list[str]:
        """The codes of what stands."""
        return [one.code for one in self.health.snapshot().conditions]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """With a clock that is set."""
    with Wakeup() as wakeup:
        yield Bench(wakeup)


def test_a_clock_that_is_right_costs_no_wait(bench: Bench) -> None:
    """Neither wait begins."""
    bench.watch.wait_until_plausible()
    bench.watch.wait_until_set()
    assert bench.waits.waited_s == 0


def test_a_clock_of_the_past_is_waited_for_and_told(bench: Bench) -> None:
    """However long it takes; the condition ends with the wait."""
    bench.clock.now_wall_s = 0.0
    bench.waits.right_after_s = 86_400
    bench.watch.wait_until_plausible()
    assert bench.waits.waited_s >= 86_400
    assert bench.conditions() == []


def test_an_unset_clock_is_waited_for_within_limits(bench: Bench) -> None:
    """Two minutes in all: the second attempt does not wait again."""
    bench.clock.was_set = False
    bench.watch.wait_until_set()
    assert bench.waits.waited_s == SET_WAIT_S == 120
    bench.watch.wait_until_set()
    assert bench.waits.waited_s == SET_WAIT_S


def test_a_clock_that_is_set_ends_the_wait(bench: Bench) -> None:
    """At the next look."""
    bench.clock.was_set = False
    bench.waits.right_after_s = 12
    bench.watch.wait_until_set()
    assert bench.waits.waited_s == 15


def test_sighup_ends_the_wait(bench: Bench) -> None:
    """Whoever sends it wants a try now."""
    bench.clock.was_set = False
    bench.waits.retry()
    bench.watch.wait_until_set()
    assert bench.waits.waited_s == 5


@pytest.mark.parametrize(("step_s", "turned"), [(-6, True), (6, True), (4, False), (0, False)])
def test_a_step_is_noticed_once(bench: Bench, step_s: float, turned: bool) -> None:  # noqa: FBT001
    """Time that passes is none, nor is what a time service corrects in passing."""
    bench.clock.pass_by(1000)
    bench.clock.jump(step_s)
    assert bench.watch.turned() == turned
    assert not bench.watch.turned()


def test_becoming_set_is_a_turn(bench: Bench) -> None:
    """Even where the clock was right already; becoming unset is none."""
    bench.clock.was_set = False
    assert not bench.watch.turned()
    bench.clock.was_set = True
    assert bench.watch.turned()
