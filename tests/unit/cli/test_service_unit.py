"""Whatever ends `setup` early, the service is started again."""

from __future__ import annotations

import os
import signal

import pytest

from agent.cli.service_unit import leaving


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_the_work_and_what_is_left_is_done(number: signal.Signals) -> None:
    """A second one, as where ssh breaks, does not keep it from that."""
    before = signal.getsignal(number)
    done: list[str] = []

    def work() -> None:
        with leaving():
            try:
                os.kill(os.getpid(), number)
                done.append("went on")
            finally:
                os.kill(os.getpid(), signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("left")

    with pytest.raises(SystemExit) as ended:
        work()
    assert ended.value.code == 128 + number
    assert done == ["left"]
    assert signal.getsignal(number) is before


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    """As with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with leaving():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
