"""The values that travel from a sensor to the cloud.

All are frozen. Times are seconds: `wall_s` since the epoch, `boot_s` since the machine started
(CLOCK_BOOTTIME, which no one can set).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Values that a JSON payload of ours may hold.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

COUNT = "count"

#: Units of time in seconds, of memory in bytes.
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
KIB, MIB = 1024, 1_048_576

#: Consumers wait for the next count a tenth of a window longer than it takes, but at least this.
GRACE_MIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks, and the boot that `boot_s` counts from."""

    wall_s: float
    boot_s: float
    boot_id: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Quantities of one sensor at one moment, in base units, named with their unit.

    A few values are words that say what the device is, such as its model.
    """

    sensor: str
    values: Mapping[str, float | str]
    moment: Moment


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A message for the cloud that has no number yet.

    `kind` is its topic below the thing's name (`count`, `sensors/room`), `timestamp_s` what its
    `Timestamp` says, `body` its other fields.
    """

    kind: str
    timestamp_s: float
    moment: Moment
    body: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A message that the store has numbered: `epoch` and `seq` name it for ever."""

    epoch: str
    seq: int
    kind: str
    timestamp_s: float
    body: Mapping[str, Json]

    def topic(self, thing: str) -> str:
        """The MQTT topic it belongs on."""
        return f"{thing}/{self.kind}"

    def payload(self) -> bytes:
        """The JSON text, as consumers see it."""
        return encode(
            {
                "Timestamp": plain_number(self.timestamp_s),
                **self.body,
                "epoch": self.epoch,
                "seq": self.seq,
            }
        )


def reading_record(reading: Reading) -> NewRecord:
    """The record that reports `reading` on `<thing>/sensors/<name>`."""
    return NewRecord(
        kind=f"sensors/{reading.sensor}",
        timestamp_s=round(reading.moment.wall_s, 3),
        moment=reading.moment,
        body=dict(reading.values),
    )


def encode(value: Mapping[str, Json]) -> bytes:
    """Compact UTF-8 JSON. Raises ValueError for NaN and infinities, which JSON does not have."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def plain_number(value: float) -> int | float:
    """The same number, as an integer where it is one: 1795500600.0 reads 1795500600."""
    return int(value) if float(value).is_integer() else value


def next_by(end_s: float, window_s: float) -> int | float:
    """Wall time by which a consumer has the count of the window after the one ending at `end_s`."""
    return plain_number(end_s + window_s + max(GRACE_MIN_S, window_s / 10))
