"""Settings of all tests: the same examples and order each time, but for a search or a shuffle."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

# How long an example takes says more about the machine than about the code.
settings.register_profile(
    "calm",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# Of scripts/fuzz, which gives a seed: that alone is enough to see a failure again.
settings.register_profile(
    "search", settings.get_profile("calm"), derandomize=False, max_examples=1000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "calm"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--shuffle SEED`."""
    parser.addoption("--shuffle", metavar="SEED", help="run the tests in another order")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the tests where that is wished: none may need another to have run before it."""
    if seed := config.getoption("--shuffle"):
        chance = random.Random(seed)
        files: dict[object, list[pytest.Item]] = {}  # each in one piece, for its fixtures
        for item in items:
            files.setdefault(item.path, []).append(item)
        order = list(files.values())
        chance.shuffle(order)
        items[:] = [item for file in order for item in chance.sample(file, len(file))]
