"""A record that the broker answers by ending the connection: found, and kept from the others' way.

AWS IoT closes a connection on a publish that it cannot take, without saying which. So after such an
end records go one at a time; a record that was the only one unacknowledged three times running is
left out once, and set aside if the next one then gets its PUBACK: so it was not the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.mqtt.answers import ClosedError, ServerEndedError
from agent.uplink.subscription import SUSPICIONS, SUSPICIOUS_S

if TYPE_CHECKING:
    from agent.errors import LinkLostError

#: Reasons of a DISCONNECT that speak of the record: malformed, protocol error, not authorized,
#: topic name, too large, payload format; and the one that says nothing.
TELLING = frozenset({0x80, 0x81, 0x82, 0x83, 0x87, 0x90, 0x95, 0x99})


class PoisonWatch:
    """Knowledge of a record at fault over many connections; used in the uplink thread.

    `careful`: records are to go one at a time. `held` are the numbers of the records to leave out.
    """

    def __init__(self) -> None:
        self.careful = False
        self.held = range(0)
        self._suspect: int | None = None
        self._times = 0
        self._trials = 0

    def ended(self, lost: LinkLostError, unacknowledged: list[int], sent_ago_s: float) -> None:
        """Note the end of a connection: what was unacknowledged, and how long ago the last went."""
        if self.held:
            # It ended without that record too: back to its place. Should it come to another trial,
            # more of those behind it are left out too, for two of a kind may follow one another.
            self.held, self._times, self._trials = range(0), 0, self._trials + 1
            return
        told = isinstance(lost, ClosedError) or (
            isinstance(lost, ServerEndedError) and lost.reason in TELLING
        )
        if not told or not unacknowledged or sent_ago_s > SUSPICIOUS_S:
            return
        self.careful = True
        if len(unacknowledged) > 1:
            return
        (seq,) = unacknowledged
        if seq != self._suspect:
            self._suspect, self._times, self._trials = seq, 0, 0
        self._times += 1
        if self._times >= SUSPICIONS:
            self.held = range(seq, seq + 2 ** min(self._trials, 16))

    def acknowledged(self, seq: int) -> int | None:
        """Note a PUBACK; the number of the record that is now proven to be at fault, if any."""
        guilty = self._suspect if self.held and seq not in self.held else None
        if guilty is not None or self._suspect in (seq, None):
            self.careful, self.held = False, range(0)
            self._suspect, self._times, self._trials = None, 0, 0
        return guilty
