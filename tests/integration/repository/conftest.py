"""Keys and tiny packages, which are made once; and where a repository is to be."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.repository.publishing import NEW, NEWEST, OLD, package, publish
from tests.system.repository import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOLS = ("apt-get", "apt-ftparchive", "dpkg-deb", "gpg", "gpg-agent", "xz")


@pytest.fixture(scope="session", autouse=True)
def _able() -> None:
    """Skips where the tools are not installed, which scripts/test does where it may."""
    lacking = [one for one in TOOLS if not shutil.which(one)]
    if lacking and "CI" not in os.environ:
        pytest.skip(f"not installed: {' '.join(lacking)}")


@pytest.fixture(scope="session")
def debs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three versions of the package."""
    directory = tmp_path_factory.mktemp("debs")
    return {version: package(directory, version) for version in (OLD, NEW, NEWEST)}


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    """The owner's."""
    with Key() as key:
        yield key


@pytest.fixture(scope="session")
def other() -> Iterator[Key]:
    """Another one."""
    with Key() as key:
        yield key


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Where it is to be."""
    return tmp_path / "repository"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, key: Key, debs: dict[str, Path]) -> Path:
    """A repository with one package, of yesterday."""
    directory = tmp_path_factory.mktemp("published") / "repository"
    publish(directory, key, debs[OLD], days_ago=1)
    return directory


@pytest.fixture
def standing(repository: Path, published: Path) -> Path:
    """The same, for one test."""
    shutil.copytree(published, repository)
    return repository
