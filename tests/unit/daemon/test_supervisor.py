"""The supervisor starts the workers, and has them end in order; who dies takes the others along."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from agent.daemon import supervisor
from agent.daemon.config_watch import ConfigWatch
from agent.daemon.notify import Notifier
from agent.daemon.reporter import Reporter
from agent.daemon.supervisor import Supervisor
from agent.errors import AgentError, FileBackError
from agent.health.health import FSYNC_S, Health
from agent.wakeup import Wakeup
from tests.fakes import Ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.daemon.conftest import Systemd

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


class FakeStop:
    """A stop without a deadline."""

    def __init__(self, events: Wakeup) -> None:
        self._events = events
        self.asked = False

    def begin(self) -> float:
        """Begin it."""
        self.asked = True
        self._events.set()
        return time.monotonic()


class FakeWorker:
    """A worker that works until it is stopped, or fails; `told` has all that it was told."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self._told = told
        self._over = threading.Event()
        self.error: BaseException | None = None
        self.close_error: BaseException | None = None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._told.append(f"{self.name} closed")
        if self.close_error:
            raise self.close_error

    def run(self) -> None:
        """Work."""
        if self.error:
            raise self.error
        self._over.wait()

    def stop(self, by_s: float = 0.0) -> None:
        """Stop working."""
        del by_s
        self._told.append(f"{self.name} stopped")
        self._over.set()

    def retry(self) -> None:
        """Try again."""
        self._told.append(f"{self.name} tries again")


class Yard:
    """A supervisor of two fake workers."""

    def __init__(self, directory: Path, *wakeups: Wakeup) -> None:
        rested, turned, events = wakeups
        self.ticks = Ticks()
        self.health = Health(
            on_rest=rested.set, on_turn=turned.set, wall_s=self.ticks, boot_s=self.ticks
        )
        self.told: list[str] = []
        self.sampler = FakeWorker("sampler", self.told)
        self.uplink = FakeWorker("uplink", self.told)
        self.stop = FakeStop(events)
        notifier = Notifier()
        self.reporter = Reporter(
            self.health,
            notifier,
            rested=rested,
            turned=turned,
            status_file=directory / "status.json",
            watches=[ConfigWatch((), health=self.health)],
        )
        self.supervisor = Supervisor(
            self.health,
            notifier,
            self.reporter,
            self.stop,  # type: ignore[arg-type]
            events=events,
        )

    def run(self, meanwhile: Callable[[], object] = lambda: None) -> bool:
        """Run until the end, which `meanwhile` begins."""
        threading.Thread(target=meanwhile).start()
        return self.supervisor.run(self.sampler, self.uplink)  # type: ignore[arg-type]


@pytest.fixture
def yard(tmp_path: Path, systemd: Systemd) -> Iterator[Yard]:
    """All well."""
    del systemd
    before = signal.getsignal(signal.SIGHUP)
    with Wakeup() as rested, Wakeup() as turned, Wakeup() as events:
        yield Yard(tmp_path, rested, turned, events)
    signal.signal(signal.SIGHUP, before)


ORDER = ["sampler stopped", "sampler closed", "uplink stopped"]


def test_a_stop_ends_the_sampler_first(yard: Yard, systemd: Systemd) -> None:
    """So that its last records go up too."""
    assert yard.run(yard.stop.begin)
    assert yard.told == ORDER
    assert yard.supervisor.failure is None
    heard = systemd.heard()
    assert heard[0] == b"READY=1"
    assert b"STOPPING=1" in heard


def test_a_stop_before_the_start_is_a_stop(yard: Yard) -> None:
    """What was asked for while the store was opened is not forgotten."""
    yard.stop.begin()
    assert yard.run()
    assert yard.told == ORDER


@pytest.mark.parametrize("name", ["sampler", "uplink"])
def test_a_worker_that_dies_ends_the_process(yard: Yard, name: str) -> None:
    """In the same order, and not as a stop."""
    failure = FileBackError("it can be used again")
    getattr(yard, name).error = failure
    assert not yard.run()
    assert yard.supervisor.failure is failure
    assert [word for word in yard.told if name not in word] == [
        word for word in ORDER if name not in word
    ]


class Lingering(Wakeup):
    """One whose setter goes on for a while, as a thread does before it has ended."""

    def set(self) -> None:
        """Set it."""
        super().set()
        time.sleep(0.2)


def test_a_worker_that_dies_slowly_ends_the_process(tmp_path: Path, systemd: Systemd) -> None:
    """It tells of its end while its thread is still alive."""
    del systemd
    before = signal.getsignal(signal.SIGHUP)
    with Wakeup() as rested, Wakeup() as turned, Lingering() as events:
        yard = Yard(tmp_path, rested, turned, events)
        yard.uplink.error = FileBackError("it can be used again")
        hung = threading.Timer(30.0, yard.stop.begin)
        hung.start()
        yard.run()
        in_time = hung.is_alive()
        hung.cancel()
    signal.signal(signal.SIGHUP, before)
    assert in_time


def test_a_worker_that_dies_during_the_stop_spoils_it(yard: Yard) -> None:
    """The last records could not be kept."""
    yard.sampler.close_error = AgentError("the card is full", hint="free some space")
    assert not yard.run(yard.stop.begin)
    assert yard.told == ORDER


def test_a_worker_that_ends_unasked_is_no_stop(yard: Yard) -> None:
    """Though it says nothing."""
    yard.uplink.stop()
    assert not yard.run()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_sampler_that_is_slow_to_end_is_waited_for_again(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    """After the uplink; what it could not keep by then is lost, and that is no end in order."""
    sent, over = threading.Event(), threading.Event()
    monkeypatch.setattr(yard.uplink, "stop", lambda _: sent.set())
    monkeypatch.setattr(yard.uplink, "run", sent.wait)

    def close(*_: object) -> None:
        assert sent.wait(30.0)
        over.wait(30.0 if hangs else 0.05)

    monkeypatch.setattr(FakeWorker, "__exit__", close)
    monkeypatch.setattr(supervisor, "SAMPLED_S", 0.1)
    if hangs:
        monkeypatch.setattr(supervisor, "WORKED_S", 0.3)
    assert yard.run(yard.stop.begin) is not hangs
    over.set()


def test_a_worker_that_never_beats_is_late(yard: Yard) -> None:
    """Its time begins with its thread."""
    yard.run(yard.stop.begin)
    assert yard.health.late() == []
    yard.ticks.now_s += FSYNC_S + 1
    assert yard.health.late() == ["sampler", "uplink"]


def test_sighup_has_the_uplink_try_again(yard: Yard) -> None:
    """Nothing else."""

    def hang_up() -> None:
        while signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGHUP)
        while not yard.told:
            time.sleep(0.001)
        yard.stop.begin()

    assert yard.run(hang_up)
    assert yard.told == ["uplink tries again", *ORDER]
