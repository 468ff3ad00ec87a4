"""Clock watch: the uplink's waits for a clock that can be trusted, and an eye on its steps."""

from __future__ import annotations

from agent.health import conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.health.health import Health
    from agent.uplink.waits import Waits

LOOK_AGAIN_S = 5.0

#: Longest wait for a clock that is plausible to be set, in the life of the process: where time
#: servers are not reached, AWS may be.
SET_WAIT_S = 120.0

#: AWS takes a signature that is minutes old; a clock that moves by more than this is another one.
STEP_S = 5.0


class ClockWatch:
    """Used in the uplink thread, which alone asks this `clock` whether it is set."""

    def __init__(self, clock: Clock, *, health: Health, waits: Waits) -> None:
        self._clock = clock
        self._health = health
        self._waits = waits
        self._patience_s = SET_WAIT_S
        self._seen = self._look()

    def wait_until_plausible(self) -> None:
        """Wait until certificates can be checked. Raises StoppingError once stopped."""
        while not self._clock.plausible():
            self._health.report(
                conditions.CLOCK_UNSET, "the clock is earlier than this version was made"
            )
            self._health.update(state="offline")
            self._waits.wait(LOOK_AGAIN_S)
        self._health.clear(conditions.CLOCK_UNSET)

    def wait_until_set(self) -> None:
        """Wait until calls can be signed, or patience ends. Raises StoppingError once stopped.

        SIGHUP ends the wait too.
        """
        while self._patience_s > 0 and not self._clock.is_set():
            self._health.update(progress="waiting for a time service to set the clock")
            self._patience_s -= LOOK_AGAIN_S
            if self._waits.wait(LOOK_AGAIN_S):
                break

    def turned(self) -> bool:
        """True if the clock was set, or stepped, since this was asked last."""
        (was_set, before_s), self._seen = self._seen, self._look()
        is_set, offset_s = self._seen
        return (is_set and not was_set) or abs(offset_s - before_s) > STEP_S

    def _look(self) -> tuple[bool, float]:
        return self._clock.is_set(), self._clock.wall_s() - self._clock.boot_s()
