"""Editor of a TOML text as a person wrote it: one key is set or taken out, everything else is kept.

The text is cut into statements by the TOML parser itself: a statement is complete as soon as its
lines are a document of their own. Every result is parsed and compared with what was wanted, so that
an unusual way of writing is refused and never spoiled.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[str, ...]

_LINES = re.compile(r"[^\n]*\n|[^\n]+")

#: A plain value on one line: what stands before it, it, and what follows.
_PLAIN = re.compile(
    r"""([^=\n]*=[ \t]*)(?:"(?!"")(?:[^"\\\n]|\\.)*"|'(?!'')[^'\n]*'|[\w.:+-]+)(\s*(?:\#.*)?\s*)"""
)


class UneditableError(ValueError):
    """The text is written in a way that only a person should change."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement: whole lines; `table` is the one that they stand in, None in an array's."""

    text: str
    table: Key | None
    key: Key = ()
    is_header: bool = False
    is_comment: bool = False


def with_value(text: str, key: Key, value: str) -> str:
    """The TOML `text` with the string `value` for `key`, such as `("thing", "name")`.

    The key keeps its place and what follows it on its line; a missing one takes the place of the
    line where it is commented out, else follows its table's header. Raises UneditableError.
    """
    found = list(_statements(text))
    eol = "\r\n" if "\r\n" in text else "\n"
    line = f"{key[-1]} = {json.dumps(value)}{eol}"
    texts = [one.text for one in found]
    place, kind = _place(found, key)
    if kind == "value":
        plain = _PLAIN.fullmatch(texts[place])
        texts[place] = f"{plain[1]}{json.dumps(value)}{plain[2]}" if plain else line
    elif kind == "comment":
        texts[place] = line
    elif kind == "header":
        texts[place] = texts[place].rstrip("\r\n") + eol + line
    else:
        blank = eol if text.strip() else ""
        header = ".".join(key[:-1])
        end = "" if not text or text.endswith("\n") else eol
        texts.append(f"{end}{blank}[{header}]{eol}{line}")
    wanted = _parse(text)
    _table(wanted, key)[key[-1]] = value
    return _checked("".join(texts), wanted, key)


def without(text: str, key: Key) -> str:
    """The TOML `text` without the statement that sets `key`. Raises UneditableError."""
    found = list(_statements(text))
    place, kind = _place(found, key)
    if kind != "value":
        raise UneditableError(f"{'.'.join(key)}: is not a line of its own in its table")
    wanted = _parse(text)
    del _table(wanted, key)[key[-1]]
    return _checked("".join(one.text for one in found if one is not found[place]), wanted, key)


def line_of(text: str, key: str) -> int | None:
    """The line, from 1, of a key such as `sensors[1].pin`; of its table where it is missing there.

    None where the text has neither, or is no TOML.
    """
    lines: dict[str, int] = {}
    tables: Counter[str] = Counter()
    table, line = "", 1
    with suppress(UneditableError):
        for one in _statements(text):
            name = ".".join(_path(_parse(one.text)))
            if one.is_header:
                table = name
                if one.table is None:
                    table = f"{name}[{tables[name]}]"
                    tables[name] += 1
                lines.setdefault(table, line)
            elif one.key:
                lines[f"{table}.{name}" if table else name] = line
            line += one.text.count("\n")
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _place(found: list[_Statement], key: Key) -> tuple[int, str]:
    """The place of `key`, or for it: the index of a statement, and the kind of that statement."""
    place, kind = -1, "nowhere"
    example = False  # what is commented out belongs to a table that is commented out too
    for index, one in enumerate(found):
        if one.table is not None and one.key and (one.table + one.key)[: len(key)] == key:
            return index, "value"
        if one.is_header:
            example = False
            if one.table == key[:-1]:
                place, kind = index, "header"
        elif one.is_comment and one.table == key[:-1] and kind == "header":
            example = example or bool(re.match(r"\s*#\s*\[", one.text))
            if not example and re.match(rf"\s*#\s*{re.escape(key[-1])}\s*=", one.text):
                place, kind = index, "comment"
    return place, kind


def _statements(text: str) -> Iterator[_Statement]:
    """The statements of a valid document in their order; together they are the text."""
    table: Key | None = ()
    chunk = ""
    for line in _LINES.findall(text):
        chunk += line
        try:
            parsed = _parse(chunk)
        except ValueError:
            continue  # it goes on in the next line
        start = chunk.lstrip()[:1]
        if start == "[":
            table = None if chunk.lstrip().startswith("[[") else _path(parsed)
            yield _Statement(chunk, table, is_header=True)
        else:
            yield _Statement(chunk, table, key=_path(parsed), is_comment=start == "#")
        chunk = ""
    if chunk:
        raise UneditableError("it is no TOML")


def _path(parsed: dict[str, object]) -> Key:
    """The key of the only value in the document of one statement."""
    path: list[str] = []
    inner: object = parsed
    while isinstance(inner, dict) and len(inner) == 1:
        ((name, inner),) = inner.items()
        path.append(name)
    return tuple(path)


def _parse(text: str) -> dict[str, object]:
    # Numbers as they are written, so that nan equals nan.
    return tomllib.loads(text, parse_float=str)


def _table(document: dict[str, object], key: Key) -> dict[str, object]:
    """The table that `key` stands in, made if it is missing."""
    table = document
    for name in key[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UneditableError(f"{'.'.join(key)}: {name} is no table")
        table = inner
    return table


def _checked(text: str, wanted: dict[str, object], key: Key) -> str:
    try:
        if _parse(text) == wanted:
            return text
    except ValueError:
        pass
    raise UneditableError(f"{'.'.join(key)}: is written in an unusual way")
