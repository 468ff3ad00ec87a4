"""apt trusts what `scripts/repository` makes, that alone, and at every moment of its making."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.repository.apt import Apt, machine
from tests.integration.repository.publishing import NEW, NEWEST, OLD, POOL, ROOT, publish, run
from tests.system.repository import Repository

if TYPE_CHECKING:
    from tests.system.repository import Key


def snapshot(directory: Path) -> dict[Path, tuple[bytes, int]]:
    """Content and time of each file."""
    files = [one for one in directory.rglob("*") if one.is_file()]
    return {one: (one.read_bytes(), one.stat().st_mtime_ns) for one in files}


def in_release(repository: Path) -> Path:
    """The file that apt begins with."""
    return repository / "dists/stable/InRelease"


@pytest.mark.parametrize("architecture", ["amd64", "riscv64"])
def test_apt_finds_the_newest_version_and_every_older_one(
    architecture: str, tmp_path: Path, debs: dict[str, Path]
) -> None:
    """From a host of files, on any machine, by the key that lies beside the packages."""
    with Repository(tmp_path / "repository") as repository:
        repository.publish(debs[OLD])
        repository.publish(debs[NEWEST], debs[NEW])
        keys = repository.directory / "pi-iot-agent.asc"
        apt = Apt(tmp_path / "machine", repository.url, keys, architecture)

        assert apt.update() == ""
        assert apt.versions() == [NEWEST, NEW, OLD]
        assert {version: apt.get(version) for version in debs} == {
            version: file.read_bytes() for version, file in debs.items()
        }


def test_a_second_run_changes_no_byte(repository: Path, key: Key, debs: dict[str, Path]) -> None:
    """It says so; and everybody may read what there is, though the umask lets nobody."""
    publish(repository, key, debs[OLD], debs[NEW], days_ago=1)
    before = snapshot(repository)

    said = run(repository, "--key", key.secret, debs[NEW])

    assert "nothing to do; valid until" in said
    assert snapshot(repository) == before
    files = [repository, *repository.rglob("*")]
    modes = {(one.is_dir(), one.stat().st_mode & 0o7777) for one in files}
    assert modes == {(True, 0o755), (False, 0o644)}


def test_without_a_package_it_takes_what_is_built(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """Of the same tree; but nothing is built to renew the signature."""
    scripts = tmp_path / "tree/scripts"
    scripts.mkdir(parents=True)
    for name in ("repository", "keys.sh", "lib.sh"):
        shutil.copy(ROOT / "scripts" / name, scripts)
    build = scripts / "deb"
    build.write_text(
        f'#!/bin/sh\ncd "$(dirname "$0")/.."\nmkdir -p dist; cp {debs[OLD]} dist/pi-iot-agent.deb\n'
    )
    build.chmod(0o755)
    command = [str(scripts / "repository"), "repository", "--key", str(key.secret)]

    first, again = (
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stderr
        for _ in range(2)
    )
    build.unlink()
    subprocess.run([*command, "--renew"], cwd=tmp_path, check=True, capture_output=True)

    assert (repository / POOL / debs[OLD].name).read_bytes() == debs[OLD].read_bytes()
    assert f": built {OLD}, from what is committed\nrepository: adding {OLD}\n" in first
    assert f": {OLD} is there already\nrepository: holds {OLD}\nrepository: nothing to do" in again


def test_an_index_ends(tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]) -> None:
    """Its owner then has been silent for long, or somebody holds back what is newer."""
    publish(repository, key, debs[OLD], days_ago=90)
    apt = machine(tmp_path, key.public)

    assert "expired" in apt.update()
    assert apt.versions() == []
    publish(repository, key, "--renew")
    assert (apt.update(), apt.versions()) == ("", [OLD])


def test_a_package_that_was_cut_off_is_not_taken(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """Its size and hash are signed; the older one is still to be had."""
    publish(repository, key, debs[OLD], debs[NEW])
    package = repository / POOL / debs[NEW].name
    package.write_bytes(package.read_bytes()[:-100])
    apt = machine(tmp_path, key.public)

    assert apt.update() == ""
    assert "E: " in str(apt.get(NEW))
    assert apt.get(OLD) == debs[OLD].read_bytes()


def test_an_index_that_was_changed_is_not_taken(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """A bit in each form of it."""
    publish(repository, key, debs[OLD])
    for file in (repository / "dists/stable/main").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            file.write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    apt = machine(tmp_path, key.public)

    assert "Hash Sum mismatch" in apt.update()
    assert apt.versions() == []


def test_an_old_index_does_not_take_the_place_of_a_newer_one(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """Though its signature is right and its time has not ended."""
    apt = machine(tmp_path, key.public)
    publish(repository, key, debs[OLD], days_ago=2)
    shutil.copytree(repository / "dists", tmp_path / "kept")
    publish(repository, key, debs[NEW], days_ago=1)
    assert apt.update() == ""
    shutil.rmtree(repository / "dists")
    shutil.copytree(tmp_path / "kept", repository / "dists")

    apt.update()

    assert apt.versions() == [NEW, OLD]


def test_the_index_before_the_newest_one_is_still_there(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """By its hash, for who has begun to read, or reads through a cache; but none before that."""
    publish(repository, key, debs[OLD], days_ago=3)
    first = in_release(repository).read_bytes()
    publish(repository, key, debs[NEW], days_ago=2.5)
    publish(repository, key, "--renew", days_ago=2)
    last = in_release(repository).read_bytes()
    in_release(repository).write_bytes(first)
    apt = machine(tmp_path, key.public)

    assert (apt.update(), apt.versions()) == ("", [OLD])
    in_release(repository).write_bytes(last)
    publish(repository, key, debs[NEWEST])
    of_one = repository / "dists/stable/main/binary-arm64/by-hash/SHA256"
    assert len(list(of_one.iterdir())) == 6
    in_release(repository).write_bytes(first)
    assert "E: " in machine(tmp_path, key.public).update()


def test_the_signature_is_renewed_when_half_of_its_time_is_over(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """Not before, unless it is told to be, or is to be valid for longer."""
    sign = ("--key", key.secret, debs[OLD])
    run(repository, *sign, days_ago=91)

    assert "nothing to do" in run(repository, *sign, days_ago=91 - 44)
    assert "done; valid until" in run(repository, *sign, days_ago=91 - 46)
    assert machine(tmp_path, key.public).update() == ""
    assert "nothing to do" in run(repository, *sign, "--valid-days", "20", days_ago=44)
    assert "done; valid until" in run(repository, *sign, "--valid-days", "365", days_ago=44)
    assert "done; valid until" in run(repository, "--key", key.secret, "--renew", days_ago=43)


def test_a_version_is_taken_back_with_its_file(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """Whoever does not have it yet does not get it any more."""
    publish(repository, key, debs[OLD], debs[NEW], days_ago=1)
    apt = machine(tmp_path, key.public)
    apt.update()
    (repository / POOL / debs[NEW].name).unlink()

    said = run(repository, "--key", key.secret, "--renew")

    assert f"taking back {debs[NEW].name}\nrepository: holds {OLD}\nrepository: done" in said
    assert (apt.update(), apt.versions()) == ("", [OLD])


def test_a_run_that_is_cut_off_breaks_nothing(
    tmp_path: Path, repository: Path, key: Key, debs: dict[str, Path]
) -> None:
    """Until the last step apt sees what was before; the next run goes on. No key is left."""
    publish(repository, key, debs[OLD], days_ago=1)
    with tempfile.TemporaryDirectory() as memory:
        path = f"{stop_mv(tmp_path / 'bin')}:{os.environ['PATH']}"
        settings = {"PATH": path, "XDG_RUNTIME_DIR": memory}
        for step in (".deb", "by-hash", "Packages.gz", "/Release", "Release.gpg", "InRelease"):
            said = run(
                repository, "--key", key.secret, debs[NEW], settings={**settings, "STOP_AT": step}
            )
            assert said.startswith("exit -15\n")
            assert (tmp_path / "bin/seen").read_text().count("\n") == 1  # the key was there
            assert list(Path(memory).iterdir()) == []
            apt = machine(tmp_path, key.public)
            assert (step, apt.update(), apt.versions()) == (step, "", [OLD])
        publish(repository, key, debs[NEW])

        assert (apt.update(), apt.versions()) == ("", [NEW, OLD])
        assert {one.name for one in repository.iterdir()} == {"pool", "dists", "pi-iot-agent.asc"}


def stop_mv(directory: Path) -> Path:
    """A directory with an mv that ends its caller before a file is put in the place STOP_AT."""
    directory.mkdir()
    mv = directory / "mv"
    mv.write_text(
        '#!/bin/sh\ncase $3 in *$STOP_AT*) ls "$XDG_RUNTIME_DIR" >"${0%mv}seen"; kill $PPID; exit;;'
        ' esac\nexec /usr/bin/mv "$@"\n'
    )
    mv.chmod(0o755)
    return directory
