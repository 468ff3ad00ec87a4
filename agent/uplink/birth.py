"""Birth: the first message of a session, above all on the time before it."""

from __future__ import annotations

from agent import __version__
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.model import Json, Moment
    from agent.store import Store


class Birth(Value):
    """Reason why this process began at `began`, and the moment since when none ran, if known.

    `reason`: first start, power cut, reboot, watchdog, out of memory, crash, upgrade, restart or
    unknown.
    """

    reason: str
    since: Moment | None
    began: Moment

    def away_s(self, store: Store) -> float | None:
        """Seconds in which no process ran; None where nothing tells."""
        if self.since is None:
            return None
        if self.since.boot_id == self.began.boot_id:
            return round(self.began.boot_s - self.since.boot_s, 1)
        away_s = store.true_wall_s(self.began) - store.true_wall_s(self.since)
        return max(0.0, round(away_s, 1))

    def facts(
        self,
        store: Store,
        *,
        session_present: bool,
        offline_s: float | None,
        under_voltage: bool | None,
        rolled_back: Json = None,
    ) -> dict[str, Json]:
        """The fields of a session's first message beside `state`.

        `offline_s` is how long this process had no link, None where the cloud does not know of it
        yet; `under_voltage` is None where the board does not tell, `rolled_back` where no version
        was taken back.
        """
        reason, away_s = self.reason, self.away_s(store)
        if offline_s is not None:
            reason, away_s = "network", round(offline_s, 1)
        facts: dict[str, Json] = {
            "reason": reason,
            "away_s": away_s,
            "version": __version__,
            "epoch": store.epoch,
            "queued": store.queued,
            "dropped": store.dropped,
            "session_present": session_present,
        }
        if skipped := store.skipped:
            facts["skipped"] = list(skipped)
        if under_voltage is not None:
            facts["under_voltage"] = under_voltage
        if rolled_back is not None:
            facts["rolled_back"] = rolled_back
        return facts
