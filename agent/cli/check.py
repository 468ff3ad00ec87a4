"""`check`: reads the configuration and tells every problem, or what it amounts to."""

from __future__ import annotations

import sys
import time

from agent.cli.main import COMMANDS, settings
from agent.cli.rule_warnings import rule_warnings
from agent.config import region_doubt
from agent.config.rules import words
from agent.errors import EXIT_OK, ConfigError
from agent.identity import CLAIM, claim_warnings
from agent.identity.own_files import mqtt_problems, mqtt_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.config import Config
    from agent.config.rule import Rule


def add(subparsers: Subparsers) -> None:
    """Declare the command."""
    subparsers.add_parser("check", help=COMMANDS["check"], description=__doc__)


def run(arguments: argparse.Namespace) -> int:
    """Print warnings to stderr and a summary to stdout. Raises ConfigError with all problems.

    The files that [mqtt] names are looked at too.
    """
    config = settings(arguments)
    check_files(config)
    doubt = region_doubt("" if config.aws.endpoint_url else config.aws.region)
    more = [f"aws.region: {doubt}"] if doubt else []
    more += [*mqtt_warnings(config, now_s=time.time()), *claim_warnings(config)]
    more += rule_warnings(config)
    for warning in (*config.warnings, *more):
        print(f"warning: {warning}", file=sys.stderr)
    print(summary(config))
    return EXIT_OK


def check_files(config: Config) -> None:
    """Raise ConfigError with all problems of the files that [mqtt] names."""
    if problems := mqtt_problems(config):
        raise ConfigError(
            [f"{config.path}: {problem}" for problem in problems], hint="see [mqtt] in this file"
        )


def summary(config: Config) -> str:
    """The configuration in a few lines."""
    region = f"that of the {'endpoint' if config.provisioning.method == CLAIM else 'AWS key'}"
    if config.mqtt.cert_file:
        region = "none is needed with a certificate of your own"
    sensors = ", ".join(
        f"{one.name} ({one.driver}{', SOS' if one.sos else ''})" for one in config.sensors
    )
    rows = {
        "thing": config.thing.name,
        "region": config.aws.region or region,
        "endpoint": f"{config.mqtt.endpoint or 'as registered'}, port {config.mqtt.port}",
        "sensors": sensors or "none: only the agent's own state is reported",
        "counted": _counted(config),
        "rules": "; ".join(map(_rule, config.rules)) or "none",
        "digest": f"each day at {config.digest.at}" if config.digests else "off",
        "certificates": config.mqtt.cert_file or config.paths.certs / config.thing.name,
        "store": f"{config.store.path}, with a history of {_days(config.store.history_days)}",
        "runtime": config.paths.runtime,
    }
    lines = [f"  {name + ':':<14}{value}" for name, value in rows.items()]
    return "\n".join([f"{config.path}: OK", *lines])


def _rule(rule: Rule) -> str:
    """The rule in words, with the program that it runs."""
    runs = f", runs {rule.command[0]}" if rule.command else ""
    return f"{rule.name}: {words(rule)}{runs}"


def _days(days: float) -> str:
    return f"{days:g} days" if days else "no day"


def _counted(config: Config) -> str:
    """The sensors that are counted, and how."""
    tried = {one.name for one in config.sensors if one.test}
    names = ", ".join(f"{n} (in test)" if n in tried else n for n in config.count.sensor)
    return f"{names}, in windows of {config.count.window_s} s" if names else "none"
