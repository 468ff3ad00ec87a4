"""The uplink wakes for a record and for its PUBACK, and has the figures shown once, behind both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.model import NewRecord
from tests.unit.path.device import Device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """Online, with nothing to do."""
    device = Device(tmp_path, five=True, window=4, per_s=100, commit_after_s=0, max_rows=1000)
    device.start(lambda: None)
    for _ in range(8):
        device.turns.go_on()
    yield device
    device.stop()


def keep(device: Device, number: int) -> None:
    """Keep so many records, and say so once, as the sampler does at the end of a step."""
    for _ in range(number):
        now = device.clock.now()
        device.store.append(NewRecord("sensors/room", now.wall_s, now))
    assert device.uplink.records_wait()


@pytest.mark.parametrize("number", [1, 3])
def test_a_burst_is_shown_once_when_it_has_arrived(device: Device, number: int) -> None:
    """One wait for the records, one for the answers, and then the uplink rests."""
    told: list[str] = []
    device.health._on_rest = lambda: told.append("shown")
    device.waiting = lambda: told.append("waits")
    for _ in range(3):
        keep(device, number)
        told.clear()
        device.turns.go_on()
        device.turns.go_on()
        assert told == ["waits", "shown", "waits"]
        assert device.store.queued == 0


def test_a_broker_that_keeps_silent_keeps_no_figures_back(device: Device) -> None:
    """They are shown within the second, by whatever wakes the uplink."""
    told: list[float] = []
    device.broker.silent = True
    device.health._on_rest = lambda: told.append(device.clock.boot_s())
    began_s = device.clock.boot_s()
    for _ in range(8):
        keep(device, 1)
        device.turns.go_on()
        device.clock.pass_by(0.25)
    assert told
    assert 1.0 <= told[0] - began_s <= 1.5


def test_a_late_puback_keeps_the_figures_back_for_a_second(device: Device) -> None:
    """A single reading is shown as waiting then, with nothing else that wakes the uplink."""
    told: list[float] = []
    device.broker.silent = True
    device.health._on_rest = lambda: told.append(device.clock.boot_s())
    began_s = device.clock.boot_s()
    keep(device, 1)
    while device.clock.boot_s() < began_s + 10.0:
        device.turns.go_on()
    assert [round(at_s - began_s, 2) for at_s in told] == [1.0]


def test_who_is_offline_is_not_woken_by_records(device: Device) -> None:
    """The sampler is told so, and shows the figures."""
    device.broker.down = device.broker.cut = True
    while not device.offline:
        device.turns.go_on()
    assert not device.uplink.records_wait()
    assert not device.wakeup.wait(0.0)
    device.broker.down = device.broker.cut = False
