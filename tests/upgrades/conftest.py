"""The machines of tests/system; nothing here runs in scripts/test."""

from __future__ import annotations

import os

import pytest

from tests.system.conftest import _able, cloud, package, repository, suite, updatable, updated

__all__ = ["_able", "cloud", "package", "repository", "suite", "updatable", "updated"]


@pytest.fixture(scope="session", autouse=True)
def _wanted() -> None:
    if "UPGRADES" not in os.environ:
        pytest.skip("scripts/upgrades runs this")
