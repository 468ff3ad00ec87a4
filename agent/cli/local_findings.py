"""Local findings: configuration, clock, store and sensors; no network is needed."""

from __future__ import annotations

import time

from agent.cli import verdict
from agent.cli.rule_warnings import rule_warnings
from agent.cli.status import looked
from agent.cli.updates import INSTALLER, MEND_INSTALLER, NO_INSTALLER
from agent.cli.verdict import FAIL, OK, WARN, Finding
from agent.clock import Clock
from agent.errors import AgentError, SensorError
from agent.facts import DIGEST, EVENTS
from agent.health import conditions
from agent.model import COUNT
from agent.sensors import lacking, open_sensor
from agent.store.inspection import StoreForbiddenError, StoreMissingError, inspect
from agent.updates import (
    DIRECTORY,
    RESTORED,
    looked_of,
    on_trial,
    outcome_of,
    pending_of,
    told,
    undone,
)
from agent.uplink.announcement import STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agent.config import Config

#: Document of the cloud side, where the package has it.
CLOUD = "/usr/share/doc/pi-iot-agent/cloud.md"

#: Warnings of it begin so.
ENDPOINT = "mqtt.endpoint: "


def of_configuration(config: Config) -> Iterator[Finding]:
    """The file that was read, and what is worth mending in it.

    The endpoint is judged by what comes of it.
    """
    yield Finding(OK, "configuration", str(config.path))
    for warning in config.warnings:
        if not warning.startswith(ENDPOINT):
            yield verdict.of(conditions.CONFIG_WARNING, WARN, warning)
    for warning in rule_warnings(config):
        yield verdict.of(conditions.CONFIG_WARNING, WARN, warning)


def of_topics(config: Config) -> Finding:
    """The topics that it publishes on, to compare with what the cloud listens to."""
    kinds = [COUNT] if config.count.sensor else []
    for sensor in config.sensors:
        # A detector that is only counted, or a button, has no readings.
        detects = sensor.sos or sensor.name in config.count.sensor
        if sensor.interval_s is not None or not detects:
            kinds.append(f"sensors/{sensor.name}")
    kinds += [STATUS, EVENTS] + ([DIGEST] if config.digests else [])
    told = ", ".join(f"{config.thing.name}/{kind}" for kind in kinds)
    return Finding(OK, "topics", f"publishes {told}", f"the cloud side listens to these: {CLOUD}")


def of_endpoint(config: Config, told: Iterable[Finding]) -> Iterator[Finding]:
    """The warning of the configured endpoint, unless the hint to a failure has told it."""
    hints = {one.hint for one in told}
    for warning in config.warnings:
        if warning.startswith(ENDPOINT) and warning.removeprefix(ENDPOINT) not in hints:
            yield verdict.of(conditions.CONFIG_WARNING, WARN, warning)


def of_clock(clock: Clock) -> Finding:
    """The time, and whether a time service has set it."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(clock.wall_s()))
    if not clock.plausible():
        return verdict.of(conditions.CLOCK_UNSET, FAIL, f"{now} is before this version")
    if not clock.is_set():
        return verdict.of(conditions.CLOCK_UNSET, WARN, f"{now}, not from the network")
    return Finding(OK, "clock", now)


def of_store(config: Config) -> Finding:
    """The store's file, and how much waits in it."""
    try:
        queued = inspect(config.store.path, 0).queued
    except StoreMissingError:
        return Finding(OK, "store", f"{config.store.path} is made at the first start")
    except StoreForbiddenError as forbidden:
        return Finding(WARN, "store", forbidden.text, forbidden.hint)
    except AgentError as error:
        return Finding(FAIL, "store", error.text, error.hint)
    return Finding(OK, "store", f"{queued} records wait in {config.store.path}")


def of_updates(
    clock: Clock, directory: Path = DIRECTORY, *, installer: Path = INSTALLER
) -> Iterator[Finding]:
    """The last look for updates, where they are taken up, and an upgrade that did not last.

    Or one that has to prove itself still.
    """
    if outcome := undone(outcome_of(directory)):
        text, hint = told(outcome)
        if outcome.went == RESTORED:
            yield Finding(OK, "updates", text, hint)
        else:
            yield verdict.of(conditions.ROLLED_BACK, WARN, text, hint)
    if pending := pending_of(directory):
        yield Finding(OK, "updates", *on_trial(pending))
    if note := looked_of(directory):
        how = looked(note.looked_s, note.succeeded_s, note.trouble, clock.wall_s())
        if note.trouble:
            yield verdict.of(conditions.UPDATES_FAILING, WARN, how, note.hint)
        else:
            yield Finding(OK, "updates", how)
        if not installer.exists():
            yield Finding(WARN, "updates", f"{NO_INSTALLER} on this device", MEND_INSTALLER)


def of_sensors(config: Config) -> Iterator[Finding]:
    """Each sensor, read once, as a process that holds none can."""
    clock = Clock()
    for sensor in config.sensors:
        try:
            opened = open_sensor(sensor, clock=clock)
            try:
                missing = opened.read().missing
            finally:
                opened.close()
        except SensorError as error:
            yield verdict.of(conditions.SENSOR_FAILING, WARN, error.text, error.hint)
        else:
            if missing:
                lack = lacking(sensor.name, missing)
                text = lack.text.removeprefix(f"{sensor.name}: ")
                hint = lack.hint or conditions.QUANTITY_MISSING.hint
                yield Finding(OK, "sensor", f"{sensor.name} works in part: {text}", hint)
            else:
                yield Finding(OK, "sensor", f"{sensor.name} works")
