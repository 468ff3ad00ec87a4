"""Wake-up: a descriptor that ends a wait from another thread."""

from __future__ import annotations

import os
import select
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Wakeup:
    """An eventfd(2): set in any thread or signal handler, waited for in the one that owns it."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def fileno(self) -> int:
        """The descriptor for select: readable while set; -1 once closed."""
        return self._descriptor

    def set(self) -> None:
        """End the wait, or the next one; nothing happens once closed."""
        if self._descriptor >= 0:
            with suppress(BlockingIOError):  # it is set 2**64 times over: set it is
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Make the next wait wait."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def wait(self, timeout_s: float) -> bool:
        """Wait until set, at most `timeout_s`; clear it and tell whether it was set."""
        return self.fileno() in self.wait_for(timeout_s)

    def wait_for(self, timeout_s: float, *descriptors: int) -> frozenset[int]:
        """Wait until it is set or a descriptor is readable, at most `timeout_s`; which of them.

        It is cleared. One that failed, or was closed meanwhile, counts as readable; a negative one,
        of what is closed, never is.
        """
        poll = select.poll()  # unlike select(2) it knows descriptors above 1023
        for descriptor in (self.fileno(), *(one for one in descriptors if one >= 0)):
            poll.register(descriptor, select.POLLIN)
        ready = frozenset(one for one, _ in poll.poll(max(0.0, timeout_s) * 1000))
        if self.fileno() in ready:
            self.clear()
        return ready

    def close(self) -> None:
        """Give the descriptor back; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, -1  # first, for who sets it just now
        if descriptor >= 0:
            os.close(descriptor)
