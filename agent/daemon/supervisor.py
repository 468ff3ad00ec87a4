"""Supervisor: a thread for each worker, and their end in order.

An exception that leaves a worker ends the process: systemd starts it again, from what is on the
disk.
"""

from __future__ import annotations

import logging
import select
import signal
import threading
import time

from agent.errors import AgentError, RenamedError
from agent.health.health import FSYNC_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.daemon.notify import Notifier
    from agent.daemon.reporter import Reporter
    from agent.daemon.stop import Stop
    from agent.health.health import Health
    from agent.sampling import Sampler
    from agent.uplink import Uplink
    from agent.wakeup import Wakeup

#: Deadlines after the beginning of the stop: for the sampler's last records, for sending what waits
#: in the store, for the end of the workers, and for the last report.
SAMPLED_S = 1.5
DRAIN_S = 3.0
WORKED_S = 3.4
REPORTED_S = 3.5

log = logging.getLogger(__name__)


class Supervisor:
    """Runs the workers, from the main thread, which itself waits for nothing but `events`.

    `events` is set by the beginning of the stop and by the end of a worker. `failure` is what one
    ended with, if any did.
    """

    def __init__(
        self, health: Health, notifier: Notifier, reporter: Reporter, stop: Stop, *, events: Wakeup
    ) -> None:
        self._health = health
        self._notifier = notifier
        self._reporter = reporter
        self._stop = stop
        self._events = events
        self.failure: BaseException | None = None

    def run(self, sampler: Sampler, uplink: Uplink) -> bool:
        """Run until told to stop or one dies; True if it was a stop, with all records kept."""

        def sample() -> None:
            with sampler:
                sampler.run()

        workers = [
            Worker(sampler.name, sample, self._events),
            Worker(uplink.name, uplink.run, self._events),
            Worker(self._reporter.name, self._reporter.run, self._events),
        ]
        signal.signal(signal.SIGHUP, lambda *_: uplink.retry())
        for name in (sampler.name, uplink.name):
            self._health.beat(name, FSYNC_S)  # or one that hangs at once would never be late
        self._notifier.ready()
        for worker in workers:
            worker.start()
        while not self._stop.asked and not any(worker.ended for worker in workers):
            select.select([self._events], [], [])
            self._events.clear()
        in_order = self._stop.asked
        self.failure = next((one.failure for one in workers if one.failure), None)
        self._shut_down(sampler, uplink, workers)
        self.failure = self.failure or next((one.failure for one in workers if one.failure), None)
        return in_order and not self.failure and not workers[0].is_alive()

    def _shut_down(self, sampler: Sampler, uplink: Uplink, workers: list[Worker]) -> None:
        """End the workers, the sampler first, so that its last records go up too."""
        sampling, sending, reporting = workers
        began_s = self._stop.begin()
        sampler.stop()
        self._health.update(state="stopping")
        if not isinstance(self.failure, RenamedError):  # the process goes on
            self._notifier.stopping()
        sampling.end_by(began_s + SAMPLED_S)
        uplink.stop(began_s + DRAIN_S)
        sending.end_by(began_s + WORKED_S)
        sampling.end_by(began_s + WORKED_S)
        self._reporter.stop()
        reporting.end_by(began_s + REPORTED_S)
        for worker in workers:
            if worker.is_alive():
                log.warning("%s is stuck and is left behind", worker.name)


class Worker(threading.Thread):
    """A thread whose end sets `events`; `failure` is an exception that left it, if one did.

    `ended` says that its work has; the thread is alive a moment longer.
    """

    def __init__(self, name: str, target: Callable[[], None], events: Wakeup) -> None:
        # A thread stuck in a system call must not keep the process from ending.
        super().__init__(name=name, daemon=True)
        self._work = target
        self._events = events
        self.failure: BaseException | None = None
        self.ended = False

    def run(self) -> None:
        """Work until the work returns; an exception is logged in one line, with its place."""
        try:
            self._work()
        except RenamedError as renamed:
            self.failure = renamed
            log.info("%s: the agent starts anew", renamed.text)
        except AgentError as error:
            self.failure = error
            log.critical("%s: %s (%s)", self.name, error.text, error.hint)
        except BaseException as error:  # noqa: BLE001 -- crash-only: whatever it is ends the process
            self.failure = error
            log.critical("%s: %s", self.name, _one_line(error))
        finally:
            self.ended = True
            self._events.set()

    def end_by(self, until_s: float) -> None:
        """Wait for its end until `until_s` (time.monotonic)."""
        self.join(max(0.0, until_s - time.monotonic()))


def _one_line(error: BaseException) -> str:
    """The exception and its place, without a traceback."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"internal error: {type(error).__name__}: {error}{where}"
