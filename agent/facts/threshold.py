"""Threshold: a quantity of a sensor above or below a limit for a time, and back by so much."""

from __future__ import annotations

import math

from agent.config import detects
from agent.facts.watch import BEGIN, END, Begun, Sight, Turn, Watch
from agent.facts.wbgt import HUMIDITY, TEMPERATURE, WBGT, Air
from agent.sensors import quantities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.config import Config, SensorConfig
    from agent.config.rule import Rule
    from agent.model import Reading

#: Interval of a sensor that has none of its own; so many without a reading, and nothing is known.
INTERVAL_S = 60.0
INTERVALS = 3

#: So many readings in a row without the quantity, and it is told.
LACKED = 3

OVER, BACK = "over", "back"

#: What a person does about a value that never comes.
HINT = "correct sensor or quantity of this rule in agent.toml, then restart the agent"


class Threshold(Watch):
    """The newest value is over the limit, back, or between the two; unknown once too old."""

    def __init__(self, rule: Rule, sensor: SensorConfig | None) -> None:
        super().__init__(rule)
        self._air = Air() if rule.quantity == WBGT else None
        self._sign = 1 if rule.kind == "above" else -1
        self._patience_s = INTERVALS * ((sensor and sensor.interval_s) or INTERVAL_S)
        if sensor and sensor.report == "change":  # else it is read, and says nothing new
            self._patience_s += sensor.heartbeat_s
        self._value: float | None = None
        self._zone = ""
        self._over_boot_s = math.inf
        self._read_boot_s = -math.inf
        self._lacked = 0

    def read(self, reading: Reading) -> None:
        """Take a reading; a word, or no such quantity, is none."""
        if reading.sensor != self.rule.sensor:
            return
        values, now_s = reading.values, reading.moment.boot_s
        value = (
            self._air.take(values, reading.moment) if self._air else values.get(self.rule.quantity)
        )
        if not isinstance(value, int | float):
            self._lacked += 1
            if self._lacked >= LACKED and self._value is None:
                self.lack = lack(self.rule, values)
            return
        self._lacked, self.lack = 0, ""
        if now_s - self._read_boot_s > self._patience_s:
            self._forget()
        self._value, self._read_boot_s = value, now_s
        zone = self._zone_of(value)
        if zone != OVER:
            self._over_boot_s = math.inf
        elif self._zone != OVER:
            self._over_boot_s = now_s
        if zone != self._zone:
            self._zone, self.due_s = zone, now_s

    def sensor(self, name: str, error: str) -> None:
        """Know nothing while the sensor fails."""
        if name == self.rule.sensor and error:
            self._forget()

    def look(self, sight: Sight, begun: Begun | None) -> Turn | None:
        """Its begin or its end, if that is now."""
        now_s = sight.now.boot_s
        if now_s - self._read_boot_s > self._patience_s:
            self._forget()
        over_s = now_s - self._over_boot_s
        waits = not begun and -math.inf < over_s < self.rule.for_s
        self.due_s = self._over_boot_s + self.rule.for_s if waits else math.inf
        if begun:
            return Turn(END, self._value, reason="back") if self._zone == BACK else None
        if self._zone == OVER and not waits:
            return Turn(BEGIN, self._value, over_s)
        return None

    def _zone_of(self, value: float) -> str:
        beyond = (value - self.rule.limit) * self._sign
        return OVER if beyond > 0 else BACK if beyond <= -(self.rule.hysteresis or 0.0) else ""

    def _forget(self) -> None:
        """Neither begin nor end by what was known before."""
        self._zone, self._over_boot_s = "", math.inf


def foreseen(rule: Rule, config: Config) -> str:
    """Reason why a threshold can never begin, as far as its sensor's driver tells; else empty."""
    sensor = next((one for one in config.sensors if one.name == rule.sensor), None)
    if not sensor:
        return ""
    counts = sensor.sos or (sensor.name in config.count.sensor and detects(sensor))
    if counts and sensor.interval_s is None:
        return f"{sensor.name} gives no readings, since what it detects is all that is asked of it"
    given = quantities(sensor.driver)
    return lack(rule, given) if given else ""


def lack(rule: Rule, given: Iterable[str]) -> str:
    """Quantities that `rule` lacks where a sensor gives these, in words; empty for none."""
    given = [*given]
    needs = (TEMPERATURE, HUMIDITY) if rule.quantity == WBGT else (rule.quantity,)
    missing = [name for name in needs if name not in given]
    if not missing:
        return ""
    purpose = f", of which {WBGT} is made" if rule.quantity == WBGT else ""
    has = f"it gives {', '.join(given)}" if given else "it gives nothing"
    return f"{rule.sensor} gives no {' and no '.join(missing)}{purpose}; {has}"
