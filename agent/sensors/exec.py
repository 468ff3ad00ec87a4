"""Driver `exec`: a program of yours, whose output is the reading.

It gets no shell, no input and no secrets, and is a process group of its own, which is killed as a
whole when its time is over. It runs in the service's sandbox.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress

from agent.config.fields import command, number, text
from agent.errors import NoDataError, SensorError
from agent.programs import public
from agent.sensors import scripts
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agent.clock import Clock

#: A reading is a line or two; a program that prints more than this is mistaken for one.
OUTPUT_MAX = 65536
CHUNK = 4096
SHOWN = 120

#: Numbers beyond JSON's: bc(1) prints .5, printf(1) +21.5, a float() may be nan.
_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)\b", re.IGNORECASE | re.ASCII
)
_WITH_UNIT = re.compile(r"[+-]?\d+\.?\d*[ ]?[^\d\s,.:]{1,5}", re.ASCII)
_COMMA = re.compile(r"(^|[:\s])[+-]?\d+,\d", re.ASCII)

HINT = "run the command by hand, as the user pi-iot-agent; the service's sandbox holds for it too"


class Options(Value, kw_only=True):
    """Keys of its `[[sensors]]` table; `quantity` names the value if only a number is printed."""

    command: tuple[str, ...] = command(...)
    quantity: str = text("value", r"[A-Za-z_][A-Za-z0-9_]{0,63}", "a name such as temperature_c")
    timeout_s: float = number(10.0, 0.1, 3600)


class Program:
    """Runs the command once for each read."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self._kill)  # a program must not outlive the agent

    def read(self) -> Mapping[str, float]:
        """Numbers from its output: a JSON object of them, or one. Raises SensorError."""
        command = self._options.command
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=public(),
                start_new_session=True,
            )
        except OSError as error:
            raise scripts.not_started(command[0], error) from error
        with process:
            self._process = process
            output, complaint = _output(process, time.monotonic() + self._options.timeout_s)
        self._process = None
        if process.returncode < 0:
            why = signal.strsignal(-process.returncode) or f"signal {-process.returncode}"
            raise SensorError(f"{command[0]} was ended: {why}{_said(complaint)}", hint=HINT)
        if process.returncode:
            why = f"exit code {process.returncode}"
            raise scripts.ended(command, f"{command[0]}: {why}{_said(complaint)}", hint=HINT)
        return _values(output, self._options.quantity)

    def close(self) -> None:
        """Drop the kill at exit; no program runs between two reads."""
        atexit.unregister(self._kill)

    def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            _kill_group(self._process)


def _output(process: subprocess.Popen[bytes], until_s: float) -> tuple[bytes, bytes]:
    """Output of the program, and the end of its stderr, once it has ended.

    Raises SensorError, with the whole process group killed, when it takes or prints too much.
    """
    try:
        printed = _printed(process, until_s)
        process.wait(max(0.0, until_s - time.monotonic()))
    except BaseException as error:
        _kill_group(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise SensorError("it does not end though it closed its output", hint=HINT) from error
        raise
    return printed


def _printed(process: subprocess.Popen[bytes], until_s: float) -> tuple[bytes, bytes]:
    output, complaint = process.stdout, process.stderr
    printed: dict[Any, bytes] = {output: b"", complaint: b""}
    with selectors.DefaultSelector() as selector:
        for stream in printed:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, until_s - time.monotonic()))
            if time.monotonic() >= until_s:
                raise SensorError(f"it takes too much time{_said(printed[complaint])}", hint=HINT)
            for key, _ in ready:
                chunk = os.read(key.fd, CHUNK)
                printed[key.fileobj] += chunk
                if not chunk:
                    selector.unregister(key.fileobj)
            if len(printed[output]) > OUTPUT_MAX:
                raise SensorError(f"it prints more than {OUTPUT_MAX} bytes", hint=HINT)
            printed[complaint] = printed[complaint][-CHUNK:]
    return printed[output], printed[complaint]


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the program and all that it started; its id holds until it is waited for."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _said(complaint: bytes) -> str:
    """The last line that a program wrote to stderr, fit to stand in one of ours."""
    lines = complaint.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    plain = "".join(one if one.isprintable() else " " for one in last).strip()
    return f": {plain[:SHOWN]}" if plain else ""


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
