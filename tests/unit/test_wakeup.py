"""A wake-up ends a wait from another thread, once; so does what is readable."""

from __future__ import annotations

import fcntl
import os
import resource
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


def test_a_readable_descriptor_ends_the_wait_each_time() -> None:
    """Until it is read; the wake-up itself, once."""
    reader, writer = os.pipe()
    with Wakeup() as wakeup:
        assert wakeup.wait_for(0, reader) == frozenset()
        os.write(writer, b"x")
        assert wakeup.wait_for(60, reader) == {reader}
        wakeup.set()
        assert wakeup.wait_for(60, reader) == {reader, wakeup.fileno()}
        assert wakeup.wait_for(60, reader) == {reader}
        os.read(reader, 1)
        assert wakeup.wait_for(0, reader) == frozenset()
    os.close(reader)
    os.close(writer)


def test_a_descriptor_whose_other_end_is_gone_ends_the_wait() -> None:
    """As that of a chip that was unplugged."""
    reader, writer = os.pipe()
    os.close(writer)
    with Wakeup() as wakeup:
        assert wakeup.wait_for(60, reader) == {reader}
    os.close(reader)


def test_a_descriptor_that_is_closed_raises_nothing() -> None:
    """It counts as readable, so that somebody looks; one that says so itself is left out."""
    with Wakeup() as wakeup:
        reader, writer = os.pipe()
        os.close(reader)
        os.close(writer)
        assert wakeup.wait_for(60, reader) == {reader}
        assert wakeup.wait_for(0, -1) == frozenset()


def test_a_descriptor_may_have_any_number() -> None:
    """A process may have more than 1024 files open, which select(2) cannot wait for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    reader, writer = os.pipe()
    high = fcntl.fcntl(reader, fcntl.F_DUPFD_CLOEXEC, 1500)
    os.write(writer, b"x")
    with Wakeup() as wakeup:
        assert wakeup.wait_for(60, high) == {high}
    for descriptor in (reader, writer, high):
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
