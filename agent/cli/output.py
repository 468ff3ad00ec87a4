"""Output of a command: plain text on stdout, what is wrong on stderr, and the exit code of it."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import contextmanager, suppress

from agent.errors import (
    EXIT_FAILURE,
    EXIT_OK,
    EXIT_USAGE,
    SERVICE,
    AgentError,
    ConfigError,
    OutputError,
    is_service,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

PROGRAM = "pi-iot-agent"

#: Exit code that a shell reports for a process that Ctrl-C ended.
EXIT_INTERRUPTED = 130

#: Set in the environment, it shows the traceback of an internal error.
DEBUG = "PI_IOT_AGENT_DEBUG"

#: Controls of a terminal, shown as what they are: a status or a payload may come from anywhere.
CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}

#: Signs that turn the direction of what follows, so that it reads as something else (UAX 9).
CONTROLS |= {
    code: f"\\u{code:04x}"
    for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}

#: What only sets a terminal's colours.
COLOUR = r"(\x1b\[[0-9;]*m)"


class Output(io.TextIOBase):
    """A stream without terminal controls; what it cannot write is an OutputError, and then lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        #: What could not be written, for the end of the command.
        self.lost: OutputError | None = None

    def write(self, text: str) -> int:
        """Write `text`, and whole lines at once."""
        try:
            return self._stream.write(text.translate(CONTROLS))
        except OSError as error:
            raise self._lost(error) from None

    def paint(self, text: str) -> int:
        """Write `text` as `write` does, but with the colours in it (SGR, ECMA-48 8.3.117)."""
        plain, *rest = re.split(COLOUR, text)
        try:
            written = self._stream.write(plain.translate(CONTROLS))
            for colour, plain in zip(rest[::2], rest[1::2], strict=True):
                written += self._stream.write(colour + plain.translate(CONTROLS))
        except OSError as error:
            raise self._lost(error) from None
        return written

    def has(self, signs: str) -> bool:
        """True if all of these can be written as they are."""
        try:
            signs.encode(self._stream.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def flush(self) -> None:
        """Write what is kept back."""
        try:
            self._stream.flush()
        except OSError as error:
            raise self._lost(error) from None

    def check(self) -> None:
        """Raise the OutputError of something that was lost, though the work went on."""
        if self.lost:
            raise self.lost

    def isatty(self) -> bool:
        """True if a person reads it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor."""
        return self._stream.fileno()

    def _lost(self, error: OSError) -> OutputError:
        # The interpreter would try once more at its end, and complain.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        text = f"the output cannot be written: {error.strerror}"
        if isinstance(error, BrokenPipeError):  # the reader, head for one, has seen enough
            text = ""
        self.lost = OutputError(text, hint="check where it goes to")
        return self.lost


@contextmanager
def streams() -> Iterator[None]:
    """Have stdin, stdout and stderr be there while inside, whatever this process was given."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: the next file that is opened must not be it
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal shows names it cannot write
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    sys.stdout, sys.stderr = map(Output, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def tell(text: str) -> None:
    """Print a line at once; that it cannot be written, or nobody reads it, ends no work."""
    with suppress(OutputError):
        print(text, flush=True)


def guarded(work: Callable[[], int], *, to_the_end: bool = False) -> int:
    """The exit code of `work`; what it raises is told in words.

    With `to_the_end` an output that was lost is no failure of what is done.
    A defect's traceback is shown only with PI_IOT_AGENT_DEBUG set.
    """
    try:
        code = work()
        sys.stdout.flush()
        if isinstance(sys.stdout, Output) and code == EXIT_OK and not to_the_end:
            sys.stdout.check()
    except SystemExit as end:  # argparse's way to say that it has printed help or a usage error
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    except AgentError as error:
        if error.text:
            complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        say(f"{PROGRAM}: internal error: {error!r}; set {DEBUG}=1 for more")
        return EXIT_FAILURE
    return code


def complain(error: AgentError) -> None:
    """Print to stderr what went wrong and what to do next.

    A configuration's problems begin with the file's path, as compilers' messages do.
    """
    if isinstance(error, ConfigError):
        lines = list(error.problems)
    else:
        lines = [f"{PROGRAM}: {line}" for line in error.text.splitlines()]
    hint = error.hint
    if "with sudo" in hint and is_service():  # that is how it was run
        hint = f"the service's user {SERVICE} must be able to do that: see owner and mode"
    say(*lines, *([f"hint: {hint}"] if hint else []))


def say(*lines: str) -> None:
    """Print to stderr; where that is systemd's journal, each line as an error (sd-daemon(3)).

    systemd says in JOURNAL_STREAM which file that is (systemd.exec(5)).
    """
    try:
        status = os.fstat(sys.stderr.fileno())
        journal = os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    except OSError:  # it is no file
        journal = False
    print(*(f"<3>{line}" if journal else line for line in lines), sep="\n", file=sys.stderr)
