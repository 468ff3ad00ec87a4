"""Local clocks by the rules of POSIX, which need no files of zones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the local clock's rules, as POSIX writes them, until the end of the test."""

    def chosen(rules: str) -> None:
        monkeypatch.setenv("TZ", rules)
        time.tzset()

    yield chosen
    monkeypatch.undo()
    time.tzset()
