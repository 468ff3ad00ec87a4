"""Losses of the link: each is told, with its cause, as a condition."""

from __future__ import annotations

import math
import time

from agent.health import conditions
from agent.uplink import connect
from agent.uplink.diagnosis import cause_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config import Config
    from agent.errors import LinkLostError
    from agent.facts import LinkWatch
    from agent.health.health import Health
    from agent.identity import Credentials
    from agent.uplink.admission import Admission

#: A second take-over within this time means that another device uses the name.
TAKEN_OVER_AGAIN_S = 3600.0


class Losses:
    """Tells of lost links, and of attempts that failed; used in the uplink's thread."""

    def __init__(
        self,
        config: Config,
        admission: Admission,
        link: LinkWatch,
        *,
        health: Health,
        clock: Clock,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._admission = admission
        self._health = health
        self._clock = clock
        self._link = link
        self._monotonic_s = monotonic_s
        self._taken_over_s = -math.inf

    def tell(self, lost: LinkLostError, credentials: Credentials) -> bool:
        """Tell how the link was lost; True if AWS wants to see the certificate again soon."""
        host = connect.endpoint(self._config, credentials)
        withheld_s = self._admission.withheld_s(lost, credentials, host)
        cause = cause_of(
            lost,
            identity=credentials.identity,
            wall_s=self._clock.wall_s(),
            advice=connect.advice(self._config, credentials),
            withheld_s=withheld_s,
        )
        self._link.went_down(lost.text)
        self._health.update(state="offline")
        self._health.report(conditions.OFFLINE, lost.text, hint=cause.hint)
        if cause.condition is conditions.TAKEN_OVER:
            self._taken_over(lost, cause.hint)
        elif cause.condition:
            self._health.report(cause.condition, lost.text, hint=cause.hint)
        return withheld_s == 0

    def _taken_over(self, lost: LinkLostError, hint: str) -> None:
        """Once, it may have been this device itself: `provision` and `doctor` connect too."""
        again = self._monotonic_s() - self._taken_over_s < TAKEN_OVER_AGAIN_S
        self._taken_over_s = self._monotonic_s()
        text = "another device uses this name: it takes turns with us" if again else lost.text
        self._health.report(conditions.TAKEN_OVER, text, hint="" if again else hint)
