"""`setup`: registers this device, asks what is wired to it, and waits for its first record.

Where there is no terminal, flags give what would be asked. The secret is never one of them: it
comes from a file, from standard input, or from AWS_SECRET_ACCESS_KEY in the environment.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agent import account, ownership
from agent.cli import findings, sensor_flags, service_unit, walk
from agent.cli.allow import allow, alone
from agent.cli.arrival import PATIENCE_S, Arrival
from agent.cli.draft import Draft
from agent.cli.main import COMMANDS
from agent.cli.output import complain, tell
from agent.cli.questions import NAME, REGION, Questions, UsageError, ask, at_terminal
from agent.cli.service import (
    as_service,
    ask_service,
    check_writable,
    key_owner,
    watch_as_service,
)
from agent.cli.wiring import Dialogue
from agent.clock import Clock
from agent.config import Aws, Thing, problem_with
from agent.errors import EXIT_OK, EXIT_REFUSED, BadKeyError, BusyError, CredentialsError, explained
from agent.identity import load
from agent.provisioning import access_key
from agent.sensors import needs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from agent.cli.main import Subparsers
    from agent.cli.questions import Answers
    from agent.cli.sensor_flags import Table
    from agent.config import Config, SensorConfig
    from agent.provisioning.access_key import AccessKey
    from agent.sensors.discovery import Pin

#: Longest wait for a registration that somebody else has begun.
BUSY_S = 120.0

#: Exit code of the part that registers, where AWS does not know the key; setup's is EXIT_REFUSED.
EXIT_BAD_KEY = 79

#: Groups that the service will have once a sensor at a pin is configured.
GROUPS = needs("gpio").groups


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "setup", help=COMMANDS["setup"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--name", help="the thing's name in AWS IoT")
    parser.add_argument("--region", help="the AWS region, such as ap-northeast-1")
    parser.add_argument("--access-key-id", metavar="ID", help="of the AWS key to register with")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--secret-file", type=Path, metavar="FILE", help="the key's secret in it")
    secret.add_argument("--secret-stdin", action="store_true", help="read the secret from stdin")
    parser.add_argument(
        "--session-token-file", type=Path, metavar="FILE", help="a temporary key's session token"
    )
    parser.add_argument(
        "--sensor",
        action="append",
        default=[],
        metavar="NAME=DRIVER[:ARGUMENT][,KEY=VALUE...]",
        help=f"add this sensor, or change the one of its name: {sensor_flags.EXAMPLES}; repeatable",
    )
    parser.add_argument(
        "--count",
        action="append",
        default=[],
        metavar="NAME",
        help="count what this sensor detects; repeatable (default: each new one that detects)",
    )
    parser.add_argument("--window-s", type=int, metavar="S", help="length of a window of counting")
    parser.add_argument(
        "--allow",
        action="store_true",
        help="only allow the service the devices of the sensors in the configuration; asks nothing",
    )
    erase = parser.add_mutually_exclusive_group()
    erase.add_argument("--keep-key", action="store_true", help="keep the AWS key on this device")
    erase.add_argument("--erase-key", action="store_true", help="after success (default)")


def run(arguments: argparse.Namespace, *, pins: Callable[[], str] = findings.pins) -> int:
    """Ask, write, register, start, wait. Raises AgentError; each file is then the old or the new.

    The AWS key is handed on in memory, and written only if it is to stay, or is needed once more.
    `pins` looks, as the service's user, who holds a pin of the header.
    """
    path: Path = arguments.config
    tables = sensor_flags.tables(arguments.sensor)
    if path.exists() and not arguments.allow:
        check_writable(path)
    draft = Draft(path, arguments.content)
    known = draft.config
    if arguments.allow:
        return alone(known)
    own_certificate = known.mqtt.cert_file is not None
    if not own_certificate:
        check_writable(known.provisioning.credentials_file)
    _refuse_held(tables, pins)
    draft.wire(tables, count=arguments.count, window_s=arguments.window_s)
    with explained():
        stored = access_key.read(known.provisioning.credentials_file, _profile(known))
        registered = pair(ask_service(lambda: _registered(known)))
        answers = Questions(arguments).all(
            known, stored, own_certificate=own_certificate, registered=registered
        )
        draft.set(NAME, answers.name)
        if answers.region:
            draft.set(REGION, answers.region)
        if draft.save():
            names = f", sensors {', '.join(tables)}" if tables else ""
            region = f", region {answers.region}" if answers.region else ""
            tell(f"{path}: name {answers.name}{region}{names}")
            _warn(draft.config, known)
        _make_certs(draft.config.paths.certs)
    allow(draft.config)  # also where the registration fails: the agent goes on with it
    _finish(
        draft,
        answers,
        enrols=bool(answers.key or (stored.key and not own_certificate)),
        asks=at_terminal() and not arguments.secret_stdin and not tables,
        keep=arguments.keep_key,
    )
    tell("Done. `pi-iot-agent status` tells how it is.")
    return EXIT_OK


def _finish(draft: Draft, answers: Answers, *, enrols: bool, asks: bool, keep: bool) -> None:
    """Register, ask what is wired, and wait; whatever ends that, the agent is started anew."""
    started: list[Arrival] = []

    def start() -> None:  # with the new settings it also goes on with what has failed here
        arrival = Arrival(draft.config, previous=service_unit.process())
        if service_unit.restart(draft.config):
            started.append(arrival)

    with service_unit.at_last(start):
        if enrols:
            _enrol(draft.config, answers.key, keep=keep)
        elif draft.config.mqtt.cert_file is None:
            stays = f"{answers.name} stays registered as it is"
            tell(f"{stays}; a new AWS key would register it anew.")
        if asks and _wire(draft):
            allow(draft.config)
    for arrival in started:
        limit_s = math.inf if at_terminal() else PATIENCE_S
        as_service(partial(arrival.wait, limit_s=limit_s))


def _enrol(config: Config, key: AccessKey | None, *, keep: bool) -> None:
    """Register this device, and keep the AWS key only as long as it is needed."""
    began_s, done, wrong = time.monotonic(), False, False
    try:
        as_service(lambda: _register(config, key))
        done = True
        tell(f"registered, {time.monotonic() - began_s:.1f} s")
    except SystemExit as end:
        wrong = end.code == EXIT_BAD_KEY
        raise SystemExit(EXIT_REFUSED if wrong else end.code) from None
    finally:
        with explained():
            _settle_key(config, key, keep=(keep or not done) and not wrong, done=done)


def _refuse_held(tables: Mapping[str, Table], look: Callable[[], str]) -> None:
    """Raise UsageError for a sensor at a pin that something else on this board holds."""
    at = [(name, table["pin"]) for name, table in tables.items() if "pin" in table]
    pins = findings.parsed(ask_service(look, groups=GROUPS)).pins if at else ()
    for name, pin in at:
        if problem := findings.trouble_with(pin, pins):
            raise UsageError(f"--sensor {name}: {problem.text}", hint=problem.hint)


def _wire(draft: Draft) -> bool:
    """Ask what is wired to the board, and write it down; False if nothing has changed."""
    config = draft.config
    found = findings.parsed(ask_service(partial(findings.looked, Clock()), groups=GROUPS))
    walk_past = partial(_try, config, found.pins)
    draft.wire(Dialogue(config, found, ask=ask, say=tell, walk=walk_past).tables())
    with explained():
        if not draft.save():
            return False
    names = ", ".join(one.name for one in draft.config.sensors)
    counted = ", ".join(draft.config.count.sensor) or "none"
    tell(f"{config.path}: sensors {names}; counted: {counted}")
    _warn(draft.config, config)
    return True


def _warn(config: Config, before: Config) -> None:
    """Tell what is worth mending since `before`."""
    for warning in config.warnings:
        if warning not in before.warnings:
            tell(f"warning: {warning}")


def _try(config: Config, pins: Sequence[Pin], sensor: SensorConfig) -> bool:
    """Show what a sensor at a pin detects, with the agent out of its way; True if it does."""
    pin: int = cast("Any", sensor.options).pin
    where = f"GPIO {pin} (pin {findings.PLACES[pin]} of the header)"
    ours = any(one.number == pin and one.ours for one in pins)
    with service_unit.stopped(config) if ours else nullcontext():
        code = watch_as_service(partial(walk.trial, sensor, where, Clock()), groups=GROUPS)
    return code == EXIT_OK


def _registered(config: Config) -> str:
    """Name and region of the registration that this device has, to be asked as the service."""
    with suppress(CredentialsError):
        if identity := load(config).identity:
            return f"{identity.thing} {identity.region}"
    return ""


def pair(told: str) -> tuple[str, str]:
    """Name and region of what `_registered` told; empty where they cannot be any device's."""
    thing, _, region = told.partition(" ")
    wrong = problem_with(Thing, *NAME, thing) or problem_with(Aws, *REGION, region)
    return ("", "") if wrong else (thing, region)


def _make_certs(certs: Path) -> None:
    """Make the directory of certificates for the service where only root can make it."""
    service = account.of_service()
    if service and not certs.exists():
        ownership.make_directory_for(service.owner, certs)


def _profile(config: Config) -> str:
    return config.aws.profile or access_key.DEFAULT_PROFILE


def _register(config: Config, key: AccessKey | None) -> int:
    """Register; an attempt of the agent's own, which may have begun before, goes first.

    The exit code, which tells root of a key that AWS calls wrong.
    """
    from agent.cli.registration import register  # noqa: PLC0415 -- boto3 is never loaded as root

    until_s, told = time.monotonic() + BUSY_S, False
    while True:
        try:
            register(config, key=key)
        except BadKeyError as error:
            complain(error)
            return EXIT_BAD_KEY
        except BusyError as busy:
            if time.monotonic() > until_s:
                raise
            if not told:
                tell(f"{busy.text}; waiting for it")
            told = True
            time.sleep(2)
        else:
            return EXIT_OK


def _settle_key(config: Config, given: AccessKey | None, *, keep: bool, done: bool) -> None:
    """Write the key that was given, or, once it is `done`, take away what is there.

    Raises ConfigError, OSError.
    """
    file, profile = config.provisioning.credentials_file, _profile(config)
    if keep and given:
        access_key.save(file, profile, given, config.aws.region, owner=key_owner())
        why = "kept as asked" if done else "kept, so that the agent can try again"
        tell(f"{file}: AWS key {given.id}, {why}")
    elif not keep and done:
        there = access_key.read(file, profile).key is not None
        access_key.erase(file, profile, owner=key_owner())
        told = f"{file}: the AWS key is erased" if there else "The AWS key was written nowhere"
        tell(f"{told} (--keep-key keeps it).")
    elif given:
        tell(f"The AWS key {given.id} was written nowhere, since it is wrong.")
