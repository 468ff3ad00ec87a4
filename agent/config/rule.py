"""Rule: one of [[rules]], which is loaded only where there are some."""

from __future__ import annotations

from agent.config.fields import command, number, text
from agent.model import DAY_S
from agent.value import Value

#: Local hours, from and until; 24:00 is the end of the day.
HOURS = r"([01]?\d|2[0-3]):[0-5]\d ?- ?(([01]?\d|2[0-3]):[0-5]\d|24:00)"


class Rule(Value, kw_only=True):
    """Rule by which a person wants to be told: its limit, for how long, and what is run then.

    One of `quiet_for_s`, `offline_for_s`, `above` and `below` is given, as `rules.py` sees to it,
    with `hysteresis` for the last two, whose `quantity` may be `wbgt_c`. `hours` are local.
    """

    name: str = text(..., r"[a-zA-Z0-9_-]{1,64}", "1 to 64 of the characters a-z A-Z 0-9 _ -")
    quiet_for_s: float | None = number(None, 60, 31 * DAY_S)
    hours: str = text("", HOURS, "hours such as 07:00-22:00")
    sensor: str = text("")
    quantity: str = text("", r"[A-Za-z_][A-Za-z0-9_]{0,63}", "a name such as temperature_c")
    above: float | None = number(None, -1e9, 1e9)
    below: float | None = number(None, -1e9, 1e9)
    for_s: float = number(0.0, 0, 31 * DAY_S)
    hysteresis: float | None = number(None, 0, 1e9)
    offline_for_s: float | None = number(None, 60, 31 * DAY_S)
    command: tuple[str, ...] = command(())
    command_timeout_s: float = number(30.0, 1, 3600)

    @property
    def kind(self) -> str:
        """Kind: "quiet", "offline", "above" or "below"."""
        limits = {"quiet": self.quiet_for_s, "offline": self.offline_for_s, "above": self.above}
        return next((kind for kind, limit in limits.items() if limit is not None), "below")

    @property
    def limit(self) -> float:
        """The limit of its kind."""
        given = (self.quiet_for_s, self.offline_for_s, self.above, self.below)
        return next((limit for limit in given if limit is not None), 0.0)
