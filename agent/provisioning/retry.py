"""Retry of a step at AWS: the one place that calls tenacity."""

from __future__ import annotations

import time

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    wait_fixed,
    wait_random_exponential,
)

from agent.errors import AgentError, LinkLostError, TransientCloudError
from agent.health.progress import Progress, trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0


class Retry:
    """Runs each step until it succeeds, is refused, or `patience_s` is over.

    The waits are full jitter under a cap that doubles, from half a second to half a minute.
    `sleep(seconds)` may return early to have the next attempt made at once; `clock` tells how much
    patience is left. Only arguments that tenacity 8.2.1 has are used.
    """

    def __init__(
        self,
        say: Callable[[Progress], None],
        *,
        patience_s: float,
        sleep: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.say = say
        self._patience_s = patience_s
        self._sleep = sleep
        self._clock = clock

    def done(self, step: str, text: str) -> None:
        """Say that a step is done, and what came of it."""
        self.say(Progress(step, text))

    def run(
        self,
        step: str,
        act: Callable[[], Result],
        *,
        patience_s: float = 0.0,
        at_least_s: float = 0.0,
    ) -> Result:
        """The result of `act`; raises its last error.

        A `patience_s` longer than the usual one counts; `at_least_s` is the shortest wait.
        """
        until_s = self._clock() + max(patience_s, self._patience_s)

        def tell(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, AgentError):
                progress = trouble(step, error)
                once = state.attempt_number == 1  # a single hiccup is no condition yet
                self.say(Progress(step, progress.text) if once else progress)

        retrying = Retrying(
            sleep=self._sleep,
            stop=lambda _: self._clock() >= until_s,
            wait=wait_fixed(at_least_s)
            + wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            retry=retry_if_exception_type((TransientCloudError, LinkLostError)),
            before_sleep=tell,
            reraise=True,
        )
        return retrying(act)
