"""The error tree, and the exit code that each branch ends a command with.

Errors are told apart by what the caller does about them. Each carries a hint: the next thing for a
person to do. The exit codes are those of sysexits.h.
"""

from __future__ import annotations

import errno
import os
import pwd
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_TEMPORARY = 75
EXIT_REFUSED = 77
EXIT_CONFIG = 78

#: What makes a new certificate, for a hint; `setup` takes the AWS key, or the claim, for it.
ANEW = (
    "run `sudo pi-iot-agent provision`, or where no AWS key and no claim is here "
    "`sudo pi-iot-agent setup`"
)

#: The user of the service, who does the work of root's commands too.
SERVICE = "pi-iot-agent"


class AgentError(Exception):
    """A failure that a person can understand; `hint` says what to do next."""

    exit_code = EXIT_FAILURE

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class ConfigError(AgentError, ValueError):
    """The configuration cannot be used; `problems` has one line for each thing to mend."""

    exit_code = EXIT_CONFIG

    def __init__(self, problems: list[str], *, hint: str = "") -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = problems


class BusyError(AgentError):
    """A lock that another process holds; trying again later may work."""

    exit_code = EXIT_TEMPORARY


class StorageError(AgentError):
    """A file cannot be written: the card is full, read-only or dying."""

    exit_code = EXIT_TEMPORARY


class NotPermittedError(AgentError):
    """The operating system keeps this user from a file; root could."""

    exit_code = EXIT_REFUSED


class OutputError(AgentError):
    """Output of a command cannot be written, or nobody reads it any more."""


class StoreError(AgentError, OSError):
    """The store cannot be read or written."""


class FileBackError(StoreError):
    """The file of a store that is in memory can be used again: the agent starts anew with it."""


class CredentialsError(AgentError):
    """The device's certificate, key or trusted roots are missing or spoiled."""

    exit_code = EXIT_TEMPORARY


class CloudError(AgentError):
    """The control plane did not do what was asked."""


class TransientCloudError(CloudError):
    """A passing failure: trying the same call again may work."""

    exit_code = EXIT_TEMPORARY


class RefusedError(CloudError):
    """A refusal: trying again is of no use until a person changes something."""

    exit_code = EXIT_REFUSED


class BadKeyError(RefusedError):
    """The AWS key is none that AWS knows, or not with this secret: it will never do."""


class NoAwsCredentialsError(RefusedError):
    """The AWS key to provision with is missing."""


class LinkLostError(AgentError, ConnectionError):
    """The connection to the broker ended or could not be made."""

    exit_code = EXIT_TEMPORARY


class RenamedError(AgentError):
    """The device has registered under another name: the agent starts anew with it."""

    exit_code = EXIT_TEMPORARY


class SensorError(AgentError):
    """A sensor could not be opened or read."""


class NoDataError(SensorError):
    """A sensor has no value at this moment, and may well have one the next time."""


class StoppingError(Exception):
    """The polite way out of a wait once the process is to stop; not a failure."""


def is_service() -> bool:
    """True in a process of the service's user: root is no other one's, so sudo changes nothing."""
    return has_service() and os.geteuid() == pwd.getpwnam(SERVICE).pw_uid


def has_service() -> bool:
    """True on a machine that has the service's user."""
    try:
        pwd.getpwnam(SERVICE)
    except KeyError:
        return False
    return True


@contextmanager
def explained() -> Iterator[None]:
    """Raise an OSError from inside in words: as NotPermittedError or StorageError."""
    try:
        yield
    except PermissionError as error:
        raise NotPermittedError(
            f"{error.filename}: this user may not do that", hint="run this with sudo"
        ) from error
    except OSError as error:
        hint = "check that the card is neither full nor read-only"
        if error.errno in {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.ELOOP}:
            hint = "check the path"
        text = f"{error.filename or 'a file'}: {error.strerror or error}"
        raise StorageError(text, hint=hint) from error
