"""Two drivers: numbers that another program writes to a file, and lines that it adds to one.

A driver imports nothing of pi-iot-agent. It is a function that takes the sensor's options, a plain
dict, and the clock, and returns an object with `read` and `close`; a detector also has `drain`.
What they raise is shown as the reason why the sensor fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Values:
    """A file of lines `quantity value`, such as `temperature_c 21.5`; rewritten now and then."""

    def __init__(self, path: Path, max_age_s: float, clock: Any) -> None:  # noqa: ANN401 -- structural
        self._path = path
        self._max_age_s = max_age_s
        self._clock = clock

    def read(self) -> dict[str, float]:
        """The numbers in the file; none, which is no failure, while it is older than it may be."""
        if self._clock.wall_s() - self._path.stat().st_mtime > self._max_age_s:
            return {}
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return {quantity: float(value) for quantity, value in map(str.split, lines)}

    def close(self) -> None:
        """Nothing to give back."""


class Lines:
    """Each line that is added to a file is a detection: a doorbell's log, for one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._file.seek(0, 2)

    def read(self) -> dict[str, float]:
        """Nothing: it only detects."""
        return {}

    def drain(self) -> tuple[int, float]:
        """How many lines were added since the last call; they last no time."""
        return self._file.read().count(b"\n"), 0.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_values(options: dict[str, Any], *, clock: Any) -> Values:  # noqa: ANN401 -- structural
    """Driver `textfile`: `file`, and `max_age_s` (600)."""
    return Values(Path(options["file"]), float(options.get("max_age_s", 600)), clock)


def open_lines(options: dict[str, Any], *, clock: Any) -> Lines:  # noqa: ANN401 -- structural
    """Driver `textlines`: `file`."""
    del clock
    return Lines(Path(options["file"]))
