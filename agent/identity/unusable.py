"""Unusable credentials: what is missing, forbidden or spoiled, and the file that is to blame."""

from __future__ import annotations

import json
import ssl

from agent import files
from agent.errors import ANEW, SERVICE, CredentialsError, is_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PROVISION = f"to make new ones {ANEW}"
OWN = "see cert_file and key_file of [mqtt]"
ROOTS = "see ca_file of [mqtt]"


class MissingCredentialsError(CredentialsError):
    """Credentials are not there yet: the device has to be provisioned."""


class ForbiddenCredentialsError(CredentialsError):
    """Credentials that this user may not read; nothing is known of how they are."""


class HardwareKeyError(CredentialsError):
    """A key in hardware that cannot be used now; no registration mends that."""


class RootsError(CredentialsError):
    """The file of trusted roots that the owner names is of no use; no registration mends that."""


class ForbiddenRootsError(RootsError, ForbiddenCredentialsError):
    """The file of trusted roots that the owner names may not be read by this user."""


def check_readable(path: Path, *, hint: str) -> None:
    """Raise CredentialsError unless it is a file that can be read; OpenSSL waits at a FIFO."""
    try:
        files.check(path)
    except OSError as error:
        raise unusable(path, error, hint=hint) from error


def unusable(path: Path, error: Exception, *, hint: str) -> CredentialsError:
    """The error for a file, which a lack of permission tells nothing of, but to the service."""
    if isinstance(error, PermissionError):
        return forbidden(error.filename or path, service=is_service())
    return CredentialsError(f"{path}: {reason(error)}", hint=hint)


def forbidden(path: object, *, service: bool) -> CredentialsError:
    """The error for a file that this user may not read; the user of the `service` must."""
    if not service:
        text = f"{path}: may not be read by this user"
        return ForbiddenCredentialsError(text, hint="run this with sudo")
    return CredentialsError(
        f"{path}: may not be read by {SERVICE}, the user of the service",
        hint=f"`sudo chown {SERVICE} {path}`, and let that user enter the directories above",
    )


def reason(error: Exception) -> str:
    """The reason, without the path, which the message names already."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM format").replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (
        "not valid JSON"
        if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError))
        else str(error)
    )
