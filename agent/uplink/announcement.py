"""Announcements on `<thing>/status`: birth, farewell and last will; no records, so no number."""

from __future__ import annotations

from agent.model import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json

STATUS = "status"

#: The two words of a state; the first goes with the facts of a birth.
ONLINE, OFFLINE = "online", "offline"

#: Facts of a farewell, and the message that the broker sends when the connection is lost.
STOPPED: Mapping[str, Json] = {"reason": "stopped"}
UPGRADED: Mapping[str, Json] = {"reason": "upgrade"}
REPLACED: Mapping[str, Json] = {"reason": "new certificate"}
WILL: Mapping[str, Json] = {"state": OFFLINE, "reason": "connection lost"}


def announcement(state: str, facts: Mapping[str, Json], *, wall_s: float) -> bytes:
    """The payload that announces `state` at `wall_s`."""
    return encode({"Timestamp": round(wall_s, 3), "state": state, **facts})
