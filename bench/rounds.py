"""Rounds: the same measured again and again, and void where a link was lost."""

from __future__ import annotations

import sys
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

#: How often a round that is void is measured again.
AGAIN = 2

Key = TypeVar("Key")


class VoidError(Exception):
    """A round that counts for nothing: a link was lost, or a contestant ended; says which."""


def tell(text: str) -> None:
    """A line for who waits, beside the table."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def rounds(
    count: int, measure: Callable[[], Mapping[Key, float]], *, name: str
) -> dict[Key, list[float]]:
    """The values of `count` rounds, for each key one a round.

    A round that is void is told and measured again, at most twice; then it is left out. Raises
    VoidError if all are.
    """
    values: dict[Key, list[float]] = defaultdict(list)
    for number in range(1, count + 1):
        for attempt in range(AGAIN + 1):
            try:
                measured = measure()
            except (VoidError, TimeoutError) as void:
                last = ", left out" if attempt == AGAIN else ", again"
                tell(f"{name}: round {number} is void{last}: {void}")
                continue
            for key, value in measured.items():
                values[key].append(value)
            break
    if not values:
        raise VoidError(f"{name}: every round was void")
    return dict(values)


def windows(
    count: int,
    begin: Callable[[], AbstractContextManager[Callable[[], Mapping[Key, float]]]],
    *,
    name: str,
) -> dict[Key, list[float]]:
    """The values of `count` rounds that look at the same processes, one after the other.

    `begin` starts these and gives what measures a round. After one that is void they are started
    anew, so that nothing of it is in the next.
    """
    with ExitStack() as running:
        measure: Callable[[], Mapping[Key, float]] | None = None

        def window() -> Mapping[Key, float]:
            nonlocal measure
            try:
                measure = measure or running.enter_context(begin())
                return measure()
            except (VoidError, TimeoutError):
                measure = None
                running.close()
                raise

        return rounds(count, window, name=name)
