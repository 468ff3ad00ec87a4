"""Arrival: waits until AWS has acknowledged the first record of an agent that was just started."""

from __future__ import annotations

import time
from contextlib import suppress

from agent.cli.output import tell
from agent.cli.status import MOST_TOLD, UnreadableError, conditions_of, read_status
from agent.config import detects
from agent.errors import EXIT_OK, EXIT_TEMPORARY
from agent.health.conditions import INFO
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.model import Json

#: Longest wait for a record that is due at once, and for one from the time on that it is due.
PATIENCE_S = 90.0
LATE_S = 30.0

EVERY_S = 0.5


class Expected(Value):
    """The first record of a start: what it is ("" for none), and the wall time when it is due."""

    what: str
    due_s: float


def expected(config: Config, now_s: float) -> Expected:
    """The record that comes first: a reading at once, else a count at the end of its window."""
    counted = {one.name for one in config.sensors if one.name in config.count.sensor}
    silent = {one.name for one in config.sensors if detects(one) and one.interval_s is None}
    calls = {one.name for one in config.sensors if one.sos and one.interval_s is None}
    if {one.name for one in config.sensors} - (counted & silent) - calls:
        return Expected("reading", now_s)
    if counted:
        window_s = config.count.window_s
        return Expected("count", (now_s // window_s + 1) * window_s)
    return Expected("", now_s)


class Arrival:
    """A wait that tells each step with its time.

    `previous` is the process id of the agent that was there before, whose report does not count.
    Seconds are those of `monotonic_s`.
    """

    def __init__(
        self,
        config: Config,
        *,
        previous: Json = None,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._previous = previous
        self._wall_s, self._monotonic_s, self._sleep = wall_s, monotonic_s, sleep
        self._began_s = monotonic_s()
        self._first = expected(config, wall_s())
        self._status: dict[str, Json] = {}

    def wait(self, *, limit_s: float, patience_s: float = PATIENCE_S) -> int:
        """Wait until the first record has been acknowledged; the exit code.

        A count that is due later than in `limit_s` is not awaited: then being online is enough.
        EXIT_TEMPORARY, and what is wrong told, if it does not come in time, which is `patience_s`
        for what is due at once. Ctrl-C ends the wait.
        """
        due_in_s = self._first.due_s - self._wall_s()
        awaited = bool(self._first.what) and due_in_s <= limit_s
        until_s = self._began_s + (due_in_s + LATE_S if due_in_s > 0 and awaited else patience_s)
        try:
            online = self._until(lambda status: status.get("state") == "online", until_s)
            if online:
                tell(f"online, {self._took_s():.1f} s")
                self._tell_due(awaited=awaited)
                if not awaited or self._until(_acknowledged, until_s):
                    if awaited:
                        self._tell_acknowledged()
                    self._tell_conditions()
                    return EXIT_OK
        except KeyboardInterrupt:
            tell("The agent goes on by itself.")
            return EXIT_OK
        self._complain(online=online)
        return EXIT_TEMPORARY

    def _until(self, fits: Callable[[dict[str, Json]], bool], until_s: float) -> bool:
        """Wait for a report that fits; True if it came in time."""
        while True:
            with suppress(UnreadableError):  # not yet
                status = read_status(self._config.paths) or {}
                if status.get("pid") != self._previous:
                    self._status = status
            if fits(self._status):
                return True
            if self._monotonic_s() >= until_s:
                return False
            self._sleep(EVERY_S)

    def _tell_due(self, *, awaited: bool) -> None:
        if not self._first.what:
            tell("No sensor is configured, so there is nothing to send but the agent's own state.")
        elif self._first.what == "count" and not _acknowledged(self._status):
            due = time.strftime("%H:%M:%S", time.localtime(self._first.due_s))
            window_s = self._config.count.window_s
            end = "; Ctrl-C ends the wait, not the agent" if awaited else ""
            tell(f"the first count is due at {due}, at the end of a window of {window_s} s{end}")

    def _tell_acknowledged(self) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(self._wall_s()))
        tell(f"first {self._first.what} acknowledged {at}, {self._took_s():.1f} s")

    def _complain(self, *, online: bool) -> None:
        what = "no record has been acknowledged" if online else "the agent is not online"
        tell(f"After {self._took_s():.0f} s {what} yet. All is configured, and it goes on trying.")
        self._tell_conditions(also="" if online else "offline")
        tell("See `pi-iot-agent status`, `sudo pi-iot-agent doctor`, `journalctl -u pi-iot-agent`.")

    def _tell_conditions(self, *, also: str = "") -> None:
        """Tell what a person should do something about: a count may say that its sensor fails.

        A mere note is told if its code is `also`: being offline is none for five minutes.
        """
        standing = conditions_of(self._status)
        told = [one for one in standing if one.get("severity") != INFO or one.get("code") == also]
        for condition in told[:MOST_TOLD]:
            tell(f"{condition.get('code')}: {condition.get('text')}")
            tell(f"  hint: {condition.get('hint')}")

    def _took_s(self) -> float:
        return self._monotonic_s() - self._began_s


def _acknowledged(status: dict[str, Json]) -> bool:
    acked = status.get("acked")
    return isinstance(acked, int) and acked > 0
