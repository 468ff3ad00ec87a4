"""Child process that provisions: it tells its progress, and takes its memory with it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress

from agent.config import resolved
from agent.health.progress import Progress, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from agent.config import Config
    from agent.wakeup import Wakeup

CHUNK = 65536

#: What is kept of stderr, and shown of a line.
KEPT = 4096
SHOWN = 300

#: Longest time to end: after its last word, and when told to.
EXIT_S = 10.0
TERMINATE_S = 1.0

#: Program of the child: it finds modules where this process does, and nowhere else.
BOOT = (
    "import os, sys; sys.path[:] = sys.argv[1].split(os.pathsep); del sys.argv[:2]; "
    "from agent.cli.main import main; sys.exit(main())"
)

#: What an AWS secret or session token looks like; a stranger's error could quote one.
SECRET = re.compile(r"[A-Za-z0-9/+=]{40,}")


class Child:
    """`pi-iot-agent provision-child` under the hand of one thread, which alone uses this.

    It is given `config` as it is in use, whatever has become of the file. With `retire` it only
    removes what has been replaced, with `rotate` it makes a new certificate ready beside the one in
    use. It ends when that thread or its process does (PR_SET_PDEATHSIG, prctl(2)). Raises OSError
    if it cannot be started.
    """

    def __init__(
        self,
        config: Config,
        *,
        wakeup: Wakeup,
        retire: bool = False,
        rotate: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        command = [sys.executable, "-I", "-c", BOOT, os.pathsep.join(sys.path)]
        command += ["agent", "provision-child"]
        command += ["--config", str(config.path), "--parent", str(os.getpid())]
        command += ["--retire"] * retire + ["--rotate"] * rotate
        self._wakeup = wakeup
        self._line = b""
        self._errors = b""
        self._ended = False
        self._told: Progress | None = None
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment)
        )
        self._pipes = [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe]
        os.set_blocking(self._pipes[1].fileno(), False)
        if stdin := self._process.stdin:
            with suppress(BrokenPipeError), stdin:
                stdin.write(json.dumps(resolved(config)).encode())

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

    @property
    def troubled(self) -> bool:
        """True if the last thing that it told is a trouble."""
        return self._told is not None and bool(self._told.code)

    def ending(self) -> tuple[str, str]:
        """End of the process, in words, with its last line on stderr; and a hint."""
        return ending(self._process.returncode, self._errors)

    def poll(self, timeout_s: float) -> list[Progress]:
        """Progress of the child; waits for it, at most `timeout_s`, until woken or until its end.

        A line that is no Progress is passed over.
        """
        if self._ended:
            return []
        output, *errors = [pipe.fileno() for pipe in self._pipes]
        woken = self._wakeup.fileno()
        ready, _, _ = select.select([output, *errors, woken], [], [], max(0.0, timeout_s))
        if woken in ready:
            self._wakeup.clear()
        if any(one in ready for one in errors):
            self._hear_errors()
        if output not in ready:
            return []
        data = os.read(output, CHUNK)
        if not data:
            self._end(EXIT_S)
            return []
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-CHUNK:]
        found = [progress for line in lines if (progress := decode(line))]
        self._told = found[-1] if found else self._told
        return found

    def retry(self) -> None:
        """End its wait between two attempts; one that has said nothing yet does not wait."""
        if self._told:  # so it handles SIGHUP, which would have ended it before
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Stop it if it still runs; more than once does no harm."""
        self._process.terminate()
        self._end(TERMINATE_S)

    def _hear_errors(self) -> None:
        """Keep the end of what it says on stderr; at its end, listen there no more."""
        with suppress(BlockingIOError):
            data = os.read(self._pipes[1].fileno(), CHUNK)
            self._errors = (self._errors + data)[-KEPT:]
            if not data:
                self._pipes.pop().close()

    def _end(self, within_s: float) -> None:
        """Wait until it has ended, else kill it; close its output."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if not self._ended and len(self._pipes) > 1:
            self._hear_errors()
        for pipe in self._pipes:
            pipe.close()
        self._ended = True


def ending(code: int, errors: bytes) -> tuple[str, str]:
    """End of a process, in words, by its exit code and last line on stderr; and a hint."""
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines()]
    lines = [SECRET.sub("…", line)[:SHOWN] for line in lines if line]
    hint = "`sudo pi-iot-agent provision` does the same before your eyes"
    if lines and lines[-1].startswith("hint: "):
        hint = lines.pop().removeprefix("hint: ")
    how = f"it ended with exit code {code}"
    if code < 0:
        how = f"it was ended by signal {-code}"
        with suppress(ValueError):
            how = f"it was ended by {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:
        hint = "memory may have run out: see `journalctl -k`"
    return ": ".join([how, *lines[-1:]]), hint
