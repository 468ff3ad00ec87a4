"""Child process that provisions: it tells its progress, and takes its memory with it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import agent
from agent.health.progress import Progress, decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.wakeup import Wakeup

CHUNK = 65536

#: Longest time to end: after its last word, and when told to.
EXIT_S = 10.0
TERMINATE_S = 1.0


class Child:
    """`python3 -m agent provision` under the hand of one thread, which alone uses this.

    With `retire` it only removes what has been replaced. It ends when that thread or its process
    does (PR_SET_PDEATHSIG, prctl(2)). What it says on stderr goes to ours. Raises OSError if it
    cannot be started.
    """

    def __init__(
        self,
        config_path: Path,
        *,
        wakeup: Wakeup,
        retire: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        command = [sys.executable, "-m", "agent", "provision", "--config", str(config_path)]
        command += ["--report", "--parent", str(os.getpid())]
        command += ["--retire"] if retire else []
        here = str(Path(agent.__file__).parents[1])
        path = environment.get("PYTHONPATH", "")
        self._wakeup = wakeup
        self._line = b""
        self._ended = False
        self._speaks = False
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, (here, path)))},
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def exit_code(self) -> int | None:
        """Exit code; negative for a signal. None while it runs or has more to say."""
        return self._process.returncode if self._ended else None

    def poll(self, timeout_s: float) -> list[Progress]:
        """Progress of the child; waits for it, at most `timeout_s`, until woken or until its end.

        A line that is no Progress is passed over.
        """
        if self._ended or self._process.stdout is None:
            return []
        stdout = self._process.stdout
        output, woken = stdout.fileno(), self._wakeup.fileno()
        ready, _, _ = select.select([output, woken], [], [], max(0.0, timeout_s))
        if woken in ready:
            self._wakeup.clear()
        if output not in ready:
            return []
        data = os.read(output, CHUNK)
        if not data:
            self._end(EXIT_S)
            return []
        self._speaks = True  # so it handles SIGHUP, which would have ended it before
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-CHUNK:]
        return [progress for line in lines if (progress := decode(line))]

    def retry(self) -> None:
        """End its wait between two attempts; one that has said nothing yet does not wait."""
        if self._speaks:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Stop it if it still runs; more than once does no harm."""
        self._process.terminate()
        self._end(TERMINATE_S)

    def _end(self, within_s: float) -> None:
        """Wait until it has ended, else kill it; close its output."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._ended = True
