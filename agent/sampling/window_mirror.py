"""The open windows, mirrored to a file that outlives the process: a crash loses no detection.

The file lies in the runtime directory: written with each detection, it costs the card nothing, and
it is gone after a power cut, as it should be. A window has a name, which the store notes when it is
reported: so it is reported once. Nothing is ever raised.
"""

from __future__ import annotations

import json
from contextlib import suppress

from agent import files
from agent.model import COUNT, Moment, NewRecord, encode
from agent.sampling.counting import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from agent.model import Json

#: The file in the runtime directory.
MIRROR = "window.json"


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
    found: list[Report] = []
    try:
        for kept in json.loads((runtime / MIRROR).read_bytes())["windows"]:
            timestamp_s, wall_s, boot_s, boot_id = kept["moment"]
            moment = Moment(float(wall_s), float(boot_s), str(boot_id))
            record = NewRecord(COUNT, float(timestamp_s), moment, dict(kept["body"]))
            int(record.body["detect_count"] or 0)  # type: ignore[arg-type]  # to be seen
            seen = kept.get("seen")  # an agent before this one has kept none
            span = (float(seen[0]), float(seen[1])) if seen else None
            found.append(Report(str(kept["window"]), record, seen_boot_s=span))
    except (OSError, ValueError, TypeError, LookupError):
        return []
    names = [report.window for report in found]
    return found[names.index(reported) + 1 :] if reported in names else found


def mirrored_facts(runtime: Path) -> dict[str, Json]:
    """The facts that a process before this one had kept beside its windows; empty if none."""
    try:
        facts = json.loads((runtime / MIRROR).read_bytes())["facts"]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return facts if isinstance(facts, dict) else {}
