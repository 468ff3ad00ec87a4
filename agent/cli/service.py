"""Service's part of a command: what is done as its user, where root runs the command."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from agent import account, files, ownership
from agent.cli.output import guarded
from agent.errors import NotPermittedError, explained

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def as_service(work: Callable[[], int], *, out: Callable[[str], object] | None = None) -> None:
    """Have `work` done as the service's user; SystemExit with its exit code unless that is 0.

    What goes wrong there has been told already. For anybody but root it is done right here, and
    raises what it raises.
    """
    service = account.of_service()
    if service:
        code = account.run_as(service, lambda: guarded(work, to_the_end=True), out=out)
    else:
        code = work()
    if code:
        raise SystemExit(code)


def ask_service(question: Callable[[], str]) -> str:
    """The answer to `question`, asked as the service's user; to be taken as anybody's word."""
    if account.of_service() is None:
        return question()
    pieces: list[str] = []
    as_service(lambda: _tell(question()), out=pieces.append)
    return "".join(pieces).rstrip("\n")


def check_writable(path: Path) -> None:
    """Raise NotPermittedError if this user could not replace `path`, or root should not.

    Root writes and removes nothing where the service, or anybody else, could put something else in
    its way.
    """
    service = account.of_service()
    led = service and ownership.is_led_by(service.uid, path)
    with explained():
        directory = files.real(path).parent
    while not directory.exists():
        directory = directory.parent
    if led or (service and not ownership.only_root_writes(directory)):
        raise NotPermittedError(
            f"{path}: others than root can write on the way there; root changes nothing there",
            hint="put it where only root can write, as /etc/pi-iot-agent is",
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise NotPermittedError(f"{path}: this user may not write it", hint="run this with sudo")


def key_owner() -> files.Owner | None:
    """Owner of the AWS key that root writes: root, with the service's group; None for others."""
    service = account.of_service()
    return (0, service.gid) if service else None


def _tell(answer: str) -> int:
    print(answer, file=sys.stdout)
    return 0
