"""The tests run inside the kernel of scripts/test-hardware, and are skipped anywhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.hardware import i2c, onewire
from tests.hardware.chips import Chip
from tests.hardware.machine import loopback_up

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """A machine whose hardware is simulated, with loopback up."""
    if "HARDWARE_MODULES" not in os.environ:
        pytest.skip("there is no simulated hardware here: use scripts/test-hardware")
    loopback_up()


@pytest.fixture
def chip() -> Iterator[Chip]:
    """The GPIO chip of a Raspberry Pi 4."""
    with Chip() as plugged:
        yield plugged


@pytest.fixture
def i2c_bus() -> Iterator[i2c.Bus]:
    """An I2C bus that answers."""
    bus = i2c.Bus()
    bus.fail(0)
    yield bus
    bus.fail(0)


@pytest.fixture
def thermometers() -> Iterator[onewire.Bus]:
    """A 1-Wire bus with two thermometers, both well."""
    bus = onewire.Bus()
    yield bus
    bus.set()
    bus.wait(onewire.COUNT)
