"""Local clocks by the rules of POSIX, which need no files of zones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
TOKYO = "JST-9"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"  # summer time is half an hour
KATHMANDU = "<+0545>-5:45"
HAVANA = "CST5CDT,M3.2.0/0,M11.1.0/1"  # summer time begins at midnight


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the local clock's rules until the end of the test."""

    def chosen(rules: str) -> None:
        monkeypatch.setenv("TZ", rules)
        time.tzset()

    yield chosen
    monkeypatch.undo()
    time.tzset()
