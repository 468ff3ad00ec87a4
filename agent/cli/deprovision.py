"""`deprovision`: removes this device from AWS, and then its certificates from here."""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext, suppress

from agent import account, board, files
from agent.cli.main import COMMANDS, settings
from agent.cli.output import tell
from agent.cli.service import as_service, check_writable, key_owner
from agent.cli.status import UnreadableError, read_status
from agent.config import Thing, load, problem_with
from agent.errors import EXIT_OK, BusyError, NoAwsCredentialsError, NotPermittedError, explained
from agent.identity import CLAIM, CLAIM_ON_TRIAL, Generations, erase_claim
from agent.provisioning import access_key, claimed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from agent.cli.main import Subparsers
    from agent.config import Config
    from agent.provisioning.retry import Retry


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "deprovision", help=COMMANDS["deprovision"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--thing", type=_thing, metavar="NAME", help="remove what this name has left behind"
    )
    parser.add_argument(
        "--forget", action="store_true", help="remove the local files alone, and nothing at AWS"
    )
    parser.add_argument(
        "--erase-key",
        action="store_true",
        help="afterwards erase the AWS key, or the claim, from this device",
    )


def _thing(text: str) -> str:
    """A thing's name. Raises ArgumentTypeError."""
    problem = problem_with(Thing, "thing", "name", text)
    if problem or not text:  # an empty one would stand for the configured name
        raise argparse.ArgumentTypeError(problem or "the name is empty")
    return text


def run(arguments: argparse.Namespace) -> int:
    """Remove certificates, policy, thing, the files, and the AWS key. Raises AgentError."""
    as_service(lambda: work(arguments))
    if account.of_service() and arguments.config not in arguments.content:
        if arguments.erase_key:
            check_writable(arguments.config)
        return EXIT_OK  # what led there may lead anywhere
    # Without any plug-in, and without a look at what the service has written.
    config = load(
        arguments.config,
        options_of=lambda _: dict,
        registered=lambda _: "",
        content=arguments.content,
    )
    settle_key(config, erase=arguments.erase_key)
    return EXIT_OK


def work(arguments: argparse.Namespace) -> int:
    """Remove what is at AWS and below `<certs>`, as the service's user. Raises AgentError."""
    # boto3 is never loaded as root.
    from agent.cli.registration import BY_HAND_S, print_line, retrying  # noqa: PLC0415
    from agent.provisioning.removal import forget  # noqa: PLC0415

    config = settings(arguments)
    thing = arguments.thing or config.thing.name
    with (
        retrying(print_line, patience_s=BY_HAND_S) as retry,
        _without_agent(config, thing),
        Generations(config.paths.certs, thing).locked(by_hand=True),
    ):
        if arguments.forget:
            forget(config, retry, thing=thing)
        else:
            _deprovision(config, retry, thing)
        if thing == config.thing.name:
            _settle_claim(config, erase=arguments.erase_key)
    return EXIT_OK


def _deprovision(config: Config, retry: Retry, thing: str) -> None:
    from agent.cli.cloud_session import open_cloud  # noqa: PLC0415 -- as above
    from agent.provisioning.removal import deprovision  # noqa: PLC0415

    try:
        cloud = open_cloud(config, retry)
    except NoAwsCredentialsError:
        if not Generations(config.paths.certs, thing).everything():
            print(f"nothing of {thing} is here, and there is no AWS key to look at AWS with")
            return
        file = config.provisioning.credentials_file
        raise NoAwsCredentialsError(
            "there is no AWS key to remove this device with",
            hint=f"write one to {file} (`setup` keeps none); --forget removes the files alone",
        ) from None
    with cloud:
        deprovision(config, cloud, retry, serial=board.serial(), thing=thing)


def _settle_claim(config: Config, *, erase: bool) -> None:
    """Erase the claim, or say that it is still there: with it the device would come back."""
    claimed.forget(config.paths.certs)
    files.remove_tree(config.paths.certs / CLAIM_ON_TRIAL)  # what a killed `setup` has left
    key = config.provisioning.claim_key_file
    if config.provisioning.method != CLAIM or not key or not key.exists():
        return
    told = f"{key}: the claim is still there (`deprovision --erase-key` erases it)"
    print(erase_claim(config) if erase else told)


def settle_key(config: Config, *, erase: bool) -> None:
    """Erase the AWS key, or say that it is still there. Raises AgentError."""
    file = config.provisioning.credentials_file
    profile = config.aws.profile or access_key.DEFAULT_PROFILE
    try:
        check_writable(file)
    except NotPermittedError:
        if erase:
            raise
        return
    with explained():
        if access_key.read(file, profile).key is None:
            return
        if erase:
            access_key.erase(file, profile, owner=key_owner())
            tell(f"{file}: the AWS key is erased")
        else:
            tell(f"{file}: the AWS key is still there (`deprovision --erase-key` erases it)")


def _without_agent(config: Config, thing: str) -> AbstractContextManager[None]:
    """Keep the agent from running while inside, where this user may. Raises BusyError.

    A running one would register itself again, unless it runs under another name.
    """
    file = config.paths.lock_file
    hint = "end it first: `sudo systemctl disable --now pi-iot-agent`"
    if files.is_locked(file):
        with suppress(UnreadableError):
            running = read_status(config.paths)
            if running and running.get("thing") not in (thing, "", None):
                return nullcontext()
        comes_back = "" if config.mqtt.cert_file else ", and would register itself again"
        raise BusyError(f"the agent is running{comes_back}", hint=hint)
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        return nullcontext()
    return files.lock(file, "the agent", hint=hint)
