"""The lamp beside an SOS button: an LED that shows whether the call for help has arrived.

It blinks while a call waits, is steady for an hour once it has arrived, and else by day while there
is a connection: the button works. For an hour after a call that was lost it is dark. Belongs to the
sampler's thread, which it wakes only to blink.
"""

from __future__ import annotations

import logging
import math
import time

from agent.errors import SensorError
from agent.health import conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import SensorConfig
    from agent.health.health import Health
    from agent.model import Moment
    from agent.sensors.gpio_line import Line

#: Half of the time from one flash to the next.
BLINK_S = 0.5

#: A lamp that cannot be had is tried again after so long.
AGAIN_S = 60.0

log = logging.getLogger(__name__)


class Lamp:
    """The LED of the button that `config` describes; `open_lamp(options)` is that of the driver."""

    def __init__(
        self, config: SensorConfig, health: Health, open_lamp: Callable[..., Line]
    ) -> None:
        self._name = f"{config.name} led"
        self._options = config.options
        self._night: str = getattr(config.options, "led_night", "")
        self._health = health
        self._open = open_lamp
        self._output: Line | None = None
        self._shown: bool | None = None
        self._again_boot_s = -math.inf

    def show(self, now: Moment, *, waits: bool, arrived: bool, works: bool) -> float:
        """Show whether a call `waits`, or has `arrived` a while ago, else whether the button works.

        The time on the boot clock at which it blinks next, or is tried again; else infinite.
        """
        if waits:
            on = now.boot_s // BLINK_S % 2 == 0
        else:
            on = arrived or (works and not is_night(self._night, now.wall_s))
        if now.boot_s >= self._again_boot_s and on != self._shown:
            self._put(on=on, now_s=now.boot_s)
        blinks_boot_s = (now.boot_s // BLINK_S + 1) * BLINK_S
        return max(blinks_boot_s, self._again_boot_s) if waits else math.inf

    def close(self) -> None:
        """Put it out and give its line back; more than once does no harm."""
        output, self._output, self._shown = self._output, None, None
        if output:
            try:
                output.put(active=False)
            except OSError as error:
                log.info("%s: %s", self._name, error)
            output.close()

    def _put(self, *, on: bool, now_s: float) -> None:
        try:
            if not self._output:
                self._output = self._open(self._options)
            self._output.put(active=on)
        except (SensorError, OSError) as error:
            self.close()
            self._again_boot_s = now_s + AGAIN_S
            told = error if isinstance(error, SensorError) else SensorError(str(error), hint="")
            text = f"{self._name}: {told.text}; calls are sent all the same"
            self._health.report(conditions.SENSOR_FAILING, text, hint=told.hint, key=self._name)
        else:
            self._shown = on
            self._health.clear(conditions.SENSOR_FAILING, key=self._name)


def is_night(span: str, wall_s: float) -> bool:
    """True if the local clock shows a time in `span`, as 22:00-07:00, at `wall_s`; "off": never."""
    begin, _, end = span.partition("-")
    if not end:
        return False
    now = time.strftime("%H:%M", time.localtime(wall_s))
    begin, end = begin.zfill(5), end.zfill(5)
    return begin <= now < end if begin <= end else now >= begin or now < end
