"""The daemon: everything wired by hand, started, supervised and stopped in order.

The main thread owns signals, health and systemd; the sampler and the uplink have a thread each. An
exception that leaves a worker ends the process: systemd starts it again, from what is on the disk.
"""

from __future__ import annotations

import json
import logging
import math
import os
import select
import signal
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from agent import files
from agent.clock import Clock
from agent.daemon.notify import Notifier, watchdog_interval_s
from agent.errors import EXIT_FAILURE, EXIT_OK, AgentError
from agent.health.health import (
    CONFIG_WARNING,
    ERROR,
    LEVELS,
    STORE_RESET,
    Health,
)
from agent.sampling.recorder import Custody
from agent.sampling.sampler import Sampler
from agent.store.opening import open_store
from agent.uplink import birth
from agent.uplink.uplink import Uplink
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config.settings import Config
    from agent.health.health import Snapshot

#: SIGTERM to exit; the first part for what waits in the store.
DRAIN_S = 3.0
STOP_S = 3.8

#: status.json is replaced at most this often; what changes within BURST_S is shown together.
STATUS_EVERY_S = 1.0
BURST_S = 0.1

#: The longest sleep of the main thread, for conditions and heartbeats that change by themselves.
TICK_S = 60.0

log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises AgentError when it cannot start."""
    log_to_stderr()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to try again
    # Read by the C library before its first look-up (resolv.conf(5)): a dead DNS server then blocks
    # the uplink for seconds, not for the better part of a minute.
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")
    with ExitStack() as stack:
        status_file = config.paths.runtime / "status.json"
        with files.explained():
            for directory in (config.paths.state, config.paths.runtime):
                files.make_directory(directory)
            lock = files.lock(config.paths.runtime / "agent.lock", "another agent")
            stack.enter_context(lock)
            status_file.unlink(missing_ok=True)  # of a process that was killed
        clock = Clock()
        changed = stack.enter_context(Wakeup())
        urgent = stack.enter_context(Wakeup())
        health = Health(
            on_change=changed.set, on_turn=urgent.set, wall_s=clock.wall_s, boot_s=clock.boot_s
        )
        store = stack.enter_context(
            open_store(config.store, wall_s=clock.wall_s, boot_s=clock.boot_s)
        )
        sampler_wakeup = stack.enter_context(Wakeup())
        uplink_wakeup = stack.enter_context(Wakeup())
        gone = birth.begun(store, clock.now(), config.paths.runtime)
        uplink = Uplink(config, store, away=gone, health=health, clock=clock, wakeup=uplink_wakeup)
        on_record = uplink.record_waits
        custody = Custody(config, store, clock=clock, health=health, on_record=on_record)
        custody.begin()
        sampler = stack.enter_context(
            Sampler(config, custody, clock=clock, health=health, wakeup=sampler_wakeup)
        )
        health.update(thing=config.thing.name, endpoint=config.mqtt.endpoint, pid=os.getpid())
        for warning in config.warnings:
            health.report(CONFIG_WARNING, warning, key=warning)
        if store.reset:
            health.report(STORE_RESET, store.reset)
        supervisor = Supervisor(
            health,
            Notifier(),
            changed=changed,
            urgent=urgent,
            status_file=status_file,
        )
        code = supervisor.run(sampler, uplink)
        if code == EXIT_OK:
            birth.ended(store, clock.now())
        return code


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
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._notifier = notifier
        self._changed = changed
        self._urgent = urgent
        self._status_file = status_file
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
            Worker("sampler", sampler.run, self._urgent),
            Worker("uplink", uplink.run, self._urgent),
        ]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        signal.signal(signal.SIGHUP, lambda *_: uplink.retry())
        for worker in workers:
            worker.start()
        self._notifier.ready()
        while not self._stopping and all(worker.is_alive() for worker in workers):
            self._wait(self.tick())
        self._shut_down(sampler, uplink, workers)
        return EXIT_FAILURE if any(worker.failed for worker in workers) else EXIT_OK

    def tick(self) -> float:
        """Tell what there is to tell; in how many seconds to be called again at the latest."""
        now_s = self._monotonic_s()
        if now_s - self._fed_s >= self._feed_every_s and not self._late():
            self._notifier.watchdog()
            self._fed_s = now_s
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

    def _shut_down(self, sampler: Sampler, uplink: Uplink, workers: list[Worker]) -> None:
        """Stop both workers, the sampler first, so that its last records go up too."""
        began_s = self._monotonic_s()
        self._notifier.stopping()
        self._health.update(state="stopping")
        self._show(self._health.snapshot())
        sampler.stop()
        workers[0].join(1.0)
        try:
            sampler.close()
        except AgentError as error:
            log.critical("sampler: %s (%s)", error.text, error.hint)
            workers[0].failed = True
        uplink.stop(began_s + DRAIN_S)
        workers[1].join(max(0.0, began_s + STOP_S - self._monotonic_s()))
        self._show(self._health.snapshot())
        for worker in workers:
            if worker.is_alive():
                log.warning("%s is stuck and is left behind", worker.name)


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


class _LineFormatter(logging.Formatter):
    """`<N>text` on one line: the priority that journald reads from stderr (sd-daemon(3))."""

    PRIORITIES = (
        (logging.CRITICAL, 2),
        (LEVELS[ERROR], 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
    )

    def format(self, record: logging.LogRecord) -> str:
        priority = next((p for level, p in self.PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>" + " ".join(record.getMessage().split())


def log_to_stderr() -> None:
    """Log to stderr for journald; one line an event, no tracebacks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _one_line(error: BaseException) -> str:
    """What happened and where, without a traceback."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"internal error: {type(error).__name__}: {error}{where}"
