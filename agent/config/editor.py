"""Editor of a TOML text as a person wrote it: one key is set or taken out, everything else is kept.

Every result is parsed and compared with what was wanted, so that an unusual way of writing is
refused and never spoiled.
"""

from __future__ import annotations

import json
import re

from agent.config.statements import Key, Statement, parse, statements

#: A plain value on one line: what stands before it, it, and what follows.
_PLAIN = re.compile(
    r"""([^=\n]*=[ \t]*)(?:"(?!"")(?:[^"\\\n]|\\.)*"|'(?!'')[^'\n]*'|[\w.:+-]+)(\s*(?:\#.*)?\s*)"""
)


class UneditableError(ValueError):
    """The text is written in a way that only a person should change."""


def with_value(text: str, key: Key, value: str) -> str:
    """The TOML `text` with the string `value` for `key`, such as `("thing", "name")`.

    The key keeps its place and what follows it on its line; a missing one takes the place of the
    line where it is commented out, else follows its table's header. Raises UneditableError.
    """
    found, wanted = _cut(text)
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
    _table(wanted, key)[key[-1]] = value
    return _checked("".join(texts), wanted, key)


def without(text: str, key: Key) -> str:
    """The TOML `text` without the statement that sets `key`. Raises UneditableError."""
    found, wanted = _cut(text)
    place, kind = _place(found, key)
    if kind != "value":
        raise UneditableError(f"{'.'.join(key)}: is not a line of its own in its table")
    del _table(wanted, key)[key[-1]]
    return _checked("".join(one.text for one in found if one is not found[place]), wanted, key)


def _cut(text: str) -> tuple[list[Statement], dict[str, object]]:
    """The statements of `text`, and the document that it is."""
    try:
        return list(statements(text)), parse(text)
    except ValueError:
        raise UneditableError("it is no TOML") from None


def _place(found: list[Statement], key: Key) -> tuple[int, str]:
    """The place of `key`, or for it: the index of a statement, and the kind of that statement."""
    place, kind = -1, "nowhere"
    example = False  # what is commented out belongs to a table that is commented out too
    for index, one in enumerate(found):
        if one.is_header:
            example = False
            if one.table == key[:-1]:
                place, kind = index, "header"
        elif one.table is not None and one.key and (one.table + one.key)[: len(key)] == key:
            return index, "value"
        elif one.is_comment and one.table == key[:-1] and kind == "header":
            example = example or bool(re.match(r"\s*#\s*\[", one.text))
            if not example and re.match(rf"\s*#\s*{re.escape(key[-1])}\s*=", one.text):
                place, kind = index, "comment"
    return place, kind


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
        if parse(text) == wanted:
            return text
    except ValueError:
        pass
    raise UneditableError(f"{'.'.join(key)}: is written in an unusual way")
