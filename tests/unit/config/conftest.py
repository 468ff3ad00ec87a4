"""A configuration of two drivers with every kind of option, read where nothing else is set."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

import pytest

from agent.config import (
    Aws,
    Config,
    Count,
    Digest,
    Mqtt,
    Paths,
    Provisioning,
    StoreLimits,
    Thing,
    fields,
    load,
)
from agent.errors import EXIT_CONFIG, ConfigError
from agent.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

TABLES: dict[str, type[Value]] = {
    "thing": Thing,
    "aws": Aws,
    "provisioning": Provisioning,
    "mqtt": Mqtt,
    "store": StoreLimits,
    "count": Count,
    "digest": Digest,
    "paths": Paths,
}
SENSOR = '[[sensors]]\nname = "room"\ndriver = "probe"\n'
GPIO = '[[sensors]]\nname = "motion"\ndriver = "gpio"\n'


class Gpio(Value, kw_only=True):
    """The options of a driver with a required key and a rule of its own."""

    detects: ClassVar[bool] = True
    pin: int = fields.integer(..., 0, 999)
    active: str = fields.choice("high", "high", "low")
    debounce_ms: int = fields.integer(50, 0, 10_000)

    def __post_init__(self) -> None:
        if self.pin == 13:
            raise ValueError("pin: 13 brings bad luck")


class Probe(Value, kw_only=True):
    """The options of a driver that uses every other kind of field."""

    command: tuple[str, ...] = fields.command(("true",))
    wanted: bool = fields.boolean(default=False)
    scale: float = fields.number(1.0, -10, 10)


DRIVERS: dict[str, type] = {"gpio": Gpio, "probe": Probe, "simulated": dict}


def options_of(driver: str) -> type:
    """The drivers of these tests."""
    if driver not in DRIVERS:
        raise KeyError(driver, *DRIVERS)
    return DRIVERS[driver]


def write(directory: Path, content: str | bytes) -> Path:
    """An agent.toml with `content`."""
    path = directory / "agent.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(
    path: Path, *, environment: dict[str, str] | None = None, hostname: str = "attic"
) -> Config:
    """The configuration at `path`, on a machine where nothing is set."""
    return load(
        path,
        options_of=options_of,
        environment=environment or {},
        hostname=hostname,
        root=path.parent,
    )


def problems(directory: Path, content: str | bytes) -> list[str]:
    """What is wrong with `content`, without the file's path, which each problem begins with."""
    path = write(directory, content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.exit_code == EXIT_CONFIG
    assert caught.value.hint
    assert all(one.startswith(f"{path}: ") for one in caught.value.problems)
    return [one.removeprefix(f"{path}: ") for one in caught.value.problems]


def check_told(directory: Path, content: str | bytes, problem: str) -> str:
    """The line in which the problem is told, once, in plain ASCII."""
    found = problems(directory, content)
    assert all("\n" not in one and one.isascii() for one in found)
    (told,) = (one for one in found if one.startswith(problem))
    return told


def steps_of(work: Callable[..., object], *arguments: object) -> int:
    """The number of functions that `work` calls: how much it does, whatever the machine."""
    steps = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work(*arguments)
    finally:
        sys.setprofile(before)
    return steps
