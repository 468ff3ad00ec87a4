"""Boards without their hardware: `python3 -m tests.tools.boards` writes their golden files anew."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import load
from agent.sensors import BUILT_IN, Sensor, options_of
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import SensorConfig

FIXTURES = Path(__file__).parents[1] / "fixtures/boards"
BOARDS = sorted(path.stem for path in FIXTURES.glob("*.tree"))

#: Of every board: a card of 29 GiB with 8 GiB on it.
CARD = os.statvfs_result((4096, 4096, 7_602_176, 5_505_024, 5_177_344, 0, 0, 0, 0, 255))


def unpack(board: str, root: Path) -> None:
    """Make the board's files below `root`."""
    path, lines = root, []
    for line in [*(FIXTURES / f"{board}.tree").read_text().splitlines(), "#"]:
        if line.startswith(" "):
            lines.append(line[1:])
            continue
        if lines:
            path.write_text("\n".join(lines) + "\n")
            lines = []
        kind, _, rest = line.partition(" ")
        if kind == "file":
            path = root / rest
            path.parent.mkdir(parents=True, exist_ok=True)
        elif kind == "link":
            link, target = rest.split(" -> ")
            (root / link).parent.mkdir(parents=True, exist_ok=True)
            (root / link).symlink_to(target)
        else:
            assert kind == "#", f"{board}.tree: {line}"


def open_on(root: Path, config: SensorConfig) -> Sensor:
    """The sensor of a built-in driver, on the board below `root`."""
    module = importlib.import_module(BUILT_IN[config.driver])
    more = {"statvfs": lambda _: CARD} if config.driver == "system" else {}
    driver = module.open_driver(config.options, clock=FakeClock(), root=root, **more)
    return Sensor(config.name, driver)


def readings(board: str, root: Path) -> Iterator[str]:
    """What each of the board's sensors gives, in the format of the golden files."""
    for config in load(FIXTURES / f"{board}.toml", options_of=options_of, root=root).sensors:
        sensor = open_on(root, config)
        for quantity, value in sensor.read().values.items():
            yield f"{config.name} {quantity} {value}\n"
        sensor.close()


def main() -> None:
    """Write all golden files."""
    for board in BOARDS:
        with tempfile.TemporaryDirectory() as directory:
            unpack(board, Path(directory))
            golden = "".join(readings(board, Path(directory)))
        (FIXTURES / f"{board}.golden").write_text(golden)


if __name__ == "__main__":
    main()
