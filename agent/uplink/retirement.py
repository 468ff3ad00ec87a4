"""Retirement of certificates: what a new one has replaced is removed at AWS, or told."""

from __future__ import annotations

import logging
import math
import time

from agent.errors import EXIT_OK, CredentialsError
from agent.health import conditions
from agent.identity import Generations, by_hand, has_replaced, load, other_things
from agent.uplink.starting import start_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.health.health import Health
    from agent.health.progress import Progress
    from agent.identity import Credentials
    from agent.uplink.child import Child
    from agent.uplink.waits import Waits

#: There may be no AWS key any more, for ever.
TRY_EVERY_S = 3600.0

#: Time between two looks within a session. After a removal that the end of a session stopped, it
#: doubles up to `TRY_EVERY_S`: the link may flap.
LOOK_EVERY_S = 60.0

log = logging.getLogger(__name__)


class Retirement:
    """Removal of what the credentials in use have replaced; used in the uplink thread.

    `start` starts the child that removes.
    """

    def __init__(
        self,
        config: Config,
        *,
        health: Health,
        waits: Waits,
        start: Callable[..., Child] = start_child,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._certs, self._thing = config.paths.certs, config.thing.name
        self._health = health
        self._waits = waits
        self._start = start
        self._monotonic_s = monotonic_s
        self._child: Child | None = None
        self._proven: Credentials | None = None
        self._try_after_s = self._look_after_s = -math.inf
        self._stopped = 0
        self._left = False
        self._others: list[str] = []

    def connected(self, credentials: Credentials) -> None:
        """Have what `credentials` replaced removed: a CONNACK has just proven them.

        At once if they are new, else at most once an hour. What has been left behind otherwise is
        told, and left alone.
        """
        if credentials.identity is None:
            return
        if credentials != self._proven:
            self._proven, self._try_after_s, self._stopped = credentials, -math.inf, 0
        self._tell_others()
        self._tell_replaced()
        if not has_replaced(self._certs, self._thing):
            self._health.clear(conditions.LEFTOVER_CERTIFICATE)
        self._look_after_s = -math.inf
        self._look()

    def _look(self) -> None:
        """Start that removal if its time has come, and there is something to remove."""
        now_s = self._monotonic_s()
        if self._proven is None or now_s < max(self._look_after_s, self._try_after_s):
            return
        self._look_after_s = now_s + LOOK_EVERY_S
        if not has_replaced(self._certs, self._thing) or not self._in_use(self._proven):
            return
        self._try_after_s = now_s + TRY_EVERY_S
        self._left = False
        try:
            self._child = self._start(self._config, wakeup=self._waits.wakeup, retire=True)
        except OSError as error:
            self._tell(f"its removal cannot be started: {error.strerror}", "")

    def retry(self) -> None:
        """Look again now."""
        self._try_after_s = self._look_after_s = -math.inf

    @property
    def running(self) -> bool:
        """True while that removal runs."""
        return self._child is not None

    def tend(self) -> None:
        """Relay the progress of that removal; one that fails is tried again an hour later."""
        child = self._child
        if child is None:
            self._look()
            return
        if by_hand(self._certs):
            self.disconnected()
            return
        for progress in child.poll(0.0):
            self._relay(progress)
        if child.exit_code is None:
            return
        if child.exit_code == EXIT_OK:
            if not (self._left or has_replaced(self._certs, self._thing)):
                self._health.clear(conditions.LEFTOVER_CERTIFICATE)
        elif not child.troubled:
            self._tell(*child.ending())
        self._tell_replaced()
        child.close()
        self._child, self._stopped = None, 0

    def disconnected(self) -> None:
        """Stop that removal if it still runs: a later session goes on with it."""
        if self._child:
            self._child.close()
            self._child = None
            wait_s = min(LOOK_EVERY_S * 2.0**self._stopped, TRY_EVERY_S)
            self._try_after_s = self._monotonic_s() + wait_s
            self._stopped += 1

    def _relay(self, progress: Progress) -> None:
        if not progress.code:
            log.info("%s", progress.text)
        elif progress.code == conditions.LEFTOVER_CERTIFICATE.code:
            self._left = True  # what is said of it stands, even if the disk has it no more
            self._health.report(conditions.LEFTOVER_CERTIFICATE, progress.text, hint=progress.hint)
        elif progress.code != conditions.NO_AWS_CREDENTIALS.code:
            self._tell(progress.text, progress.hint)
        else:
            self._tell("there is no AWS key to remove it with", "")

    def _tell(self, text: str, hint: str) -> None:
        """Say why the replaced certificate still lives, unless a person has removed it."""
        if has_replaced(self._certs, self._thing):
            text = f"a certificate that was replaced may still live at AWS: {text}"
            self._health.report(conditions.LEFTOVER_CERTIFICATE, text, hint=hint)

    def _tell_replaced(self) -> None:
        ids = Generations(self._certs, self._thing).replaced_ids()
        what = f"certificate {', '.join(ids)} is not used, and its key destroyed; it is left at AWS"
        self._health.stand(conditions.REPLACED_CERTIFICATE, what if ids else "")

    def _tell_others(self) -> None:
        before, self._others = self._others, other_things(self._certs, self._thing)
        for name in {*before, *self._others}:
            text = f"{self._certs} holds an identity of {name}, which this device does not use"
            self._health.stand(
                conditions.LEFTOVER_CERTIFICATE,
                text if name in self._others else "",
                hint=f"`sudo pi-iot-agent deprovision --thing {name}` removes it",
                key=name,
            )

    def _in_use(self, credentials: Credentials) -> bool:
        """True unless a newer generation waits for its own proof, or a person is at it."""
        try:
            return load(self._config) == credentials and not by_hand(self._certs)
        except CredentialsError:
            return False
