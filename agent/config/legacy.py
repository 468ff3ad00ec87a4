"""Settings of an older device, beside which the configuration stands; most have none."""

from __future__ import annotations

from agent.config.counted import detects
from agent.config.fields import show
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.config.settings import SensorConfig

FILE_NAME = "iot_prov_config"

#: The pin that every older device has its motion sensor on (BCM numbering).
PIN = 21


class Legacy(Value):
    """Settings of an older device; `thing` is empty and `sensor` None where it had none.

    `sensor` has the keys of a [[sensors]] table. `problem` says why it gives no name though it has
    one. It and the `warnings` begin with the file's path.
    """

    path: Path
    thing: str = ""
    topic: str = ""
    sensor: dict[str, object] | None = None
    problem: str = ""
    warnings: tuple[str, ...] = ()

    def sensor_warnings(self, others: Sequence[SensorConfig]) -> tuple[str, ...]:
        """Warnings if the `others` take the place of its sensor, and none of them detects."""
        if not (self.sensor and others) or any(detects(one) is not False for one in others):
            return ()
        keys = ", ".join(f"{key} = {show(value)}" for key, value in self.sensor.items())
        told = f"sensors: the motion sensor of {self.path} at GPIO {PIN} is not used"
        return (f"{told}: [[sensors]] takes its place; add it to them: {keys}",)

    def topic_warnings(self, thing: str) -> tuple[str, ...]:
        """Warnings if detections of `thing` do not go to the topic that they went to before."""
        if self.topic in {"", f"{thing}/count"}:
            return ()
        now = f"detections go to {thing}/count now, not to {show(self.topic)}"
        return (f"{self.path}: TOPIC_DETECT: {now}; change the rules that read them",)
