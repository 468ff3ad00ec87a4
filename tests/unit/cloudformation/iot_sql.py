"""AWS IoT SQL of 2016-03-23, as much of it as our rules use; any other shape is an error.

By the developer guide's pages on data types, operators, WHERE, functions and substitution
templates: what is absent is Undefined, and so is what is worked out from null, absent or text that
is no number; WHERE takes true alone; a template sees the payload, never a name of SELECT, and
writes Undefined as an empty text.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

UNDEFINED = object()

_STATEMENT = re.compile(r"SELECT (?P<select>.+) FROM '(?P<topic>[^'+#]+)' WHERE (?P<where>.+)")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|'([^']*)'|([A-Za-z_]\w*)|(>=|<=|[-+<>=(),]))")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True)
class Message:
    """A topic, and the JSON that came on it."""

    topic: str
    payload: object

    def field(self, name: str) -> object:
        """The field's value; Undefined where there is none, or the payload is no object."""
        return self.payload.get(name, UNDEFINED) if isinstance(self.payload, dict) else UNDEFINED


@dataclass(frozen=True)
class Statement:
    """SELECT, FROM and WHERE of a rule."""

    select: str
    topic: str
    where: str

    def takes(self, message: Message) -> bool:
        """True if the rule's actions run."""
        return message.topic == self.topic and value(self.where, message) is True

    def result(self, message: Message) -> dict[str, Any]:
        """The object that SELECT makes; fields that are Undefined are not in it."""
        found: dict[str, Any] = {}
        for one in re.split(r",\s*(?![^(]*\)|[^']*' AS)", self.select):
            if one == "*":
                assert isinstance(message.payload, dict)
                found |= message.payload
                continue
            expression, _, name = one.partition(" AS ")
            known = value(expression, message)
            if known is not UNDEFINED:
                found[name or expression] = known
        return found


def statement(sql: str) -> Statement:
    """The statement in `sql`. Raises ValueError for a shape that is not known here."""
    found = _STATEMENT.fullmatch(sql)
    if not found:
        raise ValueError(f"no statement of ours: {sql}")
    return Statement(found["select"], found["topic"], found["where"])


def put(template: str, message: Message) -> str:
    """The text of an action's property, with its substitution templates."""
    return re.sub(r"\$\{([^{}]+)\}", lambda one: _text(value(one[1], message)), template)


def names(expression: str) -> set[str]:
    """The fields that an expression uses."""
    tokens = _tokens(expression)
    words = [text for kind, text in tokens if kind == "name"]
    calls = {one[1] for one, after in pairwise(tokens) if after[1] == "("}
    return set(words) - calls - {"AND", "OR", "NOT"}


def value(expression: str, message: Message) -> object:
    """The value of an expression. Raises ValueError for what is not known here."""
    parser = _Parser(_tokens(expression), message)
    found = parser.choice()
    if parser.rest:
        raise ValueError(f"not understood: {expression}")
    return found


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(expression):
        match = _TOKEN.match(expression, place)
        if not match:
            raise ValueError(f"not understood: {expression[place:]}")
        kind = ("number", "text", "name", "sign")[(match.lastindex or 1) - 1]
        found.append((kind, match[match.lastindex or 1]))
        place = match.end()
    return found


class _Parser:
    """One expression, worked out while it is read."""

    def __init__(self, tokens: list[tuple[str, str]], message: Message) -> None:
        self.rest = tokens
        self._message = message

    def choice(self) -> object:
        """Operands of OR."""
        found = self._both()
        while self._next("OR"):
            other = self._both()
            found = found or other if _booleans(found, other) else UNDEFINED
        return found

    def _both(self) -> object:
        found = self._negation()
        while self._next("AND"):
            other = self._negation()
            found = found and other if _booleans(found, other) else UNDEFINED
        return found

    def _negation(self) -> object:
        if not self._next("NOT"):
            return self._comparison()
        found = self._comparison()
        return not found if _booleans(found) else UNDEFINED

    def _comparison(self) -> object:
        left = self._sum()
        if self._next("="):
            right = self._sum()
            if not isinstance(right, str):
                raise ValueError("only texts are compared by =")
            return left == right if isinstance(left, str) else UNDEFINED
        for sign, compare in _COMPARISONS.items():
            if self._next(sign):
                a, b = _number(left), _number(self._sum())
                return UNDEFINED if a is None or b is None else compare(a, b)
        return left

    def _sum(self) -> object:
        found = self._term()
        while self.rest and self.rest[0][1] in {"+", "-"}:
            sign = 1 if self.rest.pop(0)[1] == "+" else -1
            a, b = _number(found), _number(self._term())
            found = UNDEFINED if a is None or b is None else a + sign * b
        return found

    def _term(self) -> object:
        kind, text = self.rest.pop(0) if self.rest else ("end", "")
        if kind == "number":
            return _number(text)
        if kind == "text":
            return text
        if kind == "name" and self._next("("):
            return self._call(text)
        if kind == "name":
            return self._message.field(text)
        if text == "(":
            found = self.choice()
            self._expect(")")
            return found
        raise ValueError(f"not understood: {text}")

    def _call(self, name: str) -> object:
        argument = self.choice()
        self._expect(")")
        if name == "isUndefined":
            return argument is UNDEFINED
        if name == "floor":
            number = _number(argument)
            return UNDEFINED if number is None else math.floor(number)
        if name == "topic" and isinstance(argument, int):
            return self._message.topic.split("/")[argument - 1]
        raise ValueError(f"no function of ours: {name}")

    def _next(self, text: str) -> bool:
        if self.rest and self.rest[0][1] == text and self.rest[0][0] != "text":
            self.rest = self.rest[1:]
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._next(text):
            raise ValueError(f"{text} is missing")


def _booleans(*values: object) -> bool:
    return all(isinstance(one, bool) for one in values)


def _number(found: object) -> int | float | None:
    """The number, also in a text; None is Undefined."""
    if isinstance(found, str) and _NUMBER.fullmatch(found):
        return float(found) if {*".eE"} & {*found} else int(found)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _text(found: object) -> str:
    if found is UNDEFINED or found is None:
        return ""
    return str(found).lower() if isinstance(found, bool) else str(found)
