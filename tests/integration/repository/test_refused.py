"""`scripts/repository` refuses what would not do, in words, and leaves what is there as it was."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.repository.publishing import NEW, OLD, POOL, ROOT, package, refused, run
from tests.system.repository import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A key that ended long ago, one with a passphrase, a short one, two of one name, one revoked.
ENDED, LOCKED, SHORT, TWICE, REVOKED = "ended@", "locked@", "short@", "twice@", "revoked@"


@pytest.fixture(scope="module")
def keyring() -> Iterator[Key]:
    """All of them."""
    with Key() as key:
        long_ago = ("--faked-system-time", "20250101T000000")
        generate = ("--pinentry-mode", "loopback", "--quick-generate-key")
        kind = ("ed25519", "sign")
        key.gpg(*long_ago, "--passphrase", "", *generate, f"{ENDED}example.org", *kind, "30d")
        key.gpg("--passphrase", "secret", *generate, f"{LOCKED}example.org", *kind, "never")
        key.gpg("--passphrase", "", *generate, f"{SHORT}example.org", "rsa1024", "sign", "never")
        for name in (f"{TWICE}example.org", f"{TWICE}example.com", f"{REVOKED}example.org"):
            key.gpg("--passphrase", "", *generate, name, *kind, "never")
        prepared = [one.read_text() for one in (key.home / "openpgp-revocs.d").iterdir()]
        (certificate,) = [one for one in prepared if REVOKED in one]
        revocation = key.home / "revocation"
        revocation.write_text(certificate.replace(":-----BEGIN", "-----BEGIN"))
        key.gpg("--import", str(revocation))
        yield key


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody@", "is no file, and no secret key of gpg's keyring"),
        (ENDED, "ended 2025-01-31; gpg --quick-set-expire lengthens it"),
        (REVOKED, "is revoked"),
        (TWICE, "2 secret keys; name one by its fingerprint"),
        (SHORT, "is too weak for Debian 13"),
        (LOCKED, "for a key with a passphrase it needs a terminal"),
    ],
)
def test_a_key_that_cannot_sign(
    standing: Path, keyring: Key, debs: dict[str, Path], name: str, words: str
) -> None:
    """What is wrong with it is told; what was signed before still stands."""
    before = (standing / "dists/stable/InRelease").read_bytes()

    said = run(
        *(standing, "--key", name, "--trust", standing / "pi-iot-agent.asc", debs[NEW]),
        settings={"GNUPGHOME": keyring.home},
    )

    assert refused(said, words), said
    assert (standing / "dists/stable/InRelease").read_bytes() == before


def test_a_file_without_a_secret_key(repository: Path, key: Key, debs: dict[str, Path]) -> None:
    """Such as the public one; nor are files and names mixed."""
    public = run(repository, "--key", key.public, debs[OLD])
    mixed = run(repository, "--key", key.secret, "--key", "updates@", debs[OLD])

    assert refused(public, f"{key.public}: holds no secret key"), public
    assert refused(mixed, "updates@: is no file as the first one is, and no secret key of"), mixed
    assert not repository.exists()


def test_a_file_that_holds_more_than_public_keys(
    tmp_path: Path, repository: Path, key: Key, other: Key, debs: dict[str, Path]
) -> None:
    """Or none; a secret one has no place where others read."""
    both = tmp_path / "both"
    both.write_text(other.public.read_text() + other.secret.read_text())
    for file in (other.secret, both, debs[OLD], tmp_path / "none", tmp_path):
        said = run(repository, "--key", key.secret, "--trust", file, debs[OLD])
        assert refused(said, f"{file}: holds no public keys alone"), said
    assert not repository.exists()


def test_a_key_that_ends_sooner_is_told(repository: Path, debs: dict[str, Path]) -> None:
    """The devices would look in vain from then on."""
    with Key() as key:
        key.gpg("--passphrase", "", "--quick-generate-key", "soon@example.org", "ed25519", "", "8d")

        said = run(repository, "--key", "soon@", debs[OLD], settings={"GNUPGHOME": key.home})

    assert "beware: soon@ ends 20" in said
    assert "done; valid until" in said


def test_another_package(tmp_path: Path, standing: Path, key: Key) -> None:
    """One of another name, for one architecture alone, half of one, or none at all."""
    half = tmp_path / "half.deb"
    half.write_bytes(package(tmp_path, NEW).read_bytes()[:-200])
    for file, words in (
        (package(tmp_path, NEW, name="pi-iot-other"), "is pi-iot-other for all"),
        (package(tmp_path, NEW, kind="arm64"), "is pi-iot-agent for arm64"),
        (half, "is not a whole Debian package"),
        (key.public, "is not a whole Debian package"),
        (tmp_path / "none.deb", "is not a whole Debian package"),
    ):
        said = run(standing, "--key", key.secret, file)
        assert refused(said, f"{file}: {words}"), said
    assert [one.name for one in (standing / POOL).iterdir()] == [f"pi-iot-agent_{OLD}_all.deb"]


def test_other_bytes_under_the_same_version(tmp_path: Path, standing: Path, key: Key) -> None:
    """A device that has the one would never take the other."""
    (tmp_path / "again").mkdir()
    again = package(tmp_path / "again", OLD, text="something else")

    given = run(standing, "--key", key.secret, again)
    (standing / POOL / again.name).unlink()
    given_later = run(standing, "--key", key.secret, again)
    shutil.copy(again, standing / POOL)
    laid = run(standing, "--key", key.secret, "--renew")

    for said in (given, given_later):
        assert refused(said, f"{OLD} was published with other bytes; raise the version"), said
    assert refused(laid, f"{again.name}: is not what was published; bring that back"), laid


def test_a_package_that_was_spoilt_where_it_lies(
    standing: Path, key: Key, debs: dict[str, Path]
) -> None:
    """It does not fall out of the index without a word, and can be brought back."""
    laid = standing / POOL / debs[OLD].name
    laid.write_bytes(laid.read_bytes()[:100])

    said = run(standing, "--key", key.secret, "--renew")
    assert refused(said, f"{laid}: is not what was published; bring that back, or"), said
    said = run(standing, "--key", key.secret, debs[OLD])

    assert f"{OLD} is there already\nrepository: holds {OLD}\nrepository: done" in said
    assert laid.read_bytes() == debs[OLD].read_bytes()


def test_a_directory_that_is_not_ours(tmp_path: Path, key: Key, debs: dict[str, Path]) -> None:
    """With anything else in it, or another repository; one with hidden files alone will do."""
    used, debian, clone = (tmp_path / name for name in ("used", "debian", "clone"))
    (used / "photos").mkdir(parents=True)
    (used / "photos/one.jpeg").touch()
    (debian / "dists/stable").mkdir(parents=True)
    (debian / "dists/stable/InRelease").write_text("Origin: Debian\n")
    (clone / ".git").mkdir(parents=True)
    (clone / ".git/HEAD").touch()

    said = {one: run(one, "--key", key.secret, debs[OLD]) for one in (used, debian, clone)}

    assert refused(said[used], "holds photos/one.jpeg; name an empty directory"), said
    assert refused(said[debian], "holds another repository"), said
    assert "done; valid until" in said[clone]


def test_nothing_to_sign(repository: Path, key: Key) -> None:
    """An empty repository is of no use to a device."""
    said = run(repository, "--key", key.secret, "--renew")

    assert refused(said, "has no package yet; give one"), said


def test_a_clock_that_is_behind(standing: Path, key: Key, debs: dict[str, Path]) -> None:
    """A device would take the new index for an old one, and never look at it."""
    said = run(standing, "--key", key.secret, debs[NEW], days_ago=1.01)

    assert refused(said, "later than now: set the clock"), said
    assert [one.name for one in (standing / POOL).iterdir()] == [f"pi-iot-agent_{OLD}_all.deb"]


def test_two_at_once(standing: Path, key: Key, debs: dict[str, Path]) -> None:
    """The second one is told of the first."""
    first = os.open(standing, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)

    said = run(standing, "--key", key.secret, debs[NEW])
    os.close(first)

    assert refused(said, "another run is at work there; wait for it"), said


def test_a_version_that_is_raised_in_one_place(tmp_path: Path) -> None:
    """A device would call it by one name, and apt by another; nothing is built."""
    files = {
        "packaging/debian/changelog": "pi-iot-agent (0.2.1-1) unstable; urgency=medium\n",
        "agent/__init__.py": '__version__ = "0.2.0"\n',
        **{name: (ROOT / name).read_text() for name in ("scripts/deb", "scripts/lib.sh")},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git = ("/usr/bin/git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "Raise")):
        subprocess.run([*git, *command], check=True)

    built = ["/bin/bash", str(tmp_path / "scripts/deb")]
    done = subprocess.run(built, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "0.2.1-1 in packaging/debian/changelog is another than in agent/__init__" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("--key",), ("--key", "one", "--renewed"), ("--key", "one", "--valid-days"), ("--trust",)],
)
def test_a_wrong_use(repository: Path, arguments: tuple[str, ...]) -> None:
    """The right one is told."""
    said = run(repository, *arguments)

    assert said.startswith("exit 2\nMakes or extends a signed apt repository")
    assert "scripts/repository DIR --key KEY [--key KEY ...]" in said


@pytest.mark.parametrize("days", ["0", "-1", "many", "1.5", ""])
def test_a_number_of_days_that_is_none(repository: Path, days: str) -> None:
    """It is told which are."""
    said = run(repository, "--key", "one", "--valid-days", days)

    assert refused(said, f"--valid-days {days}: give one from 1 to 9999"), said
