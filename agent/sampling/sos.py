"""SOS: presses of buttons that call for help, made into records that go ahead of all others.

Loaded only where there is such a button, or a call of one still waits.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress

# Loaded here too, and not when they are needed: while a call waits, an upgrade leaves this process
# alone, beside the files of a new version.
import agent.facts.iso_time
import agent.facts.summary  # noqa: F401
from agent.facts import EVENTS
from agent.health import conditions
from agent.model import HOUR_S, NewRecord
from agent.sampling.lamp import Lamp
from agent.sensors.gpio import open_lamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config, SensorConfig
    from agent.facts import LinkWatch
    from agent.health.health import Health
    from agent.model import Json, Moment
    from agent.sensors.gpio_line import Line
    from agent.store import Store

#: Presses within this time are one call.
ONE_CALL_S = 2.0

#: So many calls wait at most: who presses on says nothing new.
WAITING_MAX = 10

#: A lamp is steady for so long after a call has arrived.
STEADY_S = HOUR_S

log = logging.getLogger(__name__)


class Sos:
    """The buttons of `config`, their lamps, and the condition of calls that wait.

    Belongs to the sampler's thread; what the uplink says of a call comes by the store.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        health: Health,
        link: LinkWatch,
        open_lamp: Callable[..., Line] = open_lamp,
    ) -> None:
        self._store = store
        self._health = health
        self._link = link
        buttons = [one for one in config.sensors if one.sos]
        self._lamps = [
            Lamp(one, health, open_lamp) for one in buttons if getattr(one.options, "led", "")
        ]
        self._called_boot_s: dict[str, float] = {}
        self._full = False
        self._told = 0  # the number of the call that the condition tells of
        self._due_boot_s = -math.inf

    def call(self, button: SensorConfig, now: Moment) -> NewRecord | None:
        """The record of a press; None for one that is the same call, or one too many.

        That one has those that wait tried at once, as any press has.
        """
        if now.boot_s < self._called_boot_s.get(button.name, -math.inf) + ONE_CALL_S:
            return None
        self._called_boot_s[button.name] = now.boot_s
        self._due_boot_s = -math.inf
        full, self._full = self._full, len(self._store.urgent) >= WAITING_MAX
        if self._full:
            if not full:
                log.warning("%s: pressed, while %d calls wait already", button.name, WAITING_MAX)
            self._store.urge()
            return None
        body: dict[str, Json] = {"event": "sos", "sensor": button.name}
        if button.test:
            body["test"] = True
        return NewRecord(EVENTS, round(now.wall_s, 3), now, body)

    def tend(self, now: Moment) -> None:
        """Show how the calls are: by the condition and the lamps."""
        waits = bool(self._store.urgent)
        first = self._store.urgent[0] if waits else 0
        if first != self._told:
            self._told = first
            self._health.stand(conditions.SOS_WAITING, self._text() if waits else "")
        arrived = self._is_recent("sos_arrived", now.wall_s)
        # A call that waits no more and has not arrived was refused for good, or given up.
        works = self._link.state.up and not self._is_recent("sos_pressed", now.wall_s)
        shown = [lamp.show(now, waits=waits, arrived=arrived, works=works) for lamp in self._lamps]
        self._due_boot_s = min(shown, default=math.inf)

    def due_s(self) -> float:
        """The time on the boot clock at which `tend` has something to do; a minute comes anyway."""
        return self._due_boot_s

    def close(self) -> None:
        """Put the lamps out; more than once does no harm."""
        for lamp in self._lamps:
            lamp.close()

    def _is_recent(self, fact: str, wall_s: float) -> bool:
        """True for an hour after the time that `fact` tells, of this process or one before it."""
        with suppress(ValueError):
            return 0 <= wall_s - float(self._store.recall(fact)) < STEADY_S
        return False

    def _text(self) -> str:
        call = self._store.next_urgent(0)
        if not call:
            return "the message of a press has not arrived yet"
        pressed = time.strftime("%H:%M", time.localtime(call.timestamp_s))
        name = call.body.get("sensor")
        return f"{name}: it was pressed at {pressed}, and the message has not arrived yet"
