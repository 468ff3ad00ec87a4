"""What a host without a key lays into the directory its owner never signs by the next run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.repository.publishing import NEW, POOL, package, publish, refused, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.repository import Key


@pytest.mark.parametrize("place", [POOL, f"{POOL}/.hidden", "pool"])
def test_a_package_in_the_pool(
    tmp_path: Path, standing: Path, key: Key, debs: dict[str, Path], place: str
) -> None:
    """Each device would install it as root."""
    before = (standing / "dists/stable/InRelease").read_bytes()
    laid = standing / place / package(tmp_path, "9.9.0").name
    laid.parent.mkdir(exist_ok=True)
    shutil.copy(tmp_path / laid.name, laid)

    for arguments in (("--renew",), (debs[NEW],)):
        said = run(standing, "--key", key.secret, *arguments)
        assert refused(said, f"{laid}: was never published; to publish it now name it, else"), said
    assert (standing / "dists/stable/InRelease").read_bytes() == before
    assert not (standing / POOL / debs[NEW].name).exists()


def test_an_index_of_his_own(
    tmp_path: Path, standing: Path, key: Key, other: Key, debs: dict[str, Path]
) -> None:
    """Signed with his own key, or with a signature of ours around another text."""
    foreign = tmp_path / "foreign"
    publish(foreign, other, package(tmp_path, "9.9.0"), days_ago=1)
    index = standing / "dists/stable/InRelease"
    signed = index.read_text()
    for text in (
        (foreign / "dists/stable/InRelease").read_text(),
        signed.replace("Suite: stable", "Suite: Stable"),
        signed.partition("-----BEGIN PGP SIGNATURE")[0],
        f"Origin: pi-iot-agent\n{signed}",
    ):
        shutil.copytree(foreign / "pool", standing / "pool", dirs_exist_ok=True)
        shutil.copytree(foreign / "dists/stable/main", index.parent / "main", dirs_exist_ok=True)
        index.write_text(text)
        for arguments in (("--renew",), (debs[NEW],)):
            said = run(standing, "--key", key.secret, *arguments)
            assert refused(said, "its index is not as one of these keys has signed it"), said
        assert index.read_text() == text


def test_an_index_that_was_changed(standing: Path, key: Key) -> None:
    """What it lists is not what was signed."""
    for file in (standing / "dists/stable/main").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes() + b"\n")

    said = run(standing, "--key", key.secret, "--renew")

    assert refused(said, "its index is not as one of these keys has signed it"), said


def test_a_key_beside_the_packages(standing: Path, key: Key, other: Key) -> None:
    """Each device that is given the file would trust him."""
    with (standing / "pi-iot-agent.asc").open("a") as file:
        file.write(other.public.read_text())
    before = (standing / "dists/stable/InRelease").read_bytes()

    said = run(standing, "--key", key.secret, "--renew")

    assert refused(said, f"pi-iot-agent.asc: holds the key {other.fingerprint}, which is not"), said
    assert (standing / "dists/stable/InRelease").read_bytes() == before


@pytest.mark.parametrize("name", ["pool", "dists", "dists/stable/main", "pi-iot-agent.asc"])
def test_a_link(tmp_path: Path, standing: Path, key: Key, name: str) -> None:
    """It would have files made, and opened for all to read, wherever it leads."""
    elsewhere = tmp_path / "elsewhere"
    (standing / name).rename(elsewhere)
    (standing / name).symlink_to(elsewhere)
    elsewhere.chmod(0o700)

    said = run(standing, "--key", key.secret, "--renew")

    assert refused(said, f"{standing / name}: is neither a file nor a directory; remove it"), said
    assert elsewhere.stat().st_mode & 0o7777 == 0o700
