"""The link watch: whether there is a connection, since when, and why not; any thread may ask."""

from __future__ import annotations

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.model import Moment


class Link(Value):
    """State of the link: up, or down since a moment and by a cause in words."""

    up: bool
    since: Moment
    cause: str = ""


class LinkWatch:
    """The uplink says how the link is; whoever wants to know reads `state`, without a wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.state = Link(up=False, since=clock.now(), cause="not connected yet")

    def went_up(self) -> None:
        """Note that the broker has accepted us."""
        self.state = Link(up=True, since=self._clock.now())

    def went_down(self, cause: str) -> None:
        """Note that the link was lost, or an attempt failed; the first cause since then stays."""
        if self.state.up or self.state.cause == "not connected yet":
            since = self._clock.now() if self.state.up else self.state.since
            self.state = Link(up=False, since=since, cause=cause)
