"""The stop: what begins it, and the instant at which the process ends, whatever hangs."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

from agent.errors import EXIT_FAILURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.wakeup import Wakeup

#: Time from the beginning of a stop to the end of the process.
STOP_S = 3.8

#: Later than this the kernel ends a process that cannot even end itself.
KERNEL_S = 0.1

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

#: What `begin` sends in place of a signal's number.
BEGUN = 0

CUT_SHORT = "<3>the stop took too long and is cut short: what was in memory only is lost\n"


class Stop:
    """The end of the process, which a signal or `begin` begins, once; `begun` is set then.

    A thread of its own takes the signals and waits for the deadline: the main thread may be in a
    system call that does not return, or in a lock that nobody gives back.
    """

    def __init__(self, begun: Wakeup, *, stop_s: float = STOP_S) -> None:
        self._begun = begun
        self._stop_s = stop_s
        self._reader, self._writer = socket.socketpair()
        self._writer.settimeout(0)
        self._heard: set[int] = set()
        self._armed = threading.Event()
        self.asked = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on; called once, in the main thread."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # its number goes to the descriptor
        threading.Thread(target=self._watch, name="stop", daemon=True).start()

    def begin(self) -> float:
        """Begin the stop, if none has begun; the time (time.monotonic) to count from."""
        self._writer.send(bytes([BEGUN]))
        return time.monotonic()

    def called_off(self) -> bool:
        """True unless a signal has asked for the stop, which `begin` has begun before.

        From now on a signal ends the process at once, and the kernel's deadline, which the next
        program in this process would inherit (setitimer(2)), is gone.
        """
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self._armed.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        with suppress(BlockingIOError):
            self._heard |= {*self._reader.recv(64, socket.MSG_DONTWAIT)}
        return SIGNALS.isdisjoint(self._heard)

    def _watch(self) -> None:
        while (SIGNALS | {BEGUN}).isdisjoint(self._heard):
            self._heard |= {*self._reader.recv(64)}
        signal.setitimer(signal.ITIMER_REAL, self._stop_s + KERNEL_S)
        self._armed.set()
        self.asked = True
        self._begun.set()
        time.sleep(self._stop_s)
        if select.select([], [sys.stderr], [], 0)[1]:  # nobody may read it
            os.write(sys.stderr.fileno(), CUT_SHORT.encode())
        atexit._run_exitfuncs()  # noqa: SLF001 -- ends the programs that sensors have started
        os._exit(EXIT_FAILURE)
