"""`setup`: registers this device, asks what is wired to it, and waits for its first record.

Where there is no terminal, flags give what would be asked. The secret is never one of them: it
comes from a file, from standard input, or from AWS_SECRET_ACCESS_KEY in the environment.
"""

from __future__ import annotations

import math
from contextlib import nullcontext, suppress
from functools import partial

from agent.cli import claiming, enrol, findings, sensor_flags, service_unit, update_flags, walk
from agent.cli.allow import allow, alone
from agent.cli.arrival import PATIENCE_S, Arrival
from agent.cli.draft import Draft
from agent.cli.main import COMMANDS
from agent.cli.output import tell
from agent.cli.questions import (
    NAME,
    REGION,
    Questions,
    UsageError,
    add_key_flags,
    ask,
    at_terminal,
)
from agent.cli.service import (
    as_service,
    ask_service,
    check_writable,
    make_certs,
    watch_as_service,
)
from agent.cli.wiring import Dialogue
from agent.clock import Clock
from agent.config import Aws, Thing, problem_with
from agent.errors import EXIT_OK, CredentialsError, explained
from agent.identity import load
from agent.provisioning import access_key
from agent.provisioning.access_key import Profile
from agent.sensors import needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from agent.cli.main import Subparsers
    from agent.cli.questions import Answers
    from agent.cli.sensor_flags import Table
    from agent.config import Config, SensorConfig
    from agent.provisioning.claim_given import ClaimGiven
    from agent.sensors.discovery import Pin

#: Groups that the service will have once a sensor at a pin is configured.
GROUPS = needs("gpio").groups


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "setup", help=COMMANDS["setup"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--name", help="the thing's name in AWS IoT")
    parser.add_argument("--region", help="the AWS region, such as ap-northeast-1")
    add_key_flags(parser)
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
    claiming.add(parser)
    update_flags.add(parser)
    erase = parser.add_mutually_exclusive_group()
    erase.add_argument("--keep-key", action="store_true", help="keep the AWS key on this device")
    erase.add_argument("--erase-key", action="store_true", help="after success (default)")


def run(arguments: argparse.Namespace, *, pins: Callable[[], str] = findings.pins) -> int:
    """Ask, write, register, start, wait. Raises AgentError; each file is then the old or the new.

    The AWS key is handed on in memory, and written only if it is to stay, or is needed once more.
    `pins` looks, as the service's user, who holds a pin of the header.
    """
    updates = update_flags.wanted(arguments)
    if updates and update_flags.alone(arguments):
        return update_flags.take_up(updates)
    path: Path = arguments.config
    tables = sensor_flags.tables(arguments.sensor)
    if path.exists() and not arguments.allow:
        check_writable(path)
    draft = Draft(path, arguments.content)
    known = draft.config
    if arguments.allow:
        return alone(known)
    own_certificate = known.mqtt.cert_file is not None
    questions = Questions(arguments)
    claim = claiming.answers(arguments, questions, known)
    if not (own_certificate or claim):
        check_writable(known.provisioning.credentials_file)
    _refuse_held(tables, pins)
    new_claim: ClaimGiven | None = None
    draft.wire(tables, count=arguments.count, window_s=arguments.window_s)
    with explained():
        if claim:
            stored, answers = Profile(), questions.beside_claim()
            new_claim = claim.use(draft)
        else:
            stored = access_key.read(known.provisioning.credentials_file, enrol.profile_of(known))
            registered = pair(ask_service(lambda: _registered(known)))
            answers = questions.all(
                known,
                stored,
                own_certificate=own_certificate,
                registered=registered,
                own_name=draft.own_name,
            )
        _write(draft, answers, tables, known)
    if new_claim:
        as_service(partial(claiming.place, draft.config.paths.certs, new_claim))
    allow(draft.config)  # also where the registration fails: the agent goes on with it
    code = update_flags.take_up(updates) if updates else EXIT_OK
    _finish(
        draft,
        answers,
        enrols=bool(claim or answers.key or (stored.key and not own_certificate)),
        asks=at_terminal() and not arguments.secret_stdin and not tables,
        keep=arguments.keep_key,
    )
    tell("Done. `pi-iot-agent status` tells how it is.")
    return code


def _write(draft: Draft, answers: Answers, tables: Mapping[str, Table], known: Config) -> None:
    """Write what was answered, and make the directory that the service needs."""
    for key, value in ((NAME, answers.name), (REGION, answers.region)):
        if value:
            draft.set(key, value)
    if draft.save():
        told = [f"name {answers.name}"] if answers.name else []
        told += [f"region {answers.region}"] if answers.region else []
        told += [f"sensors {', '.join(tables)}"] if tables else []
        tell(f"{draft.config.path}: {', '.join(told) or 'is written'}")
        _warn(draft.config, known)
    make_certs(draft.config.paths.certs)


def _finish(draft: Draft, answers: Answers, *, enrols: bool, asks: bool, keep: bool) -> None:
    """Register, ask what is wired, and wait; whatever ends that, the agent is started anew."""
    started: list[Arrival] = []

    def start() -> None:  # with the new settings it also goes on with what has failed here
        arrival = Arrival(draft.config, previous=service_unit.process())
        if service_unit.restart(draft.config):
            started.append(arrival)

    with service_unit.at_last(start):
        if enrols:
            enrol.enrol(draft.config, answers.key, keep=keep)
        elif draft.config.mqtt.cert_file is None:
            stays = f"{draft.config.thing.name} stays registered as it is"
            tell(f"{stays}; a new AWS key would register it anew.")
        if asks and _wire(draft):
            allow(draft.config)
    for arrival in started:
        limit_s = math.inf if at_terminal() else PATIENCE_S
        as_service(partial(arrival.wait, limit_s=limit_s))


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
    options: Any = sensor.options
    pin: int = options.pin
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
