"""The open windows, mirrored to a file that outlives the process: a crash loses no detection.

The file lies in the runtime directory: written with each detection, it costs the card nothing, and
it is gone after a power cut, as it should be. A window has a name, which the store notes when it is
reported: so it is reported once. Nothing is ever raised.
"""

from __future__ import annotations

from contextlib import suppress

from agent import files
from agent.model import COUNT, DAY_S, MIB, Moment, NewRecord, decode, encode, is_time
from agent.sampling.counting import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from agent.model import Json

#: The file in the runtime directory.
MIRROR = "window.json"

#: More bytes than it ever has.
SIZE_MAX = MIB

#: The numbers of a count's body.
NUMBERS = ("detect_count", "active_ms", "observed_ms", "next_by", "lost_edges", "test_count")


def mirror(runtime: Path, reports: Iterable[Report], facts: Mapping[str, Json]) -> None:
    """Keep what would be reported of open windows that somebody has watched, and `facts`."""
    entries: list[Json] = []
    for one in reports:
        record, at = one.record, one.record.moment
        moment: list[Json] = [record.timestamp_s, at.wall_s, at.boot_s, at.boot_id]
        if one.watched:
            seen: Json = [*one.seen_boot_s] if one.seen_boot_s else None
            body = dict(record.body)
            entries.append({"window": one.window, "moment": moment, "seen": seen, "body": body})
    with suppress(OSError):  # the windows are in memory all the same
        if entries or facts:
            files.replace(
                runtime / MIRROR, encode({"windows": entries, "facts": dict(facts)}), durable=False
            )
        else:
            (runtime / MIRROR).unlink(missing_ok=True)


def open_windows(runtime: Path, reported: str = "") -> list[Report]:
    """The windows that a process before this one had open, after the one `reported`."""
    windows = _mirrored(runtime).get("windows")
    kept = [*map(_report, windows)] if isinstance(windows, list) else []
    found = [report for report in kept if report]
    if len(found) < len(kept):
        return []
    names = [report.window for report in found]
    return found[names.index(reported) + 1 :] if reported in names else found


def mirrored_facts(runtime: Path) -> dict[str, Json]:
    """The facts that a process before this one had kept beside its windows; empty if none."""
    facts = _mirrored(runtime).get("facts")
    return facts if isinstance(facts, dict) else {}


def _mirrored(runtime: Path) -> dict[str, Json]:
    """Content of the file; nothing where there is none, or it is spoiled."""
    try:
        return decode(files.read(runtime / MIRROR, limit=SIZE_MAX))
    except (OSError, ValueError):
        return {}


def _report(kept: Json) -> Report | None:
    """The report of a window that was mirrored, None where anything in it cannot be."""
    if not isinstance(kept, dict):
        return None
    window, body, seen = kept.get("window"), kept.get("body"), kept.get("seen")
    if not (isinstance(window, str) and isinstance(body, dict) and _is_count(body)):
        return None
    span = _span(seen)
    match kept.get("moment"):
        case [timestamp_s, wall_s, boot_s, str() as boot_id] if (
            is_time(timestamp_s) and is_time(wall_s) and is_time(boot_s) and (span or not seen)
        ):
            moment = Moment(float(wall_s), float(boot_s), boot_id)
            return Report(
                window, NewRecord(COUNT, float(timestamp_s), moment, body), seen_boot_s=span
            )
    return None


def _is_count(body: Mapping[str, Json]) -> bool:
    """True where each number of a count can be."""
    window_s, known = body.get("window_s", DAY_S), body.get("detect_count", "")
    numbers = (body[name] for name in NUMBERS if body.get(name) is not None)
    return (
        (known is None or isinstance(known, int))
        and isinstance(window_s, int)
        and 0 < window_s <= DAY_S
        and all(map(is_time, numbers))
    )


def _span(kept: Json) -> tuple[float, float] | None:
    """The times of the first and the last detection."""
    match kept:
        case [first_s, last_s] if is_time(first_s) and is_time(last_s):
            return float(first_s), float(last_s)
    return None
