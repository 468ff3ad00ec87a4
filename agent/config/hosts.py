"""Fields for hosts: a host name, and a URL."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from agent.config.fields import declare, misfit, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import EllipsisType

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_LENGTH = 253
_LOOPBACK = r"localhost|::1|127(\.\d+){3}"


def host(default: str | EllipsisType) -> str:
    """A host name or an IP address, without scheme, port or path."""
    return declare(default, lambda value, _base: _host(string(value)), blank=True)


def url(default: str | EllipsisType) -> str:
    """An https URL, or an http one of this machine, without a user's name."""

    def check(value: object, _base: Path) -> str:
        plain = string(value)
        try:
            parts = urlsplit(plain)
            name = _host(parts.hostname or "")
            usable = parts.scheme in {"http", "https"} and parts.port != 0 and "@" not in plain
        except ValueError:
            usable = False
        if not usable:  # before the "@" there may be a password
            raise misfit('a URL such as "http://127.0.0.1:5000"', plain.rpartition("@")[2])
        if parts.scheme == "http" and not re.fullmatch(_LOOPBACK, name):
            raise ValueError(
                "expected https, or http on this machine (localhost, 127.0.0.1, ::1): "
                "the new private key would travel in clear"
            )
        return plain

    return declare(default, check, blank=True)


def _host(value: str) -> str:
    if _is_address(value):
        return value
    labels = value.rstrip(".").split(".")
    well_formed = len(value) <= _HOST_LENGTH and all(re.fullmatch(_LABEL, one) for one in labels)
    if well_formed and not labels[-1].isdigit():
        return value
    raise misfit(f"a host name{_pasted(value)}", value)


def _pasted(value: str) -> str:
    """Words on a URL or a port pasted where a host name belongs; empty for anything else."""
    if "console.aws." in value or "amazonaws.com/" in value.removesuffix("/"):
        return " such as abc123-ats.iot.us-east-1.amazonaws.com, not the address of a web page"
    if "://" in value or "/" in value:
        return " without scheme and slashes"
    if value.rpartition(":")[2].isdigit():
        return " without a port, which has its own key"
    return ""


def _is_address(value: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, value)
            return True
    return False
