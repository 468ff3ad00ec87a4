"""Validation: a record is judged where it is read from the file, whose cells may have changed.

What passes can be published by any broker; what does not is set aside, and the queue goes on.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from agent.model import KIB, Json, Moment, NewRecord, Record
from agent.store.timestamps import LATEST_S, stamped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.store.timestamps import Boot

#: A record as the file has it; what a spoiled one has in a column may be of any type.
Row = tuple[int, str, float, bytes, float, float, str]
COLUMNS = "seq, kind, timestamp_s, body, wall_s, boot_s, boot_id"

#: Levels of a topic below the thing's name, each as a sensor may be called; with the longest name
#: of a thing they make the longest topic that AWS IoT takes, 256 bytes and 8 levels.
_KIND = re.compile(r"[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,6}")
KIND_MAX = 127

#: The largest payload that AWS IoT takes.
PAYLOAD_MAX = 128 * KIB

#: A text up to here makes no payload that is too large, however its numbers are written.
_SHORT = PAYLOAD_MAX // 8

#: More levels of JSON than anybody reads, and fewer than Python can.
DEPTH_MAX = 64

_TIMES = "its times are spoiled"
_BODY = "its body is spoiled"


def validated(row: Row, epoch: str, boots: Mapping[str, Boot]) -> Record:
    """The record in a row, stamped. Raises ValueError that says why no broker could take it."""
    seq, kind, timestamp_s, text, wall_s, boot_s, boot_id = row
    if not isinstance(kind, str) or len(kind) > KIND_MAX or not _KIND.fullmatch(kind):
        raise ValueError("its topic is spoiled")
    if not (is_time(timestamp_s) and is_time(wall_s) and is_time(boot_s)):
        raise ValueError(_TIMES)
    if not isinstance(boot_id, str):
        raise ValueError(_TIMES)  # noqa: TRY004 -- all that is spoiled is a ValueError
    new = NewRecord(kind, timestamp_s, Moment(wall_s, boot_s, boot_id), _body(text))
    record = Record(epoch, seq, kind, *stamped(new, boots))
    if not 0 <= record.timestamp_s <= LATEST_S:
        raise ValueError(_TIMES)
    if len(text) > _SHORT and len(record.payload()) > PAYLOAD_MAX:
        raise ValueError("its payload is larger than the broker takes")
    return record


def shown(row: Row, epoch: str, boots: Mapping[str, Boot]) -> Record:
    """The record in a row for a person to see: without a body if it is none that can be sent."""
    try:
        return validated(row, epoch, boots)
    except ValueError:
        timestamp_s = row[2] if is_time(row[2]) else 0.0
        return Record(epoch, row[0], plain(row[1]), timestamp_s, {})


def plain(value: object) -> str:
    """A spoiled text on one line of printable ASCII, cut to a fair length."""
    start = value[:80] if isinstance(value, str | bytes) else value
    sound = isinstance(start, str) and start.isascii() and start.isprintable()
    return str(start) if sound else ascii(start)[:80]


def is_time(value: object) -> bool:
    """True for a time that can be: finite, and not later than calendars go."""
    return isinstance(value, float) and 0 <= value <= LATEST_S


def _body(text: object) -> dict[str, Json]:
    """The object in a JSON text. Raises ValueError if it cannot be written as JSON again."""
    if not isinstance(text, bytes):
        raise ValueError(_BODY)  # noqa: TRY004 -- as above
    try:
        body = _decoder.decode(text.decode())
        # Our own texts have neither, so that this costs nothing.
        if b"\\u" in text or text.count(b"[") + text.count(b"{") > DEPTH_MAX:
            json.dumps(body, ensure_ascii=False).encode()
            shallow = _depth(body) <= DEPTH_MAX
        else:
            shallow = True
    except (ValueError, RecursionError) as error:
        raise ValueError(_BODY) from error
    if not (shallow and isinstance(body, dict)):
        raise ValueError(_BODY)
    return body


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


def _refused(text: str) -> float:
    raise ValueError(text)


_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_refused)
