"""`read`: reads each sensor once, and prints its name, each quantity and the value."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.cli import COMMANDS, PROGRAM, complain, settings
from agent.clock import Clock
from agent.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, AgentError
from agent.sensors import open_sensor

if TYPE_CHECKING:
    import argparse

    from agent.cli import Subparsers
    from agent.config import SensorConfig


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("read", help=COMMANDS["read"], description=__doc__)
    parser.add_argument("sensor", nargs="?", metavar="SENSOR", help="only this one (default: all)")


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
    clock = Clock()
    results = [read(sensor, clock) for sensor in config.sensors if sensor.name in wanted]
    return EXIT_OK if all(results) else EXIT_FAILURE


def read(sensor: SensorConfig, clock: Clock) -> bool:
    """Print one line for each quantity that `sensor` gives; False if it fails."""
    try:
        opened = open_sensor(sensor, clock=clock)
        try:
            values = opened.read()
        finally:
            opened.close()
    except AgentError as error:
        complain(error)
        return False
    for quantity, value in values.items():
        print(f"{sensor.name} {quantity} {value:g}")
    if not values:
        print(f"{PROGRAM}: {sensor.name}: has no value at this moment", file=sys.stderr)
    return True
