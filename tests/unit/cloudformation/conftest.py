"""Messages as a household's agent publishes them, in good days and in bad ones."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from agent.cli import examples
from agent.config import Count, SensorConfig
from agent.config.rule import Rule
from agent.errors import SensorError
from agent.facts.modes import MODE_FILE, Mode, ModeFile
from agent.model import Reading, reading_record
from agent.value import replace
from tests.fakes import House, config
from tests.unit.cloudformation.iot_sql import Message

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import Json

THING = "living-room"

#: Quantities as boards give them; one with fewer has no Wi-Fi.
READINGS: dict[str, dict[str, float | str]] = {
    "room": {"temperature_c": -1.25, "humidity_pct": 48.7, "pressure_pa": 101325},
    "board": {"disk_used_pct": 28.8, "wifi_signal_dbm": -67.0, "model": "Raspberry Pi 4"},
    "processor": {"temperature_c": 47.236},
}
WIRED: dict[str, float | str] = {"disk_used_pct": 28.8, "model": "Raspberry Pi 4"}

#: What the events are of.
RULES = (
    Rule(name="still", quiet_for_s=10_800),
    Rule(name="warm", sensor="room", quantity="temperature_c", above=30.0),
    Rule(name="cut-off", offline_for_s=3600),
)
_SOS = SimpleNamespace(role="sos", led="")
BUTTONS = (
    SensorConfig(name="button", driver="fake", options=_SOS),
    SensorConfig(name="tried", driver="fake", options=_SOS, test=True),
)

#: What else travels on `<thing>/count`, or may.
COMMANDS: tuple[Json, ...] = (
    {"set": 100, "id": "a"},
    {"reset": True, "id": "b"},
    {"mode": "away", "until": 1_795_600_000, "id": "c"},
    7,
    0,
    None,
    "text",
    [],
    {},
    {"detect_count": None, "observed_ms": None, "quiet_for_s": None, "Timestamp": None},
    {"detect_count": "many", "observed_ms": "none", "Timestamp": "now", "window_s": 600},
    {"detect_count": True, "Timestamp": 1_795_500_600, "window_s": 600},
    {"detect_count": 1},
    {"detect_count": 1, "Timestamp": 1_795_500_600},
    {"temperature_c": "warm", "humidity_pct": None, "Timestamp": 1_795_500_600},
    {"temperature_c": 20},
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> list[Message]:
    """All that one agent leaves in its store, in the order of its numbers."""
    return messages(tmp_path_factory.mktemp("house"))


def messages(directory: Path) -> list[Message]:
    """Messages of an agent whose files are in `directory`."""
    house = _lived(directory)
    records = house.records()
    house.stop()
    assert records
    return [Message(one.topic(THING), json.loads(one.payload())) for one in records]


def _lived(directory: Path) -> House:
    """A house after a good hour, a broken sensor, a restart within a window, and an absence."""
    house = House(directory)
    house.start()
    house.live(1800, detections=3)
    house.detector.trouble = SensorError("no answer")
    house.live(1800)
    house.detector.trouble = None
    house.live(700, detections=2)
    house.stop()
    house.start()
    house.live(1100, detections=1)
    modes = ModeFile(directory / MODE_FILE, house.clock.wall_s)
    modes.set(Mode("away", house.clock.wall_s() + 86_400, house.clock.wall_s(), "command"))
    house.live(1800)
    modes.set(Mode())
    now = house.clock.now()
    late_s = now.wall_s + 0.25
    for sensor, values in [*READINGS.items(), ("board", WIRED)]:
        house.store.append(reading_record(Reading(sensor, values, replace(now, wall_s=late_s))))
    settings = replace(config(directory, *BUTTONS, count=Count()), rules=RULES)
    clock = house.clock
    for one in (
        *examples.events(settings, clock),
        *examples.calls(settings, clock),
        *examples.digests({"room.temperature_c": 20.5}, clock.now()),
    ):
        house.store.append(one)
    return house
