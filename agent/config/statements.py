"""Statements of a TOML text: whole lines that belong together, and the line of each key.

One pass finds where they end, so that the TOML parser sees each of them once.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter

from agent.config.fields import dotted
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[str, ...]

_MARK = re.compile(r"""\"\"\"|'''|["'#\[\]{}\n]""")

#: What ends a string or a remark, by what begins it; what begins with a backslash ends nothing.
_ENDS = {
    '"""': re.compile(r'\\.|"{3,5}', re.DOTALL),
    "'''": re.compile(r"'{3,5}"),
    '"': re.compile(r'\\.|"', re.DOTALL),
    "'": re.compile(r"'"),
    "#": re.compile(r"(?=\n)"),
}


class Statement(Value):
    """A statement: whole lines; `table` is the one that they stand in, None in an array's.

    `key` is what it sets, or the name in a header; empty for remarks and blank lines.
    """

    text: str
    table: Key | None
    key: Key = ()
    is_header: bool = False


def parse(text: str) -> dict[str, object]:
    """The document `text`, with numbers as they are written, so that nan equals nan."""
    return tomllib.loads(text, parse_float=str)


def statements(text: str) -> Iterator[Statement]:
    """The statements of a document in their order; together they are the text.

    Raises TOMLDecodeError at one that is none.
    """
    table: Key | None = ()
    start = 0
    for end in _ends(text):
        chunk = text[start:end]
        key = _path(parse(chunk))
        bare = chunk.lstrip()
        if is_header := bare.startswith("["):
            table = None if bare.startswith("[[") else key
        yield Statement(chunk, table, key, is_header)
        start = end


def lines(text: str) -> dict[str, int]:
    """The line, from 1, of each table and key of a document, as in `sensors[1].pin`.

    Raises TOMLDecodeError.
    """
    found: dict[str, int] = {}
    arrays: Counter[str] = Counter()
    table, line = "", 1
    for one in statements(text):
        name = "" if one.is_header else table
        for depth, part in enumerate(one.key, start=1):
            name = f"{name}.{dotted(part)}" if name else dotted(part)
            found.setdefault(name, line)
            if one.is_header and one.table is None and depth == len(one.key):
                arrays[name] += 1
            if name in arrays:
                name += f"[{arrays[name] - 1}]"
                found.setdefault(name, line)
        if one.is_header:
            table = name
        line += one.text.count("\n")
    return found


def _ends(text: str) -> Iterator[int]:
    """The places behind the line ends that are in no string and no bracket, and the text's end."""
    depth = place = last = 0
    while mark := _MARK.search(text, place):
        place = mark.end()
        if end := _ENDS.get(mark[0]):
            while (found := end.search(text, place)) and found[0].startswith("\\"):
                place = found.end()
            place = found.end() if found else len(text)
        elif mark[0] != "\n":
            depth += 1 if mark[0] in "[{" else -1
        elif depth <= 0:
            yield (last := place)
    if last < len(text):
        yield len(text)


def _path(parsed: dict[str, object]) -> Key:
    """The key of the only value in the document of one statement."""
    path: list[str] = []
    inner: object = parsed
    while isinstance(inner, dict) and len(inner) == 1:
        ((name, inner),) = inner.items()
        path.append(name)
    return tuple(path)
