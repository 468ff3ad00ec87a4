"""The `iot_prov_config` of older devices: shell-like lines, which migrate by copying the file."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.config.fields import THING_NAME, show

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "iot_prov_config"

#: The pin that every older device has its motion sensor on (BCM numbering).
PIN = 21

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Legacy:
    """Settings of an older device; `thing` is empty and `sensor` None where it had none.

    `sensor` has the keys of a [[sensors]] table. `warnings` begin with the file's path.
    """

    path: Path
    thing: str = ""
    topic: str = ""
    sensor: dict[str, object] | None = None
    warnings: tuple[str, ...] = ()

    def topic_warnings(self, thing: str) -> tuple[str, ...]:
        """Warnings if detections of `thing` do not go to the topic that they went to before."""
        if self.topic in {"", f"{thing}/count"}:
            return ()
        now = f"detections go to {thing}/count now, not to {show(self.topic)}"
        return (f"{self.path}: TOPIC_DETECT: {now}; change the rules that read them",)


def read(path: Path) -> Legacy:
    """The content of `path`; nothing at all if there is no such file, never an exception."""
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return Legacy(path)
    except OSError as error:
        return Legacy(path, warnings=(f"{path}: cannot be read: {error.strerror}",))
    values: dict[str, str] = {}
    warnings: list[str] = []
    for place, line in enumerate(content.splitlines(), start=1):
        try:
            values.update(_assignment(line, values))
        except ValueError:
            warnings.append(f"{path}: line {place}: is not NAME=value and is left out")
    thing = values.get("THING_NAME", "")
    if thing and not re.fullmatch(THING_NAME, thing):
        warnings.append(f"{path}: THING_NAME: AWS allows letters, digits and :_- only; left out")
        thing = ""
    sensor: dict[str, object] | None = None
    if "TOPIC_DETECT" in values or "SENSOR_NO" in values:
        # SENSOR_NO: the contact is normally open, so its line is low while it detects
        if values.get("SENSOR_NO", "") not in {"", "0", "1"}:
            warnings.append(f"{path}: SENSOR_NO: expected 0 or 1; taken as 0")
        active = "low" if values.get("SENSOR_NO") == "1" else "high"
        sensor = {"name": "motion", "driver": "gpio", "pin": PIN, "active": active}
    return Legacy(path, thing, values.get("TOPIC_DETECT", ""), sensor, tuple(warnings))


def _assignment(line: str, known: dict[str, str]) -> dict[str, str]:
    """The name and value in `line`, none in an empty one; `known` values are put in for $NAME."""
    parts = shlex.split(line, comments=True)
    if not parts:
        return {}
    match = _LINE.fullmatch(" ".join(parts))
    if not match:
        raise ValueError(line)
    value = re.sub(
        r"\$\{?(\w+)\}?", lambda name: known.get(name[1], name[0]), match["value"].strip()
    )
    return {match["name"]: value}
