"""The dead band: of readings, all are sent, or those that moved away from the last that was."""

from __future__ import annotations

from agent.sampling.lacks import NO_DATA_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config import SensorConfig

    Values = Mapping[str, float | str]


class DeadBand:
    """Remembers what was sent last of one sensor; times are of the boot clock."""

    def __init__(self, config: SensorConfig) -> None:
        self._always = config.report == "always"
        self._bands = config.dead_band or {}
        self._heartbeat_s = config.heartbeat_s
        self._sent: Values | None = None
        self._absent: dict[str, int] = {}  # polls in a row without a quantity that was sent
        self._sent_boot_s = 0.0

    def is_news(self, values: Values, now_s: float) -> bool:
        """True if `values` are to be sent; they then count as sent.

        That a quantity is missing is news once, and so is that it is back after that.
        """
        sent = self._sent or {}
        self._absent = {name: self._absent.get(name, 0) + 1 for name in sent if name not in values}
        gone = {name for name, polls in self._absent.items() if polls >= NO_DATA_MAX}
        beat = now_s - self._sent_boot_s >= self._heartbeat_s
        if self._always or self._sent is None or beat or gone or self._differ(sent, values):
            awaited = {name: sent[name] for name in self._absent if name not in gone}
            self._sent, self._sent_boot_s = {**awaited, **values}, now_s
            return True
        return False

    def forget(self) -> None:
        """Have the next reading sent whatever it is: the sensor was gone."""
        self._sent = None

    def _differ(self, old: Values, new: Values) -> bool:
        return any(
            name not in old or self._moved(name, old[name], value) for name, value in new.items()
        )

    def _moved(self, name: str, old: float | str, new: float | str) -> bool:
        if isinstance(old, str) or isinstance(new, str):
            return old != new
        return abs(new - old) > self._bands.get(name, self._bands.get("", 0.0))
