"""Driver `exec`: a program of yours, whose output is the reading; `running.py` says how it runs."""

from __future__ import annotations

import json
import re
import sys

from agent.config.fields import command, number, text
from agent.errors import NoDataError, SensorError
from agent.sensors.running import HINT, SHOWN, Runner
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.clock import Clock

#: Numbers beyond JSON's: bc(1) prints .5, printf(1) +21.5, a float() may be nan.
_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)\b", re.IGNORECASE | re.ASCII
)
_WITH_UNIT = re.compile(r"[+-]?\d+\.?\d*[ ]?[^\d\s,.:]{1,5}", re.ASCII)
_COMMA = re.compile(r"(^|[:\s])[+-]?\d+,\d", re.ASCII)


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table; `quantity` names the value if only a number is printed."""

    command: tuple[str, ...] = command(...)
    quantity: str = text("value", r"[A-Za-z_][A-Za-z0-9_]{0,63}", "a name such as temperature_c")
    timeout_s: float = number(10.0, 0.1, 3600)


class Program:
    """Runs the command once for each read."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._runner = Runner()

    def read(self) -> Mapping[str, float]:
        """Numbers from its output: a JSON object of them, or one. Raises SensorError."""
        options = self._options
        output = self._runner.run(options.command, options.timeout_s)
        return _values(output, options.quantity)

    def close(self) -> None:
        """Drop the kill at exit; no program runs between two reads."""
        self._runner.close()


def _values(output: bytes, quantity: str) -> Mapping[str, float]:
    """Quantities that a program printed. Raises NoDataError where there are none.

    SensorError shows what it printed else.
    """
    printed = output.decode("utf-8-sig", "replace").strip()
    try:
        found = json.loads(printed, parse_int=_integer)
    except (ValueError, RecursionError):
        found = float(printed) if _NUMBER.fullmatch(printed) else None
    if found == {}:
        raise NoDataError("it printed no quantity", hint=HINT)
    if isinstance(found, dict):
        return found
    if isinstance(found, int | float) and not isinstance(found, bool):
        return {quantity: found}
    problem = f"it printed {printed[:SHOWN]!r}" if printed else "it printed nothing"
    raise SensorError(f"{problem}; {_expected(printed)}", hint=HINT)


def _integer(digits: str) -> float:
    """The number; as a float if it has more digits than a float can, and than int() takes."""
    return int(digits) if len(digits) <= sys.float_info.max_10_exp else float(digits)


def _expected(printed: str) -> str:
    """Advice about what was printed instead of a reading."""
    if _COMMA.search(printed):
        return "a decimal point is expected, not a comma"
    if printed.startswith("{'"):
        return "JSON has double quotes, as json.dumps() writes them"
    if _WITH_UNIT.fullmatch(printed):
        return "the number alone is expected, without its unit"
    if "\n" in printed:
        return "one number or one JSON object is expected, and nothing else"
    return "a number or a JSON object is expected"


def open_driver(options: Options, *, clock: Clock) -> Program:
    """The program; it is looked for only when it is run."""
    del clock
    return Program(options)
