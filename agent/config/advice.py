"""Advice on a text that is no TOML: what a person may have meant, and what to type instead.

Only a mistake loads this.
"""

from __future__ import annotations

import codecs
import difflib
import re

from agent.config.characters import QUOTES, TYPED, strange, told
from agent.config.rule import Rule
from agent.config.settings import (
    Aws,
    Count,
    Digest,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)
from agent.value import Value, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KEYS = {
    f"[{header}]": {one.name for one in fields(kind) if "check" in one.metadata}
    for header, kind in {
        "thing": Thing,
        "aws": Aws,
        "provisioning": Provisioning,
        "mqtt": Mqtt,
        "store": StoreLimits,
        "count": Count,
        "digest": Digest,
        "paths": Paths,
        "[sensors]": SensorConfig,
        "[rules]": Rule,
    }.items()
}

#: What some call a key.
_CALLED = {"gpio": "pin", "bcm": "pin"}

_LINE = "a line is [table], key = value, or # and a remark"
_QUOTES = 'a text needs quotes: "..."'
_PLAIN_TEXT = "save the file as plain text"


class _Rule(Value):
    """Advice where `before` matches the end of what is right in a row, `after` what follows it."""

    before: str
    after: str
    advice: str


#: The first that fits is told.
_RULES = [
    # Lines of other languages.
    _Rule(r"^", r"(//|;|/\*|--|%|REM\b|rem\b)", "a remark begins with #"),
    _Rule(r"^(--|REM\s|rem\s|/)\s*", r"", "a remark begins with #"),
    _Rule(r"^", r"\{\\rtf|<|PK\x03", _PLAIN_TEXT),
    _Rule(r"^PK$", r"", _PLAIN_TEXT),
    _Rule(r"^", r"\{", 'this is TOML, not JSON: [thing], and below it name = "..."'),
    _Rule(r"^", r"[$>+`~.]", "leave out what is not of the file itself"),
    _Rule(r"^(export|set)\s", r"", _LINE),
    # Headers.
    _Rule(r"^\[\[[^\]]*", r"\]?\s*(#|$)", "[[ ends with ]]"),
    _Rule(r"^\[[^\[\]]+\s", r"\w", "the name of a table is one word"),
    _Rule(r"^\[[^\]]*", r"\s*$", "[ ends with ]"),
    _Rule(r"^\[.*\]\s*", r"", "a header stands alone on its line"),
    # Between a key and its value.
    _Rule(r"^[^=]*", r":=?", "type = instead of :"),
    _Rule(r"^[^=\[]+", r"\]", "[ is missing"),
    _Rule(r"^[^=\[]+", r"[\"'\[\w-]", f"= is missing; {_LINE}"),
    _Rule(r"=\s*", r"=", "type one = only"),
    _Rule(r"=", r">", "type = instead of =>"),
    _Rule(r"=\s*", r"(#|$)", "the value is missing"),
    # Values.
    _Rule(r"[=\[,]\s*", r"(?i)(true|false)\b", "write true or false in small letters"),
    _Rule(r"=\s*", r"(?i)(yes|no|on|off)\b", f"type true or false; {_QUOTES}"),
    _Rule(r"=\s*", r"(?i)(none|null|nil)\b", "leave out the whole line"),
    _Rule(r"=\s*[+-]?", r"\.\d", "a number begins with a digit, as 0.5"),
    _Rule(r"=\s*", r"\(", 'a list stands in [ ]: ["a", "b"]'),
    _Rule(r"=\s*[+-]?", r"\+|-", "type one sign only"),
    _Rule(r"=\s*\d+", r"\.\s*(#|$)", "a number ends with a digit, as 5.0"),
    _Rule(
        r"=\s*[+-]?\d+",
        r",\d",
        "type a point for decimals, as 0.5, and nothing between thousands, as 1000000",
    ),
    _Rule(r"=\s*0", r"[_\d]+\s*(#|$)", "a number does not begin with 0"),
    _Rule(r"=\s*0", r"[XOB]", "write 0x in small letters"),
    _Rule(r"=\s*[\d.]+\s*", r"(ms|s|sec|min|h|%|V|A|C)\s*(#|$)", "leave out the unit"),
    _Rule(r"=\s*[\w.:+-]+", r"[^\s,;#/].*", _QUOTES),
    _Rule(r"[=\[,]\s*", r"[^\s\[{].*", _QUOTES),
    # Behind a value.
    _Rule(r"=.*", r"\s*(//|/\*|--)", "a remark begins with #"),
    _Rule(r"=.*", r"\s*[;,]\s*(#|$)", "nothing stands at the end of the line"),
    _Rule(r"=\s*(\"[^\"]*\"|'[^']*')\s*", r"\S", "a text stands in one pair of quotes"),
]

#: By the parser's own words, whatever the row.
_BY_WORDS = [
    (r"Illegal character '\\n'|Unterminated string|Expected \"[\"']+\"", "a quote is missing"),
    (r"Unclosed array", "a , between two values is missing, or the ] at the end"),
    (r"Unclosed inline table", "a , between two values is missing, or the } at the end"),
    (
        r"Unescaped|Invalid hex value",
        r"""in "..." a \ begins an escape; type / or \\, or the text in '...'""",
    ),
    (r"Cannot declare \('sensors',", "each sensor begins with [[sensors]], in two brackets"),
    (r"Cannot declare \('rules',", "each rule begins with [[rules]], in two brackets"),
    (r"Cannot declare", "put what stands below both into one table"),
    (r"Cannot overwrite|Duplicate inline table key", "the key is there twice; take one out"),
]


def mistake(text: str, error: ValueError) -> str:
    """The words of tomllib on `text`, the line first, with what to type instead; in ASCII."""
    what, _, place = str(error).rpartition(" (at ")
    rows = text.replace("\r\n", "\n").split("\n")
    if place == "end of document)":
        line, column = len(rows), len(rows[-1]) + 1
    elif found := re.match(r"line (\d+), column (\d+)\)", place):
        line, column = int(found[1]), int(found[2])
    else:  # Python reads no integer of more than 4300 digits
        return "a number has too many digits" if "digits" in str(error) else str(error)
    what = what.encode("ascii", "backslashreplace").decode()  # a key may have any letter
    advice = _advice(what, rows[line - 1], column)
    if text.count("\0") > len(text) / 4:  # a UTF-16 without its mark, or what a power cut left
        advice = f"{told(chr(0)).partition(';')[0]}; save the file anew, as UTF-8"
    return f"line {line}: {what}{advice and ': '}{advice}"


def encoding(data: bytes, error: UnicodeDecodeError) -> str:
    """The words on bytes that are no UTF-8, the line first, with what to do."""
    line = data.count(b"\n", 0, error.start) + 1
    byte = data[error.start : error.start + 1]
    told_ = f"line {line}: is not UTF-8 text (byte 0x{byte.hex()}); save it as UTF-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{told_}, not as UTF-16, which Notepad calls Unicode"
    char = byte.decode("cp1252", "replace")
    if char in TYPED or char.isspace():
        return f"{told_}; it is {told(char)}"
    return told_


def unknown(name: str, known: Iterable[str], *, loose: bool = False) -> str:
    """The problem with a key that is none of `known`, in words; a `loose` one is in no table."""
    if said := strange(name):
        return f"unknown key: {said}"
    if (meant := _CALLED.get(name.lower(), "")) in set(known):
        return f"unknown key; did you mean {meant}?"
    close = [] if loose else difflib.get_close_matches(name.lower(), list(known), n=1)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    if places := [header for header, keys in _KEYS.items() if name in keys]:
        return f"unknown key; it belongs below {' or '.join(places)}"
    if loose:
        return "unknown key; a key stands below the header of its table, such as [thing]"
    return "unknown key"


def _advice(what: str, row: str, column: int) -> str:
    """Text to type instead of what stands in a row; empty if that is not clear."""
    before, rest = row[: column - 1], row[column - 1 :]
    # At the end of a row a string lacks its end, which may be a quote of another kind.
    char = rest[:1] or next((one for one in reversed(row) if one in TYPED), "")
    if char and (not char.isascii() or not (char.isprintable() or char == "\t")):
        return told(char)
    if curly := next((one for one in row if one in QUOTES), ""):  # that ended nothing before
        return told(curly)
    for words, advice in _BY_WORDS:
        if re.match(words, what):
            return advice
    for rule in _RULES:
        if re.search(f"(?:{rule.before})$", before.lstrip()) and re.match(rule.after, rest):
            return rule.advice
    return _LINE if "statement" in what and not before.strip() else ""
