"""An SOS button and its LED at the kernel's own lines, from the press to the broker and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.agent_process import AgentProcess
from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hardware.chips import Chip

BUTTON, LED = 5, 6
PRESS_S = 0.2  # longer than the debounce time
FLASH_S = 1.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS on loopback."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


def seen(chip: Chip) -> set[bool]:
    """The levels of the LED over some flashes, and longer than presses are one call."""
    levels, until_s = set(), time.monotonic() + 2.5 * FLASH_S
    while time.monotonic() < until_s:
        levels.add(chip.high(LED))
        time.sleep(0.05)
    return levels


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until it is so."""
    until_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_press_blinks_until_it_has_arrived_ahead_of_all(
    cloud: LocalAws, chip: Chip, tmp_path: Path
) -> None:
    """Lit while connected, dark without, blinking for a call, steady once that has arrived."""
    button = {
        "name": "button",
        "driver": "gpio",
        "pin": BUTTON,
        "active": "low",
        "role": "sos",
        "led_pin": LED,
        "led_night": "off",
    }
    room = {"name": "room", "driver": "simulated", "interval_s": 0.5}
    name = tmp_path.name
    toml = cloud.agent_toml(tmp_path, name=name, sensors=[button, room], mqtt={"backoff_max_s": 60})
    with AgentProcess(cloud, tmp_path, toml=toml) as agent:
        agent.start().wait_online()
        wait_until(lambda: chip.high(LED))

        cloud.broker.stop()
        agent.wait_status(lambda status: status["state"] != "online")
        wait_until(lambda: not chip.high(LED))
        agent.wait_status(lambda status: status["queued"] >= 4)
        cloud.observer.clear()
        chip.pulse(BUTTON, for_s=PRESS_S, low=True)
        condition = agent.wait_condition("sos-waiting")
        assert condition["severity"] == "error"
        assert condition["text"].startswith("button: it was pressed at ")
        assert seen(chip) == {True, False}

        cloud.broker.start()
        chip.pulse(BUTTON, for_s=PRESS_S, low=True)  # ends the wait for the next attempt
        agent.wait_status(lambda status: not status["conditions"])
        assert seen(chip) == {True}
        assert agent.stop() == 0
        assert not chip.high(LED)
    records = [one for one in cloud.observer.messages(f"{name}/#") if b'"seq"' in one.payload]
    calls = [one.json() for one in records if one.topic == f"{name}/events"]
    assert records[0].topic == f"{name}/events"
    assert {(one["event"], one["sensor"]) for one in calls} == {("sos", "button")}
    assert len({one["seq"] for one in calls}) == 2
