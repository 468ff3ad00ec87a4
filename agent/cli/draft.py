"""Draft of agent.toml: changed in memory, checked as a whole, and written in one go."""

from __future__ import annotations

import json
import re
from functools import partial

from agent import files, sensors
from agent.cli.questions import NAME, REGION, UsageError
from agent.cli.sensor_flags import built_in, instead
from agent.cli.service import ask_service
from agent.config import (
    Aws,
    Thing,
    contents,
    detects,
    interpret,
    problem_with,
    read_toml,
    registered_name,
)
from agent.config.editor import UneditableError, with_sensor, with_value
from agent.errors import ConfigError
from agent.value import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from agent.cli.main import Content
    from agent.cli.sensor_flags import Table
    from agent.config import Config, OptionsOf, SensorConfig

HINT = "nothing has been written; /usr/share/doc/pi-iot-agent/sensors.md has all drivers and keys"


class Draft:
    """Text of the configuration file `path` with changes; `content` is what root has read of it.

    Raises ConfigError if the file is wrong: whatever name or region that is wrong counts as not
    given. A plug-in is asked as the service's user, never by root.
    """

    def __init__(self, path: Path, content: Content) -> None:
        self._path = path
        self._content = {path: contents(path), **content}
        self._written = self._text = self._content[path].decode("utf-8", "surrogateescape")
        self._name = ask_service(
            lambda: registered_name(self._interpret(sensors.options_of).paths.certs)
        )

    @property
    def config(self) -> Config:
        """The configuration that it is, plug-ins' options unchecked. Raises ConfigError."""
        return self._interpret(built_in, self._name)

    @property
    def own_name(self) -> str:
        """The thing's name as the owner's files, or else the host's, have it. Raises ConfigError.

        Never what the service has written down.
        """
        return self._interpret(built_in, "").thing.name

    def set(self, key: tuple[str, str], value: object) -> None:
        """Give `key` this value. Raises ConfigError where only a person should change the text."""
        table = read_toml(self._path, self._data).get(key[0])
        if not isinstance(table, dict) or table.get(key[1]) != value:
            hint = f"write {key[1]} = {json.dumps(value)} below [{key[0]}] by hand, and try again"
            self._edit(partial(with_value, key=key, value=value), hint)

    def wire(
        self, tables: Mapping[str, Table], *, count: Iterable[str] = (), window_s: int | None = None
    ) -> None:
        """Add these sensors, or change those of their names, and have detectors counted.

        A new detector is counted beside those that are, unless `count` names all. Raises
        UsageError for what cannot be, ConfigError as `set`; nothing is changed then.
        """
        before = self._text
        try:
            self._wire(tables, list(count), window_s)
        except BaseException:
            self._text = before
            raise

    def _wire(self, tables: Mapping[str, Table], count: list[str], window_s: int | None) -> None:
        if not tables and not count and window_s is None:
            return
        known = self.config
        # Those of an older device's file count only as long as this one has none of its own.
        inherited = () if "sensors" in read_toml(self._path, self._data) else known.sensors
        for table in [*map(_entry, inherited), *tables.values()] if tables else ():
            name = table["name"]
            hint = f"write the [[sensors]] of {name} by hand, and try again"
            self._edit(partial(with_sensor, table={**_replaced(table), **table}), hint)
        if window_s is not None:
            self.set(("count", "window_s"), window_s)
        self._check(tables)
        config = self.config
        taken = [(one.name, it) for one in config.sensors for it in _lines_of(one)]
        for name, line in taken:
            if name in tables and (other := holder_of(config, name, line)):
                text = f"--sensor {name}: {line} is taken by the sensor {other}"
                raise UsageError(text, hint=f"give it another pin, or change {other}")
        if (wanted := count or counted_since(known, config, tables)) != [*config.count.sensor]:
            self.set(("count", "sensor"), wanted[0] if len(wanted) == 1 else wanted)
            self._check(tables)

    def save(self) -> bool:
        """Write it; False if it has not changed. The file is the old or the new.

        Raises ConfigError for a text that the agent would refuse, OSError.
        """
        if self._text == self._written:
            return False
        self._interpret(built_in, self._name, mending=False)
        files.rewrite(self._path, self._data)
        self._written = self._text
        return True

    @property
    def _data(self) -> bytes:
        return self._text.encode("utf-8", "surrogateescape")

    def _edit(self, edit: Callable[[str], str], hint: str) -> None:
        try:
            self._text = edit(self._text)
        except UneditableError as error:
            raise ConfigError([f"{self._path}: {error}"], hint=hint) from None

    def _interpret(
        self,
        options_of: OptionsOf,
        name: str | None = None,
        *,
        lines: bool = True,
        mending: bool = True,
    ) -> Config:
        """The configuration; `name` is what it has registered with, where root may not look.

        While `mending`, a name or region that is wrong counts as not given.
        """
        document = read_toml(self._path, self._data)
        for (table, key), kind in ((NAME, Thing), (REGION, Aws)) if mending else ():
            inner = document.get(table)
            if isinstance(inner, dict) and problem_with(kind, table, key, inner.get(key)):
                del inner[key]
        known = "" if name is None or problem_with(Thing, *NAME, name) else name
        return interpret(
            document,
            self._path,
            options_of=options_of,
            registered=registered_name if name is None else lambda _: known,
            content={**self._content, self._path: self._data if lines else b""},
        )

    def _check(self, tables: Mapping[str, Table]) -> None:
        """Raise UsageError for what is wrong since the change, as plug-ins see it too."""
        problems = ask_service(self._problems)
        if not problems:
            return
        listed = read_toml(self._path, self._data).get("sensors")
        names = [one.get("name") for one in listed] if isinstance(listed, list) else []

        def flag(found: re.Match[str]) -> str:
            name = dict(enumerate(names)).get(int(found[1]))
            return f"--sensor {name}: " if name in tables else found[0]

        told = re.sub(r"^sensors\[(\d{1,9})\][.:] ?", flag, problems, flags=re.MULTILINE)
        for key, option in (("count.sensor", "--count"), ("count.window_s", "--window-s")):
            told = re.sub(rf"^{re.escape(key)}: ", f"{option}: ", told, flags=re.MULTILINE)
        wrong = (one for one in tables.values() if f"--sensor {one['name']}: driver: " in told)
        raise UsageError(told, hint=next(filter(None, map(instead, wrong)), HINT))

    def _problems(self) -> str:
        """Problems, a line each, without the file and its lines, which are not written yet."""
        try:
            self._interpret(sensors.options_of, self._name, lines=False)
        except ConfigError as error:
            return "\n".join(one.removeprefix(f"{self._path}: ") for one in error.problems)
        return ""


def _entry(sensor: SensorConfig) -> Table:
    """The [[sensors]] entry of a sensor whose other keys have their defaults."""
    options: Any = sensor.options
    given = {one.name: getattr(options, one.name) for one in fields(options)}
    own = {one.name: given[one.name] for one in fields(options) if given[one.name] != one.default}
    return {"name": sensor.name, "driver": sensor.driver, **own}


def _replaced(table: Table) -> Table:
    """Keys that those of an entry take the place of, each to be taken out."""
    replaces = getattr(built_in(str(table["driver"])), "replaces", {})
    return {old: None for key in table for old in replaces.get(key, ())}


def holder_of(config: Config, name: str, line: str) -> str:
    """Name of the sensor other than `name` that has the `line`, as GPIO21; empty if none has."""
    held = (one.name for one in config.sensors if one.name != name and line in _lines_of(one))
    return next(held, "") if line else ""


def _lines_of(sensor: SensorConfig) -> tuple[str, str]:
    """The line of a sensor, and that of its LED; empty where there is none."""
    options = sensor.options
    return str(getattr(options, "occupies", "")), str(getattr(options, "led", ""))


def counted_since(before: Config, now: Config, changed: Iterable[str]) -> list[str]:
    """The sensors to count since those that are `changed` are there.

    What was counted stays so, even if only guessed, as long as it may detect; each that detects
    only since joins it. Where that is none, it stays a guess.
    """
    could = {one.name for one in before.sensors if detects(one) is not False}
    does = {one.name: detects(one) for one in now.sensors}
    kept = [name for name in before.count.sensor if does[name] is not False]
    new = [name for name in changed if does[name] and name not in could]
    return [*kept, *new] or [*now.count.sensor]
