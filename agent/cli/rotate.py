"""`rotate`: replaces this device's certificate by a new one, which first has to be let in.

It takes the AWS key that is there; else one from flags, or asked for at a terminal, which is
written nowhere. A certificate that was got by a claim needs none.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from agent import board
from agent.cli.main import COMMANDS, settings
from agent.cli.questions import Questions, add_key_flags, key_given
from agent.cli.service import as_service, ask_service
from agent.errors import EXIT_OK, ConfigError, NoAwsCredentialsError, RefusedError, explained
from agent.identity import CLAIM, Generations
from agent.identity.own_files import mqtt_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.config import Config
    from agent.provisioning.access_key import AccessKey

#: What the service's part says where there is no AWS key.
NO_KEY = "no key"


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "rotate", help=COMMANDS["rotate"], description=__doc__, allow_abbrev=False
    )
    add_key_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make, prove, switch, and remove what was replaced. Raises AgentError."""
    key = None
    if key_given(arguments) or ask_service(partial(_key_there, arguments)) == NO_KEY:
        with explained():
            key = Questions(arguments).key(
                hint="give it, write an AWS key to the credentials file, or run this at a terminal"
            )
    as_service(lambda: work(arguments, key))
    return EXIT_OK


def _key_there(arguments: argparse.Namespace) -> str:
    """NO_KEY where an AWS key is needed and there is none; what is wrong with one is told later."""
    from agent.provisioning.cloud import Cloud  # noqa: PLC0415 -- boto3 is never loaded as root

    config = settings(arguments)
    if config.mqtt.cert_file or config.provisioning.method == CLAIM:
        return ""
    with suppress(RefusedError):
        try:
            Cloud(config).close()
        except NoAwsCredentialsError:
            return NO_KEY
    return ""


def work(arguments: argparse.Namespace, key: AccessKey | None) -> int:
    """Rotate as the service's user. Raises AgentError."""
    config = settings(arguments)
    if config.mqtt.cert_file:
        raise ConfigError(
            [f"{config.path}: [mqtt] cert_file is set: its owner's certificate is not replaced"],
            hint="put a new certificate and its key there; the next connection uses them",
        )
    rotate(config, key)
    return EXIT_OK


def rotate(config: Config, key: AccessKey | None = None) -> None:
    """Replace the certificate in use by a new one that has connected. Raises AgentError."""
    from agent.cli import renewal  # noqa: PLC0415 -- boto3 is never loaded as root
    from agent.cli.proof import prove  # noqa: PLC0415 -- as above
    from agent.cli.registration import (  # noqa: PLC0415
        BY_HAND_S,
        print_line,
        retrying,
        settle_claim,
    )
    from agent.provisioning import handover  # noqa: PLC0415

    if problems := mqtt_problems(config):
        raise ConfigError([f"{config.path}: {problem}" for problem in problems], hint="see [mqtt]")
    with (
        retrying(print_line, patience_s=BY_HAND_S) as retry,
        Generations(config.paths.certs, config.thing.name).locked(by_hand=True),
    ):
        renewal.make_ready(config, retry, serial=board.serial(), key=key, by_hand=True)
        handover.switch(config, retry, prove=partial(prove, config, pending=True))
        renewal.retire(config, retry, serial=board.serial(), key=key)
        settle_claim(config, retry)
