"""`status`: what the running agent reports, in sentences or as JSON."""

from __future__ import annotations

import json
import sys
import time

from agent import files
from agent.cli.main import COMMANDS, settings
from agent.cli.output import PROGRAM
from agent.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, AgentError
from agent.health.conditions import INFO
from agent.model import DAY_S, HOUR_S, KIB, MIB, MINUTE_S, is_time
from agent.updates import DIRECTORY, on_trial, pending_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import TypeGuard

    from agent.cli.main import Subparsers
    from agent.config import Paths
    from agent.model import Json

EXIT_NOT_RUNNING = 3

NOT_RUNNING, START_HINT = "not running", "start it with `sudo systemctl start pi-iot-agent`"

#: The agent writes its status every 75 s at least; one that is older tells of another time.
STALE_S = 180.0
STALE_HINT = "see `df /run` and `journalctl -u pi-iot-agent`"

#: More than any number of sensors needs.
LONGEST = 16 * MIB

#: More conditions than stand at once for any cause but a hostile one.
MOST_TOLD = 20

#: Beyond any time in seconds and any size in bytes that a status tells.
HUGE = 1e18


NEVER = "never"


class UnreadableError(AgentError):
    """The agent runs, but its status cannot be read."""


class ForbiddenError(UnreadableError):
    """The status may not be read by this user."""

    exit_code = EXIT_REFUSED


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("status", help=COMMANDS["status"], description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the agent's status.json")


def run(arguments: argparse.Namespace, *, updates: Path = DIRECTORY) -> int:
    """Print the status: 0 healthy, 1 degraded, 3 not running. Raises UnreadableError.

    `updates` is the directory of root's notes on them.
    """
    paths = settings(arguments).paths
    status = read_status(paths)
    trial = trial_of(updates, str(status.get("version")) if status else "")
    if status is None:
        print(f"{PROGRAM}: {NOT_RUNNING}; nobody holds {paths.lock_file}", file=sys.stderr)
        print(f"hint: {trial or START_HINT}", file=sys.stderr)
        return EXIT_NOT_RUNNING
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(sentences(status, time.time(), trial=trial)))
    if old := stale(status, paths.status_file, time.time()):
        print(f"{PROGRAM}: {old}\nhint: {STALE_HINT}", file=sys.stderr)
    return EXIT_FAILURE if old or degraded(status) else EXIT_OK


def trial_of(updates: Path = DIRECTORY, running: str = "") -> str:
    """A version that has to prove itself, for a person; "" for none.

    `updates` has the notes; `running` is the version that runs, as far as it is known.
    """
    pending = pending_of(updates)
    return "; ".join(on_trial(pending, running)) if pending else ""


def stale(status: Mapping[str, Json], path: Path, now_s: float) -> str:
    """The complaint about a status that is old by now; empty for a fresh one."""
    written_s = status.get("written")
    if _is_number(written_s) and now_s - written_s > STALE_S:
        return f"this is as of {ago(written_s, now_s)}; the agent cannot write {path}"
    return ""


def read_status(paths: Paths) -> dict[str, Json] | None:
    """The last status of the agent that works in `paths`; None if it does not run.

    Raises UnreadableError.
    """
    path = paths.status_file
    try:
        if not files.is_locked(paths.lock_file):
            return None
        status = json.loads(files.read(path, limit=LONGEST))
        json.dumps(status, indent=2, allow_nan=False)  # whoever writes it may be hostile
    except FileNotFoundError:
        raise UnreadableError(
            f"{path}: the agent runs and has not reported yet",
            hint="try again in some seconds; if this lasts, see `journalctl -u pi-iot-agent`",
        ) from None
    except PermissionError as error:
        raise ForbiddenError(
            f"{error.filename}: may not be read by this user", hint="run this with sudo"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}",
            hint="see `journalctl -u pi-iot-agent`",
        ) from None
    if not isinstance(status, dict):
        raise UnreadableError(f"{path}: is not a report of the agent", hint="restart the agent")
    return status


def degraded(status: dict[str, Json]) -> bool:
    """True if a person should do something: a condition of a warning or worse stands."""
    return any(condition.get("severity") != INFO for condition in conditions_of(status))


def sentences(status: dict[str, Json], now_s: float, *, trial: str = "") -> Iterator[str]:
    """The status for a person, line by line; `now_s` is the wall clock.

    `trial` tells of a version that has to prove itself.
    """
    endpoint = status.get("endpoint") or "no endpoint yet"
    progress = status.get("progress")
    yield f"{status.get('thing')} is {status.get('state')} ({endpoint})"
    if progress:
        yield f"Now: {progress}."
    yield (
        f"{status.get('queued')} queued, {status.get('dropped')} dropped; since the start "
        f"{status.get('published')} published, {status.get('acked')} acknowledged, "
        f"{status.get('confirmed')} confirmed by their echo, as of "
        f"{ago(status.get('written'), now_s)}."
    )
    yield f"Last acknowledgement: {ago(status.get('last_ack'), now_s)}."
    yield f"The running total is {status.get('total')}."
    yield from quiet(status, now_s)
    yield from version(status, now_s)
    if trial:
        yield f"{trial[0].upper()}{trial[1:]}."
    card = status.get("card")
    if isinstance(card, dict) and _is_number(card.get("bytes_per_day")):
        most = f", most of it by {card['most_by']}" if card.get("most_by") else ""
        yield f"Written to the card: {_size(card['bytes_per_day'])} a day{most}."
    sensors = status.get("sensors")
    for name, sensor in sensors.items() if isinstance(sensors, dict) else ():
        if isinstance(sensor, dict):
            how = "works" if sensor.get("ok") else f"fails: {sensor.get('error')}"
            yield f"Sensor {name} {how}; last value: {ago(sensor.get('last'), now_s)}."
    conditions = conditions_of(status)
    for condition in conditions[:MOST_TOLD]:
        severity, code, text = (condition.get(name) for name in ("severity", "code", "text"))
        since_s = condition.get("since")
        lasting = f", for {span(since_s, now_s)}" if _is_number(since_s) else ""
        yield f"{severity}: {code}{lasting}: {text}"
        if hint := condition.get("hint"):
            yield f"  hint: {hint}"
    if (more := len(conditions) - MOST_TOLD) > 0:
        yield f"{more} more conditions: see `pi-iot-agent status --json`"


def quiet(status: Mapping[str, Json], now_s: float) -> Iterator[str]:
    """The time since the last detection, as far as it is known, and how much of it was observed."""
    quiet_s, last_s = status.get("quiet_for_s"), status.get("last_detection")
    observed_s = status.get("quiet_observed_s")
    if not _is_number(quiet_s):
        return
    told = f"Quiet for {lasting(quiet_s)}"
    if _is_number(observed_s):
        told += f", of which {lasting(observed_s)} were observed"
    if _is_number(last_s) and is_time(last_s):
        today = now_s - last_s < DAY_S / 2
        told += time.strftime(
            f"; last detection {'' if today else '%a %-d %b '}%H:%M", time.localtime(last_s)
        )
    yield f"{told}."


def version(status: Mapping[str, Json], now_s: float) -> Iterator[str]:
    """The version that runs, the one that waits, and when updates were last looked for."""
    runs = status.get("version")
    if not isinstance(runs, str):
        return
    told = f"Version {runs} runs"
    if waiting := status.get("version_waiting"):
        told += f"; {waiting} is waiting"
    if _is_number(status.get("updates_since")):
        tried_s, looked_s = status.get("updates_tried"), status.get("updates_looked")
        told += f"; updates were {looked(tried_s, looked_s, status.get('updates_trouble'), now_s)}"
    elif "updates_since" in status:  # which an older version does not tell
        told += "; no updates are set up"
    yield f"{told}."


def looked(tried_s: Json, succeeded_s: Json, trouble: Json, now_s: float) -> str:
    """Last look for updates, as far as it is known; a look that failed is none."""
    last = ago(succeeded_s or None, now_s)
    if trouble:
        last = "no look has succeeded yet" if last == NEVER else f"the last success was {last}"
        return f"looked for {ago(tried_s, now_s)}, in vain: {trouble}; {last}"
    return "not looked for yet" if last == NEVER else f"last looked for {last}"


def lasting(seconds: float) -> str:
    """A span in two units, as 2 h 10 min."""
    minutes, hours = int(seconds) // MINUTE_S, int(seconds) // HOUR_S
    if hours >= 2 * DAY_S // HOUR_S:
        return f"{hours // 24} days {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def ago(moment_s: Json, now_s: float) -> str:
    """Time from `moment_s` to `now_s`, in the unit that a person would choose; "never" for none."""
    return f"{span(moment_s, now_s)} ago" if _is_number(moment_s) else NEVER


def _is_number(value: Json) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < HUGE


def span(moment_s: float, now_s: float) -> str:
    """Time between two moments, in the unit that a person would choose."""
    past_s = max(0, round(now_s - moment_s))
    for unit_s, unit in ((DAY_S, "days"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if past_s >= 2 * unit_s:
            return f"{past_s // unit_s} {unit}"
    return f"{past_s} s"


def _size(size: Json) -> str:
    """Bytes in a unit that a person would choose."""
    amount = float(str(size))
    for unit in ("bytes", "KiB", "MiB"):
        if amount < KIB:
            return f"{amount:.0f} {unit}"
        amount /= KIB
    return f"{amount:.1f} GiB"


def conditions_of(status: Mapping[str, Json]) -> list[dict[str, Json]]:
    """The conditions that stand."""
    conditions = status.get("conditions")
    listed = conditions if isinstance(conditions, list) else []
    return [condition for condition in listed if isinstance(condition, dict)]
