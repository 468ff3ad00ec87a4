"""Sources of updates: the files of apt's that are written, read and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.updates.held import HELD
from agent.updates.openpgp import KeyFileError, public_key
from agent.updates.sources import (
    ALLOWED,
    ETC,
    KEY,
    OLD_KEY,
    ONLY,
    SOURCE,
    SourceError,
    current,
    normal_url,
    read_key,
    remove,
    write,
)
from tests.unit.updates.keys import ARMOURED, BINARY, SECRET

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://updates.example.org/pi"
PUBLIC = public_key(ARMOURED)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        ("HTTPS://updates.example.org//", "https://updates.example.org"),
        ("http://192.168.1.5:8080/~me/a%20b", "http://192.168.1.5:8080/~me/a%20b"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://host:65535/x:99999/", "http://host:65535/x:99999"),
        ("http://host/@scope/x", "http://host/@scope/x"),
        ("file:///media/usb/updates/", "file:///media/usb/updates"),
    ],
)
def test_a_url_is_taken_without_the_slash_at_its_end(given: str, normal: str) -> None:
    """Of a server, or of a drive."""
    assert normal_url(given) == normal


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "https://", "http:///x", "file://", "file:///", "file://host/x", "file:/x"),
        *("updates.example.org", "ftp://host/x", "mirror+http://host/x", "javascript://host"),
        *("/media/usb", "https://host/x?y=1", "https://host/x#y", "https://me:secret@host/x"),
        *("https://me@host/x", "https://host/a b", "https://host/\nTrusted: yes", "https://h\t/x"),
        *("https://host/$(ARCH)", "https://hóst/x", "https://host/ü", "https://host/x\0"),
        *(f"https://host/{'x' * 1000}", "https://-host/x", "https://host:/x", "https://ho_st/x"),
        *("https://host/x\n", "http://127.0.0.1:99999", "http://[::1]:65536/x"),
    ],
)
def test_what_is_no_url_of_updates_is_refused(text: str) -> None:
    """Nothing of it could end a line or mean something to apt; with a form that does."""
    with pytest.raises(SourceError) as raised:
        normal_url(text)
    assert raised.value.exit_code == 2
    assert raised.value.hint
    assert "secret" not in raised.value.text


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Four files, which all may read; written once more they are the same."""
    source = write(URL, PUBLIC, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert current(tmp_path) == source == write(URL, PUBLIC, tmp_path)
    assert source.url == URL
    assert source.key.read_bytes() == BINARY
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    assert {path.stat().st_mode & 0o777 for path in after} == {0o644}
    assert {str(path.relative_to(tmp_path)) for path in after} == {SOURCE, KEY, ONLY, ALLOWED}


def test_the_source_counts_signatures_and_dates(tmp_path: Path) -> None:
    """With its own key, whatever apt is told elsewhere."""
    source = write(URL, PUBLIC, tmp_path)
    lines = (tmp_path / SOURCE).read_text().splitlines()

    assert f"Signed-By: {source.key}" in lines
    assert {"Check-Date: yes", "Check-Valid-Until: yes"} <= {*lines}
    assert {"Allow-Insecure: no", "Allow-Weak: no"} <= {*lines}


def test_pins_of_a_version_that_failed_come_before_ours() -> None:
    """Apt goes by the first that fits, in the order of the names."""
    assert str(HELD.relative_to(ETC)) < ONLY


def test_the_key_is_never_kept_as_armour(tmp_path: Path) -> None:
    """Which apt reads in its own way; one that was is removed."""
    (tmp_path / KEY).parent.mkdir()
    (tmp_path / OLD_KEY).write_bytes(ARMOURED)

    write(URL, PUBLIC, tmp_path)

    assert [path.name for path in (tmp_path / "keyrings").iterdir()] == ["pi-iot-agent.gpg"]
    assert read_key(tmp_path / KEY) == PUBLIC


def test_all_of_it_is_taken_away(tmp_path: Path) -> None:
    """Nothing is left but what somebody else has written."""
    (tmp_path / "preferences.d").mkdir()
    held = tmp_path / "preferences.d/pi-iot-agent-held"
    held.write_text("Package: pi-iot-agent\n")
    write(URL, PUBLIC, tmp_path)

    assert remove(tmp_path)
    assert not remove(tmp_path)
    assert current(tmp_path) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [held]


@pytest.mark.parametrize(
    "text",
    [
        *("", "Types: deb\n", "URIs: https://host/x\n", "\xff\xfe"),
        "URIs: ftp://host/x\nSigned-By: {etc}/keyrings/pi-iot-agent.gpg\n",
        "URIs: https://host/x\nSigned-By: {etc}/keyrings/pi-iot-agent.asc\n",
        "URIs: https://host/x\nSigned-By: /home/somebody/key.asc\n",
    ],
)
def test_a_spoiled_source_is_none(tmp_path: Path, text: str) -> None:
    """It is set up again by who wants it."""
    (tmp_path / SOURCE).parent.mkdir()
    (tmp_path / SOURCE).write_text(text.replace("{etc}", str(tmp_path)), encoding="latin-1")

    assert current(tmp_path) is None


def test_a_file_without_a_public_key_is_named(tmp_path: Path) -> None:
    """With what it is; what is no file is an OSError."""
    path = tmp_path / "secret.gpg"
    path.write_bytes(SECRET)

    with pytest.raises(KeyFileError, match=r"secret\.gpg: is the secret key"):
        read_key(path)
    with pytest.raises(OSError, match="longer than"):
        read_key(_written(tmp_path / "long", bytes(1048577)))
    with pytest.raises(OSError, match="regular"):
        read_key(tmp_path)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
