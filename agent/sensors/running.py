"""Runner: a program run to its end, bounded in time and output, for its sensor or its rule.

It gets no shell, no input and no secrets, and is a process group of its own, which is killed as a
whole when its time is over. It runs in the service's sandbox.
"""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

from agent.errors import SensorError
from agent.programs import public
from agent.sensors import scripts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: A reading is a line or two; a program that prints more than this is mistaken for one.
OUTPUT_MAX = 65536
CHUNK = 4096
SHOWN = 120

HINT = "run the command by hand, as the user pi-iot-agent; the service's sandbox holds for it too"


class Runner:
    """Runs one program at a time, each in the calling thread; `kill` may come from any."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False
        atexit.register(self.kill)  # a program must not outlive the agent

    def run(
        self, command: Sequence[str], timeout_s: float, more: Mapping[str, str] | None = None
    ) -> bytes:
        """Output of the program, whose environment has `more`. Raises SensorError if it fails."""
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env={**public(), **(more or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise scripts.not_started(command[0], error) from error
        with process:
            self._process = process
            if self._over:  # since before there was something to kill
                self.kill()
            output, complaint = _output(process, time.monotonic() + timeout_s)
        self._process = None
        if process.returncode < 0:
            why = signal.strsignal(-process.returncode) or f"signal {-process.returncode}"
            raise SensorError(f"{command[0]} was ended: {why}{_said(complaint)}", hint=HINT)
        if process.returncode:
            why = f"exit code {process.returncode}"
            raise scripts.ended(command, f"{command[0]}: {why}{_said(complaint)}", hint=HINT)
        return output

    def kill(self) -> None:
        """End the program that runs, and any that would still begin."""
        self._over = True
        if (process := self._process) and process.returncode is None:
            _kill_group(process)

    def close(self) -> None:
        """Drop the kill at exit, for when no program runs."""
        atexit.unregister(self.kill)


def last_line(output: bytes) -> str:
    """The last line that a program wrote, fit to stand in one of ours; empty if there is none."""
    lines = output.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return "".join(one if one.isprintable() else " " for one in last).strip()[:SHOWN]


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
    plain = last_line(complaint)
    return f": {plain}" if plain else ""
