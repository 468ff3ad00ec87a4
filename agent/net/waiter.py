"""Wait for sockets: until one is ready, a deadline passes, or the process is to stop."""

from __future__ import annotations

import select
import time

from agent.errors import StoppingError
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable


class Waiter:
    """Waits in the uplink thread; `interrupted()` is asked whenever something ends the wait."""

    def __init__(
        self,
        wakeup: Wakeup,
        interrupted: Callable[[], bool],
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wakeup = wakeup
        self.interrupted = interrupted
        self.now_s = monotonic_s

    def wait(
        self,
        until_s: float,
        *,
        readers: Iterable[socket.socket] = (),
        writers: Iterable[socket.socket] = (),
    ) -> list[socket.socket]:
        """The sockets that are ready; none if the wake-up was set, or `until_s` (`now_s`) came.

        Raises StoppingError if interrupted.
        """
        left_s = max(0.0, until_s - self.now_s())
        watched: list[Wakeup | socket.socket] = [self.wakeup, *readers]
        readable, writable, _ = select.select(watched, list(writers), [], left_s)
        if self.wakeup in readable:
            self.wakeup.clear()
        if self.interrupted():
            raise StoppingError
        return [one for one in readable if not isinstance(one, Wakeup)] + writable
