"""`doctor`: checks the whole way, from the configuration to a live connection, and what to do.

While the agent runs, it is asked: a second connection with its name would throw it out.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import board
from agent.cli.main import COMMANDS, settings
from agent.cli.proof import MessageCameError, leave_message
from agent.cli.status import MOST_TOLD, conditions_of, degraded, read_status
from agent.clock import Clock
from agent.errors import (
    EXIT_FAILURE,
    EXIT_OK,
    AgentError,
    ConfigError,
    CredentialsError,
    LinkLostError,
    SensorError,
)
from agent.health import conditions
from agent.health.conditions import ERROR, INFO
from agent.identity import (
    ForbiddenCredentialsError,
    MissingCredentialsError,
    RootsError,
    other_things,
)
from agent.identity import load as load_credentials
from agent.model import COUNT
from agent.mqtt.answers import REFUSED, Subscribed, UnansweredError, reason_text
from agent.net import Ports, UnreachableError, look_up, proxy_for
from agent.provisioning import access_key
from agent.sensors import lacking, open_sensor
from agent.store.inspection import StoreForbiddenError, StoreMissingError, inspect
from agent.uplink import connect
from agent.uplink.diagnosis import cause_of
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.cli.main import Subparsers
    from agent.config import Config
    from agent.identity import Credentials, Identity
    from agent.model import Json
    from agent.mqtt.answers import Answer
    from agent.net import Dialer

OK, WARN, FAIL = "OK", "WARN", "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one thing; `hint` says what to do unless it is OK."""

    verdict: str
    what: str
    text: str
    hint: str = ""


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    subparsers.add_parser("doctor", help=COMMANDS["doctor"], description=__doc__)


def run(arguments: argparse.Namespace) -> int:
    """Print each finding as it comes; 1 if one is FAIL. Raises ConfigError."""
    failed = False
    for finding in examine(settings(arguments)):
        show(finding)
        failed = failed or finding.verdict == FAIL
    return EXIT_FAILURE if failed else EXIT_OK


def show(finding: Finding) -> None:
    """Print it, at once: the next one may take its time."""
    print(f"{finding.verdict:<5} {finding.what}: {finding.text}", flush=True)
    if finding.hint:
        print(f"      hint: {finding.hint}", flush=True)


def examine(config: Config) -> Iterator[Finding]:
    """One finding after the other, in the order in which a start needs them."""
    yield from _configuration(config)
    yield from _clock(Clock())
    yield _store(config)
    try:
        status = read_status(config.paths)
    except AgentError as error:
        yield Finding(WARN, "agent", error.text, error.hint)
        status = None
    if status is None:
        yield from _sensors(config)
    try:
        found = load_credentials(config)
    except MissingCredentialsError as missing:
        yield Finding(FAIL, conditions.UNPROVISIONED.code, missing.text, missing.hint)
    except ForbiddenCredentialsError as forbidden:
        yield Finding(WARN, "credentials", forbidden.text, forbidden.hint)
    except RootsError as wrong:
        yield Finding(FAIL, conditions.CA_FILE_INVALID.code, wrong.text, wrong.hint)
    except CredentialsError as spoiled:
        yield Finding(FAIL, conditions.CREDENTIALS_INVALID.code, spoiled.text, spoiled.hint)
    else:
        yield Finding(OK, "credentials", f"{found.certificate} and its key match")
        yield from needless_key(config) if found.identity else ()
        if status is None:
            yield from _identity(config, found.identity)
        yield from _way(config, found, running=status is not None)
    if status is not None:
        yield from _agent(status)


def _identity(config: Config, identity: Identity | None) -> Iterator[Finding]:
    """Findings on the identities here, which a running agent tells by itself."""
    here = board.serial() or ""
    if identity and identity.serial and here and identity.serial != here:
        text = f"made on the board {identity.serial}, and this is {here}"
        copied = conditions.IDENTITY_COPIED
        yield Finding(WARN, copied.code, text, copied.hint)
    for name in other_things(config.paths.certs, config.thing.name):
        text = f"{config.paths.certs} holds an identity of {name}, which this device does not use"
        hint = f"`sudo pi-iot-agent deprovision --thing {name}` removes it here and at AWS"
        yield Finding(WARN, conditions.LEFTOVER_CERTIFICATE.code, text, hint)


def needless_key(config: Config) -> Iterator[Finding]:
    """A warning of the AWS key that a device needs no more once it is registered."""
    file, profile = config.provisioning.credentials_file, config.aws.profile
    with suppress(OSError, ConfigError):
        if access_key.read(file, profile or access_key.DEFAULT_PROFILE).key:
            text = f"{file} has one, which a registered device needs no more"
            yield Finding(WARN, "AWS key", text, "`sudo pi-iot-agent setup` erases it")


def _configuration(config: Config) -> Iterator[Finding]:
    yield Finding(OK, "configuration", str(config.path))
    for warning in config.warnings:
        yield Finding(WARN, conditions.CONFIG_WARNING.code, warning, conditions.CONFIG_WARNING.hint)


def _clock(clock: Clock) -> Iterator[Finding]:
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(clock.wall_s()))
    unset = conditions.CLOCK_UNSET
    if not clock.plausible():
        yield Finding(FAIL, unset.code, f"{now} is before this version", unset.hint)
    elif not clock.is_set():
        yield Finding(WARN, unset.code, f"{now}, not from the network", unset.hint)
    else:
        yield Finding(OK, "clock", now)


def _store(config: Config) -> Finding:
    try:
        queued = inspect(config.store.path, 0).queued
    except StoreMissingError:
        return Finding(OK, "store", f"{config.store.path} is made at the first start")
    except StoreForbiddenError as forbidden:
        return Finding(WARN, "store", forbidden.text, forbidden.hint)
    except AgentError as error:
        return Finding(FAIL, "store", error.text, error.hint)
    return Finding(OK, "store", f"{queued} records wait in {config.store.path}")


def _sensors(config: Config) -> Iterator[Finding]:
    clock = Clock()
    for sensor in config.sensors:
        try:
            opened = open_sensor(sensor, clock=clock)
            try:
                missing = opened.read().missing
            finally:
                opened.close()
        except SensorError as error:
            hint = error.hint or conditions.SENSOR_FAILING.hint
            yield Finding(WARN, conditions.SENSOR_FAILING.code, error.text, hint)
        else:
            yield Finding(OK, "sensor", f"{sensor.name} works")
            if missing:
                lack = lacking(sensor.name, missing)
                yield Finding(WARN, conditions.QUANTITY_MISSING.code, lack.text, lack.hint)


def _way(config: Config, found: Credentials, *, running: bool) -> Iterator[Finding]:
    """Name, port, TLS, and without a running agent a session."""
    with ExitStack() as stack:
        wakeup = stack.enter_context(Wakeup())
        ports = Ports(config.mqtt.port)
        dialer = connect.dialer(
            config, found, ports=ports, wakeup=wakeup, interrupted=lambda: False
        )
        host = connect.endpoint(config, found)
        try:
            yield _name(host, config.mqtt.port, dialer)
            yield from _tls(host, ports, dialer)
            if not running:
                yield from _session(config, found, ports, wakeup)
        except LinkLostError as lost:
            cause = cause_of(lost, identity=found.identity, wall_s=time.time())
            condition = cause.condition or conditions.OFFLINE
            yield Finding(FAIL, condition.code, lost.text, cause.hint or condition.hint)


def _name(host: str, port: int, dialer: Dialer) -> Finding:
    via = proxy_for(host, port, os.environ)
    if via:
        return Finding(OK, "proxy", f"{via.host}:{via.port} looks {host} up, if it answers")
    found = look_up(host, port, dialer.waiter)
    addresses = dict.fromkeys(str(address[4][0]) for address in found)
    return Finding(OK, "name look-up", f"{host} is at {', '.join(addresses)}")


def _tls(host: str, ports: Ports, dialer: Dialer) -> Iterator[Finding]:
    """The first port that leads to the broker; those before it are a warning."""
    for port in ports.in_order():
        try:
            with dialer.secure(host, port) as secure:
                told = f"port {port}, {secure.version()}, the certificate is accepted"
        except UnreachableError as blocked:
            if port == ports.in_order()[-1]:
                raise
            yield Finding(WARN, "port", blocked.text, blocked.hint)
        else:
            ports.worked(port)
            yield Finding(OK, "TLS", f"{host} {told}")
            return


def _session(config: Config, found: Credentials, ports: Ports, wakeup: Wakeup) -> Iterator[Finding]:
    """CONNECT as the device, and SUBSCRIBE where the agent would."""
    topic = f"{config.thing.name}/{COUNT}"
    with connect.connection(
        config,
        found,
        wakeup=wakeup,
        interrupted=lambda: False,
        on_message=leave_message,
        ports=ports,
        will=False,
    ) as connection:
        accepted = connection.open()
        kept = "a session is kept" if accepted.session_present else "no session is kept"
        yield Finding(OK, "connection", f"accepted as {config.thing.name}; {kept}")
        try:
            if not accepted.session_present:
                connection.subscribe(topic)
                until_s = time.monotonic() + config.mqtt.connect_timeout_s
                answers = connection.step(config.mqtt.connect_timeout_s)
                while not answers and time.monotonic() < until_s:
                    answers = connection.step(until_s - time.monotonic())
                yield _subscription(topic, answers)
        except MessageCameError:
            pass  # for the agent; it stays with the broker
        except LinkLostError as lost:
            text = f"{lost.text} after SUBSCRIBE to {topic}"
            yield Finding(
                WARN, conditions.NOT_SUBSCRIBED.code, text, conditions.NOT_SUBSCRIBED.hint
            )
            return
        connection.finish()


def _subscription(topic: str, answers: list[Answer]) -> Finding:
    for answer in answers:
        if isinstance(answer, Subscribed):
            if answer.reasons[0] < REFUSED:
                return Finding(OK, "subscription", f"{topic} is granted")
            text = f"the broker refuses SUBSCRIBE to {topic}: {reason_text(answer.reasons[0])}"
            return Finding(
                WARN, conditions.NOT_SUBSCRIBED.code, text, conditions.NOT_SUBSCRIBED.hint
            )
    raise UnansweredError(f"the broker does not answer SUBSCRIBE to {topic}")


def _agent(status: dict[str, Json]) -> Iterator[Finding]:
    """Findings of the running agent, in its own words."""
    state = status.get("state")
    told = f"{state}, {status.get('queued')} records wait"
    if state == "online":
        yield Finding(OK, "connection", f"the agent holds it: {told}")
    else:
        yield Finding(FAIL, "connection", f"the agent runs and has none: {told}", "see below")
    for one in conditions_of(status)[:MOST_TOLD]:
        severity = one.get("severity")
        verdict = OK if severity == INFO else FAIL if severity == ERROR else WARN
        hint = str(one.get("hint", ""))
        yield Finding(verdict, str(one.get("code")), str(one.get("text")), hint)
    if not degraded(status):
        yield Finding(OK, "agent", "it reports nothing that a person should mend")
