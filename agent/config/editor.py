"""Editor of a TOML text as a person wrote it: what is named changes, everything else is kept.

tomlkit changes the one section that it concerns, since it would put sections in an order of its
own. The whole is parsed by tomllib and compared with what was wanted, so that nothing is spoiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import reduce
from operator import getitem
from typing import Any

import tomlkit
from tomlkit.items import Comment, Table

from agent.config.fields import dotted
from agent.config.loading import COMMON
from agent.config.statements import Key, parse, statements
from agent.value import Value

#: A table of tomlkit's document, or of the plain one that it is compared with.
_Table = MutableMapping[str, Any]

_BOM = "\ufeff"


class UneditableError(ValueError):
    """The text is written in a way that only a person should change."""


class _Section(Value):
    """A header with what follows it, or what stands above the first; `table` is None in arrays."""

    table: Key | None
    text: str
    content: dict[str, Any]


def with_value(text: str, key: Key, value: object) -> str:
    """The TOML `text` with `value`, a string, number or list, for a `key` as `("thing", "name")`.

    The key keeps its place and what follows it on its line; a missing one takes the place of the
    line where it is commented out, else it follows its table's last key. Raises UneditableError.
    """
    path = key[:-1]
    return _edited(
        text,
        key,
        lambda document: _put(_inner(document, path), key[-1], value),
        places=(
            lambda one: _holds(one.content, key),
            lambda one: one.table in {path, ()} and _holds(one.content, path),
        ),
        header=f"[{dotted(*path)}]\n",
    )


def without(text: str, key: Key) -> str:
    """The TOML `text` without `key`. Raises UneditableError, also if it is not there."""

    def change(document: _Table) -> None:
        del _inner(document, key[:-1])[key[-1]]

    return _edited(text, key, change, places=(lambda one: _holds(one.content, key),))


def with_sensor(text: str, table: Mapping[str, object]) -> str:
    """The TOML `text` with the sensor `table["name"]` as `table` has it; None takes a key out.

    Keys of the sensor that are not in `table` stay, but those of another driver go with it. A new
    sensor stands at the end. Raises UneditableError.
    """

    def named(document: Mapping[str, Any]) -> list[_Table]:
        sensors = document.get("sensors")
        found = sensors if isinstance(sensors, list) else []
        return [one for one in found if isinstance(one, dict) and one.get("name") == table["name"]]

    def change(document: _Table) -> None:
        (sensor,) = named(document)
        same = "driver" not in table or sensor.get("driver") in {None, table["driver"]}
        for key in list(sensor):
            if (key not in table and key not in COMMON and not same) or table.get(key, 0) is None:
                del sensor[key]
        for key, value in table.items():
            if value is not None:
                _put(sensor, key, value)

    header = f"[[sensors]]\nname = {tomlkit.item(str(table['name'])).as_string()}\n"
    places = (lambda one: bool(named(one.content)),)
    return _edited(text, ("sensors",), change, places=places, header=header)


def _edited(
    text: str,
    key: Key,
    change: Callable[[_Table], None],
    *,
    places: tuple[Callable[[_Section], bool], ...],
    header: str = "",
) -> str:
    """The `text` after `change` of its section at the first of `places`, or of a new `header`'s."""
    mark = _BOM if text.startswith(_BOM) else ""
    text = text.removeprefix(mark)
    try:
        sections = list(_sections(text))
        found = (at for place in places for at, one in enumerate(sections) if place(one))
        texts = [one.text for one in sections]
        if (at := next(found, -1)) < 0 and header:
            begin = "\n" * (bool(text.strip()) + (text[-1:] not in {"", "\n"})) + header
            texts.append(begin.replace("\n", _eol(text)))
        wanted = parse("".join(texts))
        change(wanted)
        texts[at] = _section_after(change, texts[at])
        changed = "".join(texts)
        if parse(changed) == wanted:
            return mark + changed
    except Exception as error:  # tomlkit stumbles in many ways
        raise _unusual(key) from error
    raise _unusual(key)


def _sections(text: str) -> Iterator[_Section]:
    """The sections of a document; together they are the text. Raises TOMLDecodeError."""
    table: Key | None = ()
    lines: list[str] = []
    for one in statements(text):
        if one.is_header:
            yield _Section(table, part := "".join(lines), parse(part))
            table, lines = one.table, []
        lines.append(one.text)
    yield _Section(table, part := "".join(lines), parse(part))


def _section_after(change: Callable[[_Table], None], section: str) -> str:
    """The text of a section after `change`, its line ends all alike."""
    eol = _eol(section)
    section = section.replace("\r\n", "\n")
    document = tomlkit.parse(section)
    change(document)
    return document.as_string().replace("\n", eol)


def _put(table: _Table, name: str, value: object) -> None:
    """Set one key of a table, where a person would write it."""
    body = table.value.body if isinstance(table, Table) else getattr(table, "body", None)
    if name in table or body is None:
        # The plain document has numbers as they are written.
        table[name] = str(value) if type(table) is dict and isinstance(value, float) else value
        return
    for _, item in body:
        remark = item.trivia.comment if isinstance(item, Comment) else ""
        if re.match(r"#\s*\[", remark):  # what follows belongs to a table that is commented out
            break
        if re.match(rf"#\s*{re.escape(name)}\s*=", remark):
            item.trivia.comment = f"{name} = {tomlkit.item(value).as_string()}"
            return
    # Remarks and blank lines at the end belong to what follows.
    last = max((at for at, (key, _) in enumerate(body, start=1) if key), default=0)
    rest = body[last:]
    del body[last:]
    table[name] = value
    body += rest


def _eol(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unusual(key: Key) -> UneditableError:
    return UneditableError(f"{'.'.join(key)}: is written in an unusual way")


def _inner(document: _Table, path: Key) -> _Table:
    """The table at `path`."""
    return reduce(getitem, path, document)


def _holds(content: object, path: Key) -> bool:
    """True if there is something at `path`."""
    for name in path:
        if not isinstance(content, dict) or name not in content:
            return False
        content = content[name]
    return True
