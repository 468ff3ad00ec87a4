"""Wiring of the daemon: every object made by hand, handed on, and closed in order.

The main thread starts and stops; the sampler, the uplink and the reporter have a thread each. An
exception that leaves a worker ends the process: systemd starts it again, from what is on the disk.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import ExitStack

from agent import board
from agent.clock import Clock
from agent.config import LEGACY_FILE
from agent.daemon.config_watch import ConfigWatch
from agent.daemon.lifetime import note_start, note_stop
from agent.daemon.log import log_to_stderr
from agent.daemon.notify import Notifier
from agent.daemon.reporter import Reporter
from agent.daemon.stop import Stop
from agent.daemon.supervisor import Supervisor
from agent.daemon.updates_watch import UpdatesWatch
from agent.daemon.workplace import claim
from agent.errors import EXIT_FAILURE, EXIT_OK, AgentError, FileBackError, RenamedError
from agent.facts import Facts
from agent.health import conditions
from agent.health.health import Health
from agent.sampling import Recorder, Sampler, mirrored_facts, open_windows
from agent.sensors.power import under_voltage
from agent.store import open_store
from agent.updates import DIRECTORY, Upgrades
from agent.uplink import Uplink
from agent.value import Value, replace
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config
    from agent.model import Json
    from agent.store import Store
    from agent.uplink import Birth

log = logging.getLogger(__name__)


class Ending(Value):
    """The end of the workers: in order, for an `upgrade`, with the failure of one; or not."""

    in_order: bool
    upgrade: bool
    failure: BaseException | None


def run(config: Config, *, updates: Path = DIRECTORY) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises AgentError when it cannot start.

    Raises RenamedError where the device has another name now, once all is stored and closed.
    `updates` is the directory of root's notes on them.
    """
    log_to_stderr()
    _settle_process()
    upgrades = Upgrades(updates)
    with ExitStack() as stack:
        claim(config.paths, stack)
        clock = Clock()  # the sampler's: a single thread asks each whether it is set
        events, rested, turned, sampler_wakeup, uplink_wakeup = (
            stack.enter_context(Wakeup()) for _ in range(5)
        )
        store = stack.enter_context(
            open_store(config.store, wall_s=clock.wall_s, boot_s=clock.boot_s)
        )
        health = Health(
            on_rest=rested.set,
            on_turn=turned.set,
            live=lambda: {**_figures(store), **facts.shown(), **updates_watch.shown()},
            wall_s=clock.wall_s,
            boot_s=clock.boot_s,
        )
        facts = Facts(config, store, clock=clock, health=health)
        config_watch = ConfigWatch((config.path, config.path.with_name(LEGACY_FILE)), health=health)
        updates_watch = UpdatesWatch(updates, health=health, clock=Clock())
        stop = Stop(events)
        stop.listen()  # until here a signal ends the process at once, and nothing has begun
        uplink = Uplink(
            config,
            store,
            birth=_begin(store, facts, clock, config.paths.runtime),
            facts=facts,
            health=health,
            clock=Clock(),
            wakeup=uplink_wakeup,
            serial=board.serial(),
            upgrades=upgrades,
            under_voltage=under_voltage,
            on_call=sampler_wakeup.set,
        )
        recorder = Recorder(
            config, store, clock=clock, health=health, facts=facts, on_records=uplink.records_wait
        )
        recorder.begin()
        sampler = Sampler(config, recorder, clock=clock, health=health, wakeup=sampler_wakeup)
        _tell_first(health, config, store)
        notifier, watches = Notifier(), (config_watch, updates_watch)
        status_file = config.paths.status_file
        reporter = Reporter(
            health, notifier, rested=rested, turned=turned, status_file=status_file, watches=watches
        )
        supervisor = Supervisor(health, notifier, reporter, stop, events=events)
        in_order = supervisor.run(sampler, uplink)
        facts.end()
        ending = Ending(in_order, upgrades.begun(), supervisor.failure)
        return _end(store, config, clock, stop, ending)


def _figures(store: Store) -> dict[str, Json]:
    """Figures that the store tells at each snapshot."""
    return {"queued": store.queued, "dropped": store.dropped, "total": store.total}


def _settle_process() -> None:
    """Have signals and look-ups be those of a process in which nothing has begun."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to try again
    # Read by the C library before its first look-up (resolv.conf(5)): a dead DNS server then blocks
    # the uplink for seconds, not for the better part of a minute.
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")


def _begin(store: Store, facts: Facts, clock: Clock, runtime: Path) -> Birth:
    """Note that this process has begun, and go on from the one before. Raises StoreError."""
    windows = open_windows(runtime)
    window = windows[-1].record.moment if windows else None
    birth = note_start(store, clock.now(), runtime, window=window)
    facts.begin(birth.reason, birth.since, mirrored_facts(runtime))
    return birth


def _end(store: Store, config: Config, clock: Clock, stop: Stop, ending: Ending) -> int:
    """Close the store; the exit code. Raises RenamedError where the process goes on."""
    renamed = ending.failure if isinstance(ending.failure, RenamedError) else None
    in_order = ending.in_order or renamed is not None
    kept = _close(store, config, clock, replace(ending, in_order=in_order))
    if renamed and kept and stop.called_off():
        raise renamed
    return EXIT_OK if in_order and kept else EXIT_FAILURE


def _close(store: Store, config: Config, clock: Clock, ending: Ending) -> bool:
    """Note why the process ends, and close the store; False if something in it was lost."""
    back = isinstance(ending.failure, FileBackError)
    now, runtime, upgrade = clock.now(), config.paths.runtime, ending.upgrade
    try:
        if ending.in_order or back:
            note_stop(store, now, runtime, upgrade=upgrade)
        if back:  # the store that ends here was in memory; the next one is the file
            running = store.recall("running")
            with open_store(config.store) as file:
                note_stop(file, now, runtime, upgrade=upgrade, running=running)
        waiting = store.queued
        store.close()
    except AgentError as error:
        log.critical("%s (%s)", error.text, error.hint)
        return False
    lost = f"{waiting} records, {store.memory_only}" if store.memory_only and waiting else ""
    if store.blocked:
        lost = store.blocked.text
    if lost:
        log.critical("what was in memory only is lost: %s", lost)
    return not lost


def _tell_first(health: Health, config: Config, store: Store) -> None:
    """Report what is known before any worker runs."""
    health.update(thing=config.thing.name, endpoint=config.mqtt.endpoint, pid=os.getpid())
    for warning in config.warnings:
        health.report(conditions.CONFIG_WARNING, warning, key=warning)
    if store.reset:
        health.report(conditions.STORE_RESET, store.reset, hint=store.reset_hint)
