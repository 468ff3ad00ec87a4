"""Where systemd has put the directories and credentials of this service (systemd.exec(5))."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def systemd_directories(environment: Mapping[str, str]) -> dict[str, object]:
    """What systemd says instead of the defaults of [paths] and credentials_file, by key."""

    def directory(name: str) -> Path | None:
        first = environment.get(name, "").partition(":")[0]
        return Path(first) if first else None

    given: dict[str, object] = {}
    if state := directory("STATE_DIRECTORY"):
        given["state"] = state
    if runtime := directory("RUNTIME_DIRECTORY"):
        given["runtime"] = runtime
    if configuration := directory("CONFIGURATION_DIRECTORY"):
        given["certs"] = configuration / "certs"
        given["credentials_file"] = configuration / "aws" / "credentials"
    credentials = directory("CREDENTIALS_DIRECTORY")
    if credentials and (credentials / "aws").is_file():
        given["credentials_file"] = credentials / "aws"
    return given
