"""A pseudo-terminal at which a person uses a command."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from typing import TYPE_CHECKING

from tests.integration.agent_process import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Terminal:
    """A command at a pseudo-terminal, as a person sees and answers it."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.seen = ""
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            os.chdir(ROOT)
            os.execve(command[0], command, environment)  # noqa: S606 -- no shell
            os._exit(1)

    def answer(self, question: str, text: str) -> None:
        """Wait until the question is the last thing on the screen, and type."""
        answered = len(self.seen)
        self._read(lambda: _plain(self.seen[answered:]).endswith(question))
        self.type(text)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._screen, text.encode())

    def end(self, *, pressing: str = "") -> int:
        """The exit code, once it has ended; until then these keys are pressed twice a second."""
        self.type(pressing)
        self._read(lambda: False, pressing)
        os.close(self._screen)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self, enough: Callable[[], bool], pressing: str = "") -> None:
        until_s = time.monotonic() + 60
        while not enough():
            assert time.monotonic() < until_s, self.seen
            if not select.select([self._screen], [], [], 0.5)[0]:
                self.type(pressing)
            else:
                try:
                    data = os.read(self._screen, 65536)
                except OSError:  # EIO: nobody has the other end any more
                    return
                if not data:
                    return
                self.seen += data.decode()


def _plain(seen: str) -> str:
    """Without the default, which may be this machine's name."""
    return re.sub(r"\[[^\]]*\]: $", "[]: ", seen)
