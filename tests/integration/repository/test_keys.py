"""Which keys sign, which lie beside the packages, and how one takes the place of another."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.integration.repository.apt import machine
from tests.integration.repository.publishing import NEW, OLD, POOL, package, publish, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.repository import Key


def test_another_key_is_not_trusted(
    tmp_path: Path, repository: Path, key: Key, other: Key, debs: dict[str, Path]
) -> None:
    """A machine that was given that key alone knows no package."""
    publish(repository, key, debs[OLD])
    apt = machine(tmp_path, other.public)

    assert "signature" in apt.update()
    assert apt.versions() == []


def test_a_machine_follows_from_one_key_to_the_next(
    tmp_path: Path, repository: Path, key: Key, other: Key, debs: dict[str, Path]
) -> None:
    """While both sign, one that was given either is content; the keys lie beside the packages."""
    both = ("--key", key.secret, "--key", other.secret, debs[OLD])
    publish(repository, key, debs[OLD], days_ago=3)
    assert "done" in run(repository, *both, days_ago=2)
    assert "nothing to do" in run(repository, *both, days_ago=2)

    assert machine(tmp_path, key.public).update() == ""
    assert machine(tmp_path, other.public).update() == ""
    publish(repository, other, "--trust", key.public, debs[OLD], days_ago=1)
    assert fingerprints(repository) == {key.fingerprint, other.fingerprint}
    assert "signature" in machine(tmp_path, key.public).update()
    assert machine(tmp_path, repository / "pi-iot-agent.asc").update() == ""
    (repository / "pi-iot-agent.asc").unlink()
    publish(repository, other, "--renew")
    assert fingerprints(repository) == {other.fingerprint}


def fingerprints(repository: Path) -> set[str]:
    """Of the keys that lie beside the packages."""
    gpg = ["gpg", "--with-colons", "--show-keys", str(repository / "pi-iot-agent.asc")]
    listed = subprocess.run(gpg, check=True, capture_output=True, text=True).stdout
    return {line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")}


def test_a_spare_key_takes_over(
    tmp_path: Path, repository: Path, key: Key, other: Key, debs: dict[str, Path]
) -> None:
    """It lies beside the packages, and signs nothing, until the first key is lost."""
    publish(repository, key, "--trust", other.public, debs[OLD], days_ago=2)
    apt = machine(tmp_path, repository / "pi-iot-agent.asc")
    assert apt.update() == ""
    assert "signature" in machine(tmp_path, other.public).update()

    said = run(*(repository, "--key", other.secret, "--trust", key.public, debs[NEW]), days_ago=1)

    assert f"key {other.fingerprint} signs\n" in said
    assert f"key {key.fingerprint} does not sign, but devices are to trust it\n" in said
    assert (apt.update(), apt.versions()) == ("", [NEW, OLD])
    assert machine(tmp_path, other.public).update() == ""


def test_a_spare_key_begins_anew_when_the_first_is_stolen(
    tmp_path: Path, repository: Path, key: Key, other: Key, debs: dict[str, Path]
) -> None:
    """Nothing that the first one signed counts; each package is named, others are removed."""
    publish(repository, key, "--trust", other.public, debs[OLD], days_ago=2)
    publish(repository, key, "--trust", other.public, package(tmp_path, "9.9.0"), days_ago=1)
    shutil.rmtree(repository / "dists")
    (repository / "pi-iot-agent.asc").unlink()
    begin = (repository, "--key", other.secret, debs[OLD], debs[NEW])

    assert "9.9.0_all.deb: was never published" in run(*begin)
    (repository / POOL / "pi-iot-agent_9.9.0_all.deb").unlink()
    assert "done; valid until" in run(*begin)

    apt = machine(tmp_path, other.public)
    assert (apt.update(), apt.versions()) == ("", [NEW, OLD])
    assert fingerprints(repository) == {other.fingerprint}


def test_a_key_of_gpgs_keyring_is_named(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """By a part of its user id, where that is clear."""
    said = run(repository, "--key", "updates@", debs[OLD], settings={"GNUPGHOME": key.home})

    assert "done; valid until" in said
    assert machine(tmp_path, key.public).update() == ""
