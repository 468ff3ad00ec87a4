"""The board's serial number and the name that a device has until someone gives it one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import board

if TYPE_CHECKING:
    from pathlib import Path


def put(root: Path, name: str, content: str) -> Path:
    """A file below `root`, which is returned."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("name", "content", "serial"),
    [
        ("proc/device-tree/serial-number", "10000000abcdef12\0", "10000000abcdef12"),
        ("proc/cpuinfo", "processor\t: 0\nSerial\t\t: 00000000deadbeef\n", "00000000deadbeef"),
        ("proc/cpuinfo", "Serial\t\t: 0000000000000000\n", None),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n", "0123456789abcdef" * 2),
        ("etc/machine-id", "uninitialized\n", None),
        ("etc/hostname", "attic", None),
    ],
)
def test_the_serial_number_is_the_boards_or_the_machine_id(
    tmp_path: Path, name: str, content: str, serial: str | None
) -> None:
    """Whatever the system has of them; a row of zeros is none."""
    assert board.serial(put(tmp_path, name, content)) == serial


def test_the_board_goes_before_the_machine_id(tmp_path: Path) -> None:
    """A card that moves to another board is another device."""
    put(tmp_path, "etc/machine-id", "f" * 32)
    assert board.serial(put(tmp_path, "proc/device-tree/serial-number", "1a2b\0")) == "1a2b"


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("living-room", "living-room-abcdef12"),
        ("Living_Room", "living_room-abcdef12"),
        ("pi.home.arpa", "pi-abcdef12"),
        ("raspberrypi", "raspberrypi-abcdef12"),
        ("k\u00fcche 1", "k-che-1-abcdef12"),
        (".", "localhost-abcdef12"),
        ("x" * 200, "x" * 119 + "-abcdef12"),
    ],
)
def test_the_default_name_is_legal_and_tells_boards_apart(
    tmp_path: Path, hostname: str, name: str
) -> None:
    """The host name without its domain, and always the end of the serial number."""
    put(tmp_path, "proc/device-tree/serial-number", "10000000abcdef12\0")
    assert board.default_name(hostname, root=tmp_path) == name


def test_a_board_without_any_number_keeps_its_host_name(tmp_path: Path) -> None:
    """There is nothing to add."""
    assert board.default_name("raspberrypi.local", root=tmp_path) == "raspberrypi"
    assert board.default_name("x" * 200, root=tmp_path) == "x" * 128


def test_this_machine_has_a_name() -> None:
    """The real host name is read without being told."""
    assert board.default_name()
