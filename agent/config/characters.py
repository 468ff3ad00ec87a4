"""Characters that come in by pasting, and cannot be seen or told from others: their names."""

from __future__ import annotations

import unicodedata

#: What to type for a character that is pasted often.
TYPED = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u300c\u300d", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u00b4", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
}
QUOTES = {char for char, typed in TYPED.items() if typed in "\"'"}

#: unicodedata knows no names of control characters; these are Unicode's aliases.
_CONTROLS = {
    "\0": "NULL",
    "\a": "ALERT",
    "\b": "BACKSPACE",
    "\t": "CHARACTER TABULATION",
    "\n": "LINE FEED",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x1a": "SUBSTITUTE",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}


def told(char: str) -> str:
    """The code point and name of a character, and what to type instead of it, in plain ASCII."""
    name = _CONTROLS.get(char) or unicodedata.name(char, "without a name")
    typed = TYPED.get(char) or unicodedata.normalize("NFKC", char)
    advice = ""
    if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}:
        advice = "; take it out"
    elif typed != char and typed.isascii():
        advice = f"; type {'a plain space' if typed.isspace() else typed} instead"
    return f"U+{ord(char):04X} ({name}){advice}"


def strange(text: str) -> str:
    """The first character of `text` that is seldom meant, as `told`; "" if there is none."""
    return next((told(char) for char in text if char in TYPED or not char.isprintable()), "")
