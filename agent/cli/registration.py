"""Registration: the session with AWS and the retries that the commands share, and all in one go.

`register` is for a person, who is told line by line; the daemon's child uses the rest.
"""

from __future__ import annotations

import errno
import signal
from contextlib import contextmanager

from agent import board
from agent.cli import renewal
from agent.cli.cloud_session import open_cloud
from agent.cli.output import tell
from agent.errors import (
    AgentError,
    CloudError,
    ConfigError,
    CredentialsError,
    LinkLostError,
    NotPermittedError,
)
from agent.health.progress import Progress, trouble
from agent.identity import (
    CLAIM,
    Generations,
    erase_used_claim,
    has_replaced,
    load,
    other_things,
)
from agent.identity.own_files import mqtt_problems
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.provisioning import fleet
from agent.provisioning.retry import Retry
from agent.value import replace
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Config
    from agent.provisioning.access_key import AccessKey

#: Longest time that a step is tried again: a person waits.
BY_HAND_S = 120.0

#: What the disk says where a directory is to be a file, or the other way round.
IN_THE_WAY = {errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.ELOOP}

#: What a device with a claim can do where its certificate does not connect.
SHUT_OUT = (
    "check the network; if that works, AWS may not know the certificate any more, or its policy"
    " may not allow it: `sudo pi-iot-agent provision --reactivate` makes a new one, unless somebody"
    " has shut this device out on purpose"
)


def register(
    config: Config,
    *,
    take_over: bool = False,
    reactivate: bool = False,
    reset_policy: bool = False,
    key: AccessKey | None = None,
) -> None:
    """Provision, connect, and remove what has been replaced, telling a person each step.

    `<certs>` is held all the time, so that no agent connects in between. Raises AgentError, and
    ConfigError for a file of [mqtt] with which the device could never connect.
    """
    if problems := mqtt_problems(config):
        raise ConfigError([f"{config.path}: {problem}" for problem in problems], hint="see [mqtt]")
    name = config.thing.name
    with (
        retrying(print_line, patience_s=BY_HAND_S) as retry,
        Generations(config.paths.certs, name).locked(by_hand=True),
    ):
        if config.provisioning.method == CLAIM:
            name = _register_by_claim(config, retry, afresh=reactivate)
        else:
            _register_by_key(
                config,
                retry,
                key,
                take_over=take_over,
                reactivate=reactivate,
                reset_policy=reset_policy,
            )
    for other in other_things(config.paths.certs, name):
        tell(f"{config.paths.certs} still holds an identity of {other}, which can connect")
        tell(f"hint: `sudo pi-iot-agent deprovision --thing {other}` removes it, with an AWS key")


def _register_by_key(
    config: Config,
    retry: Retry,
    key: AccessKey | None,
    *,
    take_over: bool,
    reactivate: bool,
    reset_policy: bool,
) -> None:
    from agent.cli.proof import prove  # noqa: PLC0415 -- the daemon's child needs none of it
    from agent.provisioning import provisioner, removal  # noqa: PLC0415 -- a claim needs no boto3

    serial = board.serial()
    with open_cloud(config, retry, key) as cloud:
        provisioner.provision(
            config,
            cloud,
            retry,
            serial=serial,
            take_over=take_over,
            reactivate=reactivate,
            reset_policy=reset_policy,
        )
        fleet.give_up(Generations(config.paths.certs, config.thing.name))
        removal.retire(config, cloud, retry, prove=lambda: prove(config), serial=serial)


def _register_by_claim(config: Config, retry: Retry, *, afresh: bool) -> str:
    """Register by the claim certificate, and connect; the thing's name.

    What cannot be removed of what was replaced is told: it needs an AWS key, and this does not.
    """
    from agent.cli.proof import prove  # noqa: PLC0415 -- the daemon's child needs none of it

    name = fleet.provision(config, retry, serial=board.serial(), afresh=afresh)
    now = replace(config, thing=replace(config.thing, name=name))
    try:
        retry.run("proof", lambda: prove(now), at_least_s=BETWEEN_CONNECTS_S)
    except LinkLostError as lost:
        raise LinkLostError(lost.text, hint=SHUT_OUT) from lost
    retry.done("proof", "connected with it")
    if has_replaced(config.paths.certs, name):
        try:
            renewal.retire(now, retry, serial=board.serial())
        except CloudError as error:
            retry.say(trouble("replaced", error))
    settle_claim(now, retry)
    return name


def settle_claim(config: Config, retry: Retry) -> None:
    """Erase the claim, where that is wanted, that has made the identity in use: it was let in."""
    if erased := erase_used_claim(config, load(config).identity):
        retry.done("claim", erased)


@contextmanager
def retrying(say: Callable[[Progress], None], *, patience_s: float) -> Iterator[Retry]:
    """A Retry whose waits end on SIGHUP; what the disk refuses becomes a CredentialsError."""

    def sleep(seconds: float) -> None:
        wakeup.wait(seconds)

    with Wakeup() as wakeup:
        before = signal.signal(signal.SIGHUP, lambda _number, _frame: wakeup.set())
        try:
            yield Retry(say, patience_s=patience_s, sleep=sleep)
        except PermissionError as error:
            raise NotPermittedError(
                f"{error.filename}: this user may not do that", hint="run this with sudo"
            ) from error
        except OSError as error:
            if isinstance(error, AgentError):
                raise
            hint = "check who owns it, and that the card is neither full nor read-only"
            if error.errno in IN_THE_WAY:
                hint = "something else has its place: move that away"
            raise CredentialsError(
                f"{error.filename or 'the certificates'}: {error.strerror or error}", hint=hint
            ) from error
        finally:
            signal.signal(signal.SIGHUP, before)


def print_line(progress: Progress) -> None:
    """Print a line for a person."""
    tell(progress.line())
