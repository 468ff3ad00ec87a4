"""Supervisor: signals, health and systemd in the main thread, a thread for each worker.

An exception that leaves a worker ends the process: systemd starts it again, from what is on the
disk.
"""

from __future__ import annotations

import json
import logging
import math
import select
import signal
import threading
import time
from typing import TYPE_CHECKING

from agent import files
from agent.daemon.notify import Notifier, watchdog_interval_s
from agent.errors import EXIT_FAILURE, EXIT_OK, AgentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.daemon.config_watch import ConfigWatch
    from agent.health.health import Health, Snapshot
    from agent.sampling import Sampler
    from agent.uplink import Uplink
    from agent.wakeup import Wakeup

#: Deadlines after SIGTERM: for sending what waits in the store, and for the end of the workers.
DRAIN_S = 3.0
STOP_S = 3.8

#: status.json is replaced at most this often; what changes within BURST_S is shown together.
STATUS_EVERY_S = 1.0
BURST_S = 0.1

#: The longest sleep of the main thread, for conditions and heartbeats that change by themselves.
TICK_S = 60.0

log = logging.getLogger(__name__)


class Supervisor:
    """Runs the workers from the main thread and tells the world how they are.

    `changed` is set by each change of health, `urgent` by one that a person would want to know at
    once, by a signal, and by the end of a worker.
    """

    def __init__(
        self,
        health: Health,
        notifier: Notifier,
        *,
        changed: Wakeup,
        urgent: Wakeup,
        status_file: Path,
        config_watch: ConfigWatch,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._notifier = notifier
        self._changed = changed
        self._urgent = urgent
        self._status_file = status_file
        self._config_watch = config_watch
        self._monotonic_s = monotonic_s
        self._stopping = False
        self._written = b""
        self._written_s = -math.inf
        self._changed_s = -math.inf
        self._pending = False
        interval_s = watchdog_interval_s()
        self._feed_every_s = interval_s / 3 if interval_s else float("inf")
        self._fed_s = 0.0

    def run(self, sampler: Sampler, uplink: Uplink) -> int:
        """Start both workers, supervise until told to stop or one of them dies; the exit code."""
        workers = [
            Worker(sampler.name, sampler.run, self._urgent),
            Worker(uplink.name, uplink.run, self._urgent),
        ]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        signal.signal(signal.SIGHUP, lambda *_: uplink.retry())
        for worker in workers:
            worker.start()
        self._notifier.ready()
        while not self._stopping and all(worker.is_alive() for worker in workers):
            self._wait(self.tick())
        in_order = self._shut_down(sampler, uplink, workers)
        return (
            EXIT_OK if in_order and not any(worker.failed for worker in workers) else EXIT_FAILURE
        )

    def tick(self) -> float:
        """Feed the watchdog and tell the status; the seconds to the next call at the latest."""
        now_s = self._monotonic_s()
        if now_s - self._fed_s >= self._feed_every_s and not self._late():
            self._notifier.watchdog()
            self._fed_s = now_s
        self._config_watch.look()
        self._changed.clear()
        snapshot = self._health.snapshot()
        self._notifier.status(snapshot.line())
        wait_s = min(TICK_S, self._feed_every_s, self._health.next_change_s())
        due_s = max(self._changed_s + BURST_S, self._written_s + STATUS_EVERY_S)
        self._pending = now_s < due_s
        if self._pending:
            return min(wait_s, due_s - now_s)
        self._write(snapshot)
        return wait_s

    def _wait(self, wait_s: float) -> None:
        """Wait for a change; while one is about to be written, for an urgent one only."""
        watched = [self._urgent] if self._pending else [self._changed, self._urgent]
        ready, _, _ = select.select(watched, [], [], wait_s)
        self._urgent.clear()
        if ready and not self._pending:
            self._changed_s = self._monotonic_s()

    def _late(self) -> bool:
        late = self._health.late()
        if late:
            log.error("no progress in %s: the watchdog is not fed", " and ".join(late))
        return bool(late)

    def _show(self, snapshot: Snapshot) -> None:
        self._notifier.status(snapshot.line())
        self._write(snapshot)

    def _write(self, snapshot: Snapshot) -> None:
        content = (json.dumps(snapshot.as_json(), indent=1) + "\n").encode()
        if content == self._written:
            return
        try:
            files.replace(self._status_file, content, mode=files.PUBLIC_FILE, durable=False)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._status_file, error.strerror)
        self._written, self._written_s = content, self._monotonic_s()

    def _stop(self) -> None:
        self._stopping = True
        self._urgent.set()

    def _shut_down(self, sampler: Sampler, uplink: Uplink, workers: list[Worker]) -> bool:
        """Stop both workers, the sampler first, so that its last records go up too.

        False if the last records could not be kept.
        """
        began_s, in_order = self._monotonic_s(), True
        self._notifier.stopping()
        self._health.update(state="stopping")
        self._show(self._health.snapshot())
        sampler.stop()
        workers[0].join(1.0)
        try:
            sampler.close()
        except AgentError as error:
            log.critical("%s: %s (%s)", sampler.name, error.text, error.hint)
            in_order = False
        uplink.stop(began_s + DRAIN_S)
        workers[1].join(max(0.0, began_s + STOP_S - self._monotonic_s()))
        self._show(self._health.snapshot())
        for worker in workers:
            if worker.is_alive():
                log.warning("%s is stuck and is left behind", worker.name)
        return in_order


class Worker(threading.Thread):
    """A thread whose end, expected or not, wakes the main thread."""

    def __init__(self, name: str, target: Callable[[], None], urgent: Wakeup) -> None:
        # A thread stuck in a system call must not keep the process from ending.
        super().__init__(name=name, daemon=True)
        self._work = target
        self._urgent = urgent
        self.failed = False

    def run(self) -> None:
        """Work until the work returns; an exception is logged in one line, with its place."""
        try:
            self._work()
        except AgentError as error:
            self.failed = True
            log.critical("%s: %s (%s)", self.name, error.text, error.hint)
        except BaseException as error:  # noqa: BLE001 -- crash-only: whatever it is ends the process
            self.failed = True
            log.critical("%s: %s", self.name, _one_line(error))
        finally:
            self._urgent.set()


def _one_line(error: BaseException) -> str:
    """The exception and its place, without a traceback."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"internal error: {type(error).__name__}: {error}{where}"
