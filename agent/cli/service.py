"""Service's part of a command: what is done as its user, where root runs the command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent import account
from agent.cli.output import guarded

if TYPE_CHECKING:
    from collections.abc import Callable


def as_service(work: Callable[[], int], *, out: Callable[[str], object] | None = None) -> None:
    """Have `work` done as the service's user; SystemExit with its exit code unless that is 0.

    What goes wrong there has been told already. For anybody but root it is done right here, and
    raises what it raises.
    """
    service = account.of_service()
    code = account.run_as(service, lambda: guarded(work), out=out) if service else work()
    if code:
        raise SystemExit(code)


def ask_service(question: Callable[[], str]) -> str:
    """The answer to `question`, asked as the service's user; to be taken as anybody's word."""
    if account.of_service() is None:
        return question()
    pieces: list[str] = []
    as_service(lambda: _tell(question()), out=pieces.append)
    return "".join(pieces).rstrip("\n")


def _tell(answer: str) -> int:
    print(answer, file=sys.stdout)
    return 0
