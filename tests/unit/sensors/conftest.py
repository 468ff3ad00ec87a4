"""The clock that drivers are given."""

from __future__ import annotations

import pytest

from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Both clocks."""
    return FakeClock()
