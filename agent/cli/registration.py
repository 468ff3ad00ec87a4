"""Registration: the session with AWS and the retries that the commands share, and all in one go.

`register` is for a person, who is told line by line; the daemon's child uses the rest.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent import board
from agent.errors import AgentError, CredentialsError
from agent.health.progress import Progress
from agent.provisioning import removal
from agent.provisioning.cloud import Cloud, readable_by_others
from agent.provisioning.provisioner import provision
from agent.provisioning.retry import Retry
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Config

#: Longest time that a step is tried again: a person waits.
BY_HAND_S = 120.0


def register(config: Config, *, take_over: bool = False) -> None:
    """Provision and remove what has been replaced, telling a person each step; AgentError."""
    from agent.uplink.connect import prove  # noqa: PLC0415 -- the daemon's child needs none of it

    with (
        retrying(print_line, patience_s=BY_HAND_S) as retry,
        open_cloud(config, retry) as cloud,
    ):
        provision(config, cloud, retry, serial=board.serial(), take_over=take_over)
        removal.retire(config, cloud, retry, prove=lambda: prove(config))


@contextmanager
def retrying(say: Callable[[Progress], None], *, patience_s: float) -> Iterator[Retry]:
    """A Retry whose waits end on SIGHUP; what the disk refuses becomes a CredentialsError."""

    def sleep(seconds: float) -> None:
        wakeup.wait(seconds)

    with Wakeup() as wakeup:
        before = signal.signal(signal.SIGHUP, lambda _number, _frame: wakeup.set())
        try:
            yield Retry(say, patience_s=patience_s, sleep=sleep)
        except OSError as error:
            if isinstance(error, AgentError):
                raise
            raise CredentialsError(
                f"{error.filename or 'the certificates'}: {error.strerror or error}",
                hint="check who owns it, and that the card is neither full nor read-only",
            ) from error
        finally:
            signal.signal(signal.SIGHUP, before)


def open_cloud(config: Config, retry: Retry) -> Cloud:
    """The session with AWS; warns of a key that is open to all."""
    file = config.provisioning.credentials_file
    if readable_by_others(file):
        text = f"{file}: every user of this machine can read the AWS key (chmod 600 mends it)"
        retry.say(Progress("account", text))
    return Cloud(config)


def print_line(progress: Progress) -> None:
    """Print a line for a person."""
    print(progress.line(), flush=True)
