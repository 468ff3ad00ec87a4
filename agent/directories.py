"""The directories that systemd gives a service, by its variables (systemd.exec(5))."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def given(environment: Mapping[str, str]) -> dict[str, object]:
    """What systemd says instead of the defaults of [paths] and of credentials_file."""

    def directory(name: str) -> Path | None:
        first = environment.get(name, "").partition(":")[0]
        return Path(first) if first else None

    found: dict[str, object] = {}
    if state := directory("STATE_DIRECTORY"):
        found["state"] = state
    if runtime := directory("RUNTIME_DIRECTORY"):
        found["runtime"] = runtime
    if configuration := directory("CONFIGURATION_DIRECTORY"):
        found["certs"] = configuration / "certs"
        found["credentials_file"] = configuration / "aws" / "credentials"
    credentials = directory("CREDENTIALS_DIRECTORY")
    if credentials and (credentials / "aws").is_file():
        found["credentials_file"] = credentials / "aws"
    return found
