"""`read`: reads each sensor once and prints it; with --watch, shows live what one detects."""

from __future__ import annotations

import sys
import time

from agent.cli import walk
from agent.cli.main import COMMANDS, settings
from agent.cli.output import PROGRAM, complain, say
from agent.cli.units import plain, sign
from agent.clock import Clock
from agent.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, AgentError, SensorError
from agent.sampling import Pool
from agent.sensors import open_sensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.config import SensorConfig
    from agent.sensors import Measurement


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("read", help=COMMANDS["read"], description=__doc__)
    parser.add_argument("sensor", nargs="?", metavar="SENSOR", help="only this one (default: all)")
    parser.add_argument(
        "--watch", action="store_true", help="show what SENSOR detects until Ctrl-C: a walk test"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what the sensors say; those that fail say so on stderr and make the exit code 1."""
    config = settings(arguments)
    names = [sensor.name for sensor in config.sensors]
    wanted = names if arguments.sensor is None else [arguments.sensor]
    if unknown := set(wanted) - set(names):
        known = ", ".join(names) or "none"
        print(
            f"{PROGRAM}: no sensor {unknown.pop()!r} in {config.path}; known: {known}",
            file=sys.stderr,
        )
        return EXIT_USAGE
    if arguments.watch and arguments.sensor is None:
        print(f"{PROGRAM}: --watch needs the name of a sensor", file=sys.stderr)
        return EXIT_USAGE
    if not names:
        print(f"{PROGRAM}: no sensor is configured in {config.path}", file=sys.stderr)
    clock = Clock()
    sensors = [sensor for sensor in config.sensors if sensor.name in wanted]
    if arguments.watch:
        return watch(sensors[0], clock)
    results = [read(sensor, clock) for sensor in sensors]
    return EXIT_OK if all(results) else EXIT_FAILURE


def read(sensor: SensorConfig, clock: Clock) -> bool:
    """Print one line for each quantity that `sensor` gives, and why others are missing.

    False if it fails, which it does not while anything is left.
    """
    began_s = time.monotonic()
    job = Pool().start(lambda: measured(sensor, clock))
    try:
        if not job.wait(sensor.timeout_s + 1.0):
            text = f"{sensor.name}: it gives no answer within {sensor.timeout_s:g} s"
            raise SensorError(text, hint="check the wiring; timeout_s may be too short for it")
        found, took_s = job.result()
    except AgentError as error:
        took_s = time.monotonic() - began_s
        complain(SensorError(f"{error.text} ({took_s:.2f} s)", hint=error.hint))
        return False
    took = f" ({took_s:.2f} s)"
    for quantity, value in found.values.items():
        said = value if isinstance(value, str) else f"{plain(value)} {sign(quantity)}".rstrip()
        print(f"{sensor.name} {quantity} {said}{took}")
        took = ""
    if lacks := found.missing.values():
        hints = dict.fromkeys(f"hint: {lack.hint}" for lack in lacks)  # each once
        say(*(f"{PROGRAM}: {sensor.name}: {lack.text}" for lack in lacks), *hints)
    if not found.values:
        say(f"{PROGRAM}: {sensor.name}: has no value at this moment{took}")
    return True


def measured(sensor: SensorConfig, clock: Clock) -> tuple[Measurement, float]:
    """One reading of `sensor`, and the seconds that it took. Raises SensorError."""
    began_s = time.monotonic()
    opened = open_sensor(sensor, clock=clock)
    try:
        return opened.read(), time.monotonic() - began_s
    finally:
        opened.close()


def watch(config: SensorConfig, clock: Clock) -> int:
    """Print each change of a detector until Ctrl-C, then the sum. Raises SensorError."""
    sensor = open_sensor(config, clock=clock)
    try:
        if not sensor.detects:
            print(f"{PROGRAM}: {config.name} does not detect, it measures", file=sys.stderr)
            return EXIT_USAGE
        walk.show(sensor, clock, f"{config.name}: walk past it; Ctrl-C ends")
    finally:
        sensor.close()
    return EXIT_OK
