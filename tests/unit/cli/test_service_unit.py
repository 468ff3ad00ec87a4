"""Whatever ends `setup` early, the service is started again."""

from __future__ import annotations

import os
import signal

import pytest

from agent.cli.service_unit import at_last


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_the_work_and_what_is_left_is_done(number: signal.Signals) -> None:
    """A second one does not keep it from that."""
    before = signal.getsignal(number)
    done: list[str] = []

    def last() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("last")

    def work() -> None:
        with at_last(last):
            os.kill(os.getpid(), number)
            done.append("went on")

    with pytest.raises(SystemExit) as ended:
        work()
    assert ended.value.code == 128 + number
    assert done == ["last"]
    assert signal.getsignal(number) is before


def test_a_hang_up_may_come_after_the_end_of_the_input() -> None:
    """As the kernel has it where a connection breaks."""
    done: list[str] = []

    def last() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        done.append("last")

    def work() -> None:
        with at_last(last):
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 -- any will do
        work()
    assert done == ["last"]


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    """As with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with at_last(lambda: None):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
