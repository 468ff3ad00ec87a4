"""Devices on a simulated I2C bus: a test writes their registers, the kernel's drivers read them."""

from __future__ import annotations

import ctypes
import fcntl
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hardware import modules

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = "i2c-sim"
# linux/i2c-dev.h and linux/i2c.h: an address that a driver has; a transfer; its sizes.
SLAVE_FORCE, SMBUS = 0x0706, 0x0720
BYTE_DATA, WORD_DATA = 2, 3


class Bus:
    """The bus; its module stays loaded. `Bus.number` is N of /dev/i2c-N."""

    def __init__(self) -> None:
        modules.load(MODULE)
        self._directory = next(
            path
            for path in Path("/sys/bus/i2c/devices").glob("i2c-*")
            if (path / "name").read_text().strip() == MODULE
        )
        self.number = int(self._directory.name.partition("-")[2])

    def write(self, address: int, register: int, *data: int) -> None:
        """Write bytes to one register after the other."""
        for place, byte in enumerate(data, register):
            self._transfer(address, place, BYTE_DATA, bytes([byte]))

    def write_word(self, address: int, register: int, word: int) -> None:
        """Write a register of 16 bits, which a chip sends with the high byte first."""
        self._transfer(address, register, WORD_DATA, struct.pack(">H", word & 0xFFFF))

    def fail(self, number: int, *, register: int = -1) -> None:
        """Answer with this errno from now on, only for `register` if that is given; 0: no more."""
        modules.change(MODULE, fault_register=register, fault=number)

    @contextmanager
    def device(self, driver: str, address: int) -> Iterator[None]:
        """Have one of the kernel's drivers find its chip at an address."""
        (self._directory / "new_device").write_text(f"{driver} {address:#x}")
        try:
            yield
        finally:
            self.remove(address)

    def remove(self, address: int) -> None:
        """Take the device away, if it is there."""
        if (self._directory / f"{self.number}-{address:04x}").exists():
            (self._directory / "delete_device").write_text(f"{address:#x}")

    def _transfer(self, address: int, register: int, size: int, data: bytes) -> None:
        buffer = ctypes.create_string_buffer(data, 34)
        transfer = struct.pack("BBIP", 0, register, size, ctypes.addressof(buffer))
        with Path(f"/dev/i2c-{self.number}").open("rb", buffering=0) as file:
            fcntl.ioctl(file, SLAVE_FORCE, address)
            fcntl.ioctl(file, SMBUS, transfer)
