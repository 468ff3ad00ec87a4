"""A wake-up ends a select from another thread, once."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from types import FrameType


def test_a_set_before_the_wait_ends_it_at_once_and_once() -> None:
    """No wake-up is lost, and many are one."""
    with Wakeup() as wakeup:
        for _ in range(3):
            wakeup.set()
        assert wakeup.wait(60)
        assert not wakeup.wait(0)


def test_another_thread_ends_the_wait() -> None:
    """The waiting thread goes on as soon as it is set."""
    with Wakeup() as wakeup:
        timer = threading.Timer(0.05, wakeup.set)
        timer.start()
        assert wakeup.wait(60)
        timer.join()


def test_a_signal_handler_ends_the_wait() -> None:
    """A signal that arrives in the wait ends it through its handler."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        wakeup.set()

    with Wakeup() as wakeup:
        before = signal.signal(signal.SIGUSR1, handle)
        try:
            timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            assert wakeup.wait(60)
            timer.join()
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_a_wait_ends_by_itself() -> None:
    """Nothing set: False after the time; a time in the past is none at all."""
    with Wakeup() as wakeup:
        assert not wakeup.wait(0.05)
        assert not wakeup.wait(-5)


def test_clear_makes_the_next_wait_wait() -> None:
    """Cleared is as if never set; clearing twice does no harm."""
    with Wakeup() as wakeup:
        wakeup.set()
        wakeup.clear()
        wakeup.clear()
        assert not wakeup.wait(0)


def test_closed_twice_and_set_late_do_no_harm() -> None:
    """A thread may still set it while another has closed it."""
    wakeup = Wakeup()
    descriptor = wakeup.fileno()
    wakeup.close()
    wakeup.close()
    wakeup.set()
    assert wakeup.fileno() == -1
    assert not os.path.exists(f"/proc/self/fd/{descriptor}")  # noqa: PTH110 -- a broken link counts as gone


def test_no_child_inherits_it() -> None:
    """The descriptor is closed in a program that is started."""
    with Wakeup() as wakeup:
        assert not os.get_inheritable(wakeup.fileno())
