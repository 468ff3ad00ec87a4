"""Validation: a record is judged where it is read from the file, whose cells may have changed.

What passes can be published by any broker; what does not is set aside, and the queue goes on.
"""

from __future__ import annotations

from contextlib import suppress

from agent.model import (
    PAYLOAD_MAX,
    RESERVED,
    Moment,
    NewRecord,
    Record,
    decode,
    encode,
    is_kind,
    is_time,
)
from agent.store.timestamps import stamped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json
    from agent.store.timestamps import Boot

#: A record as the file has it; what a spoiled one has in a column may be of any type.
Row = tuple[int, str, float, bytes, float, float, str]
COLUMNS = "seq, kind, timestamp_s, body, wall_s, boot_s, boot_id"

#: A text up to here makes no payload that is too large, however its numbers are written.
_SHORT = PAYLOAD_MAX // 8


def validated(row: Row, epoch: str, boots: Mapping[str, Boot]) -> Record:
    """The record in a row, stamped. Raises ValueError that says why no broker could take it."""
    seq, kind, timestamp_s, text, wall_s, boot_s, boot_id = row
    if not is_kind(kind):
        raise ValueError("its topic is spoiled")
    try:
        new = NewRecord(kind, timestamp_s, Moment(wall_s, boot_s, boot_id), decode(text))
    except (ValueError, AttributeError) as error:  # it may be no text at all
        raise ValueError("its body is spoiled") from error
    times = is_time(timestamp_s) and is_time(wall_s) and is_time(boot_s)
    stamp_s, body = stamped(new, boots) if times else (-1.0, new.body)
    if not (is_time(stamp_s) and isinstance(boot_id, str)):
        raise ValueError("its times are spoiled")
    if body is not new.body or not _spliceable(text, body):
        text = encode({name: value for name, value in body.items() if name not in RESERVED})
    record = Record(epoch, seq, kind, stamp_s, text)
    if len(text) > _SHORT and len(record.payload()) > PAYLOAD_MAX:
        raise ValueError("its payload is larger than the broker takes")
    return record


def sound(row: Row, epoch: str, boots: Mapping[str, Boot]) -> Record | None:
    """The record in a row, None if no broker could take it."""
    with suppress(ValueError):
        return validated(row, epoch, boots)
    return None


def shown(row: Row, epoch: str, boots: Mapping[str, Boot]) -> Record:
    """The record in a row for a person to see: without a body if it is none that can be sent."""
    timestamp_s = row[2] if is_time(row[2]) else 0.0
    bare = Record(epoch, row[0], plain(row[1]), timestamp_s, b"{}")
    return sound(row, epoch, boots) or bare


def plain(value: object) -> str:
    """A spoiled text on one line of printable ASCII, cut to a fair length."""
    start = value[:80] if isinstance(value, str | bytes) else value
    sound = isinstance(start, str) and start.isascii() and start.isprintable()
    return str(start) if sound else ascii(start)[:80]


def _spliceable(text: bytes, body: Mapping[str, Json]) -> bool:
    """True for a text that can be put into a payload as it is, as `encode` writes nearly all.

    It has one level, no white space, and no name twice or of `RESERVED`: each name, and some words,
    end with a quotation mark and a colon.
    """
    names = text.count(b'":')
    return names == len(body) and text.split() == [text] and RESERVED.isdisjoint(body)
