"""The values that travel from a sensor to the cloud.

All are frozen. Times are seconds: `wall_s` since the epoch, `boot_s` since the machine started
(CLOCK_BOOTTIME, which no one can set).
"""

from __future__ import annotations

import json
import math
import re

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeGuard

#: Values that a JSON payload of ours may hold.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

COUNT = "count"

#: Names in a payload that are the record's own, and none of its body.
RESERVED = frozenset({"Timestamp", "epoch", "seq"})

#: Units of time in seconds, of memory in bytes.
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
KIB, MIB = 1024, 1_048_576

#: The largest payload that AWS IoT takes.
PAYLOAD_MAX = 128 * KIB

#: No time is later, in the year 9892: calendars end with 9999.
LATEST_S = 2.5e11

#: More levels of JSON than anybody reads, and fewer than Python can.
DEPTH_MAX = 64

#: Levels of a topic below the thing's name, each as a sensor may be called; with the longest name
#: of a thing they make the longest topic that AWS IoT takes, 256 bytes and 8 levels.
_KIND = re.compile(r"(?=.{1,127}\Z)[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,6}")

#: Consumers wait for the next count a tenth of a window longer than it takes, but at least this.
GRACE_MIN_S = 10.0


class Moment(Value):
    """One instant on both clocks, and the boot that `boot_s` counts from."""

    wall_s: float
    boot_s: float
    boot_id: str


class Reading(Value):
    """Quantities of one sensor at one moment, in base units, named with their unit.

    A few values are words that say what the device is, such as its model.
    """

    sensor: str
    values: Mapping[str, float | str]
    moment: Moment


class NewRecord(Value):
    """A message for the cloud that has no number yet.

    `kind` is its topic below the thing's name (`count`, `sensors/room`), `timestamp_s` what its
    `Timestamp` says, `body` its other fields.
    """

    kind: str
    timestamp_s: float
    moment: Moment
    body: Mapping[str, Json] = {}


class Record(Value):
    """A message that the store has numbered: `epoch` and `seq` name it for ever.

    `text` is its body, without `RESERVED` names, as `encode` writes it.
    """

    epoch: str
    seq: int
    kind: str
    timestamp_s: float
    text: bytes

    @property
    def body(self) -> dict[str, Json]:
        """The fields that are its own."""
        return decode(self.text)

    def topic(self, thing: str) -> str:
        """The MQTT topic it belongs on."""
        return f"{thing}/{self.kind}"

    def payload(self) -> bytes:
        """The JSON text, as consumers see it: that of the body between its time and its name."""
        begin = f'{{"Timestamp":{plain_number(self.timestamp_s)}'.encode()
        end = f'"epoch":"{self.epoch}","seq":{self.seq}}}'.encode()
        return b",".join(filter(None, (begin, self.text[1:-1], end)))


def reading_record(reading: Reading) -> NewRecord:
    """The record that reports `reading` on `<thing>/sensors/<name>`."""
    return NewRecord(
        kind=f"sensors/{reading.sensor}",
        timestamp_s=round(reading.moment.wall_s, 3),
        moment=reading.moment,
        body=dict(reading.values),
    )


def encode(value: Mapping[str, Json]) -> bytes:
    """Compact UTF-8 JSON. Raises ValueError for NaN and all else that JSON does not have."""
    try:
        text = _encoder.encode(value)
    except RecursionError:
        raise ValueError("JSON that is too deep") from None
    return text.encode()


def decode(text: bytes) -> dict[str, Json]:
    """The object in a JSON text. Raises ValueError for what `encode` could not write again."""
    try:
        value = _decoder.decode(text.decode())
        # Our own texts have neither, so that this costs nothing.
        if b"\\u" in text or text.count(b"[") + text.count(b"{") > DEPTH_MAX:
            if _depth(value) > DEPTH_MAX:
                raise ValueError("JSON that is too deep")
            encode(value)
    except RecursionError:
        raise ValueError("JSON that is too deep") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 -- as the others
    return value


def is_kind(value: object) -> bool:
    """True for the kind of a record, whose topic any broker takes."""
    return isinstance(value, str) and _KIND.fullmatch(value) is not None


def is_time(value: object) -> TypeGuard[float]:
    """True for a time that can be: finite, and not later than calendars go."""
    return isinstance(value, float | int) and 0 <= value <= LATEST_S


def plain_number(value: float) -> int | float:
    """The same number, as an integer where it is one: 1795500600.0 reads 1795500600."""
    return int(value) if float(value).is_integer() else value


def next_by(end_s: float, window_s: float) -> int | float:
    """Wall time by which a consumer has the count of the window after the one ending at `end_s`."""
    return plain_number(end_s + window_s + max(GRACE_MIN_S, window_s / 10))


def moved_window(
    ended_s: float, body: Mapping[str, Json], slack_s: float
) -> tuple[float, dict[str, Json]]:
    """End and body of a count whose window, by a clock that was set since, ended at `ended_s`.

    It is reported for the aligned window that it is nearest to. One that fits there by no better
    than `slack_s` is `partial`, so that consumers add it to its neighbour. It has been quiet for as
    long, and so the last detection moves along.
    """
    window_s, moved, end_s = body.get("window_s"), dict(body), round(ended_s, 3)
    if isinstance(window_s, int) and 0 < window_s <= LATEST_S:
        end_s = math.floor(ended_s / window_s + 0.5) * window_s
        moved["next_by"] = next_by(end_s, window_s)
        if abs(end_s - ended_s) > slack_s and body.get("quality") == "ok":
            moved["quality"] = "partial"
    if is_time(quiet_for_s := body.get("quiet_for_s")):
        moved["last_detection"] = plain_number(round(end_s - quiet_for_s, 3))
    return end_s, moved


def _depth(value: Json) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"no number of JSON: {text:.20}")
    return value


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
