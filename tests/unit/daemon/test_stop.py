"""A stop ends the process in time, wherever the main thread is."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, ctypes, threading, time
from agent.daemon import stop as module
from agent.daemon.stop import Stop
from agent.wakeup import Wakeup

lock = threading.Lock()
lock.acquire()
module.KERNEL_S = {kernel_s}
events = Wakeup()
atexit.register(print, "programs ended", flush=True)
stop = Stop(events, stop_s={stop_s})
stop.listen()
print("ready", flush=True)
{main}
"""

MAINS = {
    "lock": "lock.acquire()",
    "system call": "[ctypes.CDLL(None).sleep(60) for _ in range(9)]",
    "loop": "while True: pass",
}


def ended(
    main: str, *numbers: signal.Signals, stop_s: float = 0.2, kernel_s: float = 30.0
) -> tuple[int, str, str]:
    """The exit code of a process that does `main`, and what it printed."""
    program = PROGRAM.format(main=main, stop_s=stop_s, kernel_s=kernel_s)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(  # without a buffer, in which more than the first line would stay
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        for number in numbers:
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("place", MAINS)
def test_the_process_ends_at_the_deadline(place: str, number: signal.Signals) -> None:
    """With what sensors have started, with a line that says so, and not as a success."""
    code, out, err = ended(MAINS[place], number, number)
    assert (code, out) == (1, "programs ended\n")
    assert err.count("cut short") == 1


def test_the_end_of_a_crash_has_the_same_deadline() -> None:
    """Nobody sent a signal."""
    assert ended(f"stop.begin(); {MAINS['lock']}")[0] == 1


def test_a_driver_that_keeps_the_interpreter_is_ended_by_the_kernel() -> None:
    """Nothing of ours runs any more."""
    main = "import select; stop.begin(); select.select([events], [], []); "
    main += "ctypes.PyDLL(None).sleep(60)"
    assert ended(main, stop_s=1.0, kernel_s=0.1)[0] == -signal.SIGALRM


def test_a_stop_that_is_over_in_time_is_not_cut_short() -> None:
    """The stop is told to who waits for it; the deadline ends with the process."""
    main = "import select; select.select([events], [], []); assert stop.asked"
    assert ended(main, signal.SIGTERM, stop_s=20.0) == (0, "programs ended\n", "")


@pytest.mark.parametrize(("asked", "off"), [("", True), ("os.kill(os.getpid(), 15);", False)])
def test_a_stop_that_nobody_asked_for_can_be_called_off(asked: str, *, off: bool) -> None:
    """A signal that comes after its begin still counts; a later one ends the process at once."""
    main = "import os, select, signal; stop.begin(); select.select([events], [], []);"
    main += f"{asked} assert stop.called_off() is {off};"
    main += "assert signal.getsignal(15) is signal.SIG_DFL; assert signal.getitimer(0)[0] == 0"
    assert ended(main, stop_s=20.0) == (0, "programs ended\n", "")
