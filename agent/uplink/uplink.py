"""The worker that owns all that talks to AWS: provision, connect, serve, wait, again.

Nothing is remembered across an error but how long to wait: every attempt reads the credentials and
the store anew, so that the way back after a failure is the way in after a start.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from agent import __version__
from agent.errors import CredentialsError, LinkLostError, StoppingError
from agent.health.health import (
    CLOCK_UNSET,
    NOT_AUTHORIZED,
    NOT_SUBSCRIBED,
    OFFLINE,
    TAKEN_OVER,
)
from agent.net.ports import Ports
from agent.uplink import connect
from agent.uplink.birth import under_voltage
from agent.uplink.diagnosis import cause_of
from agent.uplink.enrolment import LOOK_AGAIN_S, Enrolment
from agent.uplink.outbox import Outbox
from agent.uplink.patience import Patience
from agent.uplink.poison import Suspicion
from agent.uplink.session import Receiver, Session, Tally
from agent.uplink.subscription import Subscription
from agent.uplink.waits import BETWEEN_CONNECTS_S, STABLE_S, Backoff

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.config.settings import Config
    from agent.health.health import Health
    from agent.identity.credentials import Credentials
    from agent.model import Json
    from agent.mqtt.answers import Accepted
    from agent.mqtt.connection import Connection
    from agent.store.store import Store
    from agent.uplink.birth import Away
    from agent.wakeup import Wakeup

WORKER = "uplink"

#: A second take-over within this time means that another device uses the name.
TAKEN_OVER_AGAIN_S = 3600.0

log = logging.getLogger(__name__)


class Uplink:
    """Runs in one thread, `run()`; any thread may call `stop()`, `retry()` and `record_waits()`."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        away: Away,
        health: Health,
        clock: Clock,
        wakeup: Wakeup,
    ) -> None:
        self._config = config
        self._thing = config.thing.name
        self._store = store
        self._away = away
        self._began = clock.now()
        self._health = health
        self._clock = clock
        self._wakeup = wakeup
        self._patience = Patience(WORKER, health=health, wakeup=wakeup)
        self._backoff = self._new_backoff()
        self._enrolment = Enrolment(
            config, health=health, patience=self._patience, backoff=self._backoff
        )
        self._ports = Ports(config.mqtt.port)
        self._taken_over_s = -math.inf
        self._subscription = Subscription()
        self._suspicion = Suspicion()
        self._tally = Tally()
        self._stop_by_s = 0.0
        self._lost_s = 0.0
        self._online = False

    def stop(self, by_s: float) -> None:
        """Finish by `by_s` (time.monotonic): drain if online, else at once."""
        self._stop_by_s = by_s
        self._patience.stop()

    def retry(self) -> None:
        """End whatever wait is going on and try again now."""
        self._patience.retry()

    def record_waits(self) -> None:
        """A record was stored; it goes up now if there is a connection, and wakes nobody if not."""
        if self._online:
            self._wakeup.set()

    def run(self) -> None:
        """Keep the device connected until stopped; an exception that leaves it is a defect."""
        try:
            while not self._patience.stopping:
                self.step()
        except StoppingError:
            pass

    def step(self) -> None:
        """One attempt, from the credentials on disk to the end of the session and the wait after.

        Raises StoppingError once stopped.
        """
        self._wait_for_clock()
        credentials = self._enrolment.credentials()
        self._health.update(state="connecting")
        try:
            self._connect(credentials)
        except LinkLostError as lost:
            self._went_offline(lost, credentials)
            if self._patience.wait(self._backoff.next_s()):
                self._patience.wait(BETWEEN_CONNECTS_S)
        except CredentialsError as changed:
            log.warning("%s", changed.text)  # since they were checked; the next step looks again

    def _wait_for_clock(self) -> None:
        while not self._clock.plausible():
            self._health.report(CLOCK_UNSET, "the clock is earlier than this version was made")
            self._health.update(state="offline")
            self._patience.wait(LOOK_AGAIN_S)
        self._health.clear(CLOCK_UNSET)

    def _connect(self, credentials: Credentials) -> None:
        """Hold one session from dialling to its end. Raises LinkLostError, StoppingError."""
        self._health.update(endpoint=connect.endpoint(self._config, credentials))
        receiver = Receiver(self._thing, self._store, self._health, self._tally)
        self._patience.beat(connect.longest_s(self._config))
        with connect.connection(
            self._config,
            credentials,
            wakeup=self._wakeup,
            interrupted=lambda: self._patience.stopping,
            on_message=receiver.message,
            ports=self._ports,
        ) as connection:
            self._serve(connection, connection.open(), receiver, credentials)

    def _serve(
        self,
        connection: Connection,
        accepted: Accepted,
        receiver: Receiver,
        credentials: Credentials,
    ) -> None:
        mqtt = self._config.mqtt
        outbox = Outbox(
            self._store,
            window=min(mqtt.max_inflight, accepted.receive_maximum),
            per_s=mqtt.max_publish_per_s,
            backoff=self._new_backoff(),
            suspicion=self._suspicion,
        )
        session = Session(
            self._thing,
            connection,
            outbox,
            subscription=self._subscription,
            receiver=receiver,
            tally=self._tally,
            store=self._store,
            health=self._health,
            clock=self._clock,
        )
        self._went_online(accepted)
        self._enrolment.connected(credentials)
        online_s = time.monotonic()
        try:
            session.announce("online", **self._birth(accepted))
            while not self._patience.stopping:
                self._patience.beat()
                session.step()
                self._enrolment.tend()
                if time.monotonic() - online_s > STABLE_S:
                    self._health.clear(TAKEN_OVER)
            session.finish(self._stop_by_s)
        except LinkLostError as lost:
            outbox.ended(lost)
            raise
        finally:
            self._online = False
            self._lost_s = time.monotonic()
            self._enrolment.disconnected()
            self._subscription.ended()
            self._backoff.ended(time.monotonic() - online_s)
            self._patience.retry_wanted()  # one from this session's time has nothing to retry

    def _birth(self, accepted: Accepted) -> dict[str, Json]:
        """What the first message of a session says beside `state`: above all what was before it."""
        reason, away_s = self._away.reason, self._away.seconds(self._began, self._store)
        if self._tally.announced:
            reason, away_s = "network", round(time.monotonic() - self._lost_s, 1)
        facts: dict[str, Json] = {
            "reason": reason,
            "away_s": away_s,
            "version": __version__,
            "epoch": self._store.epoch,
            "queued": self._store.queued,
            "dropped": self._store.dropped,
            "session_present": accepted.session_present,
        }
        if skipped := self._store.skipped:
            facts["skipped"] = list(skipped)
        if (low := under_voltage()) is not None:
            facts["under_voltage"] = low
        return facts

    def _new_backoff(self) -> Backoff:
        return Backoff(self._config.mqtt.backoff_min_s, self._config.mqtt.backoff_max_s)

    def _went_online(self, accepted: Accepted) -> None:
        self._online = True
        self._subscription.connected(session_present=accepted.session_present)
        self._health.clear(OFFLINE)
        self._health.clear(NOT_AUTHORIZED)
        self._health.update(state="online", session_present=accepted.session_present)

    def _went_offline(self, lost: LinkLostError, credentials: Credentials) -> None:
        cause = cause_of(lost, identity=credentials.identity, wall_s=self._clock.wall_s())
        self._health.update(state="offline")
        self._health.report(OFFLINE, lost.text, hint=cause.hint)
        if cause.condition is TAKEN_OVER:
            self._taken_over(lost, cause.hint)
        elif cause.condition:
            self._health.report(cause.condition, lost.text, hint=cause.hint)
        if self._subscription.forbidden:
            self._health.report(
                NOT_SUBSCRIBED, "the broker refuses SUBSCRIBE or ends the connection on it"
            )

    def _taken_over(self, lost: LinkLostError, hint: str) -> None:
        """Once, it may have been this device itself: `provision` and `doctor` connect too."""
        again = time.monotonic() - self._taken_over_s < TAKEN_OVER_AGAIN_S
        self._taken_over_s = time.monotonic()
        if again:
            self._health.report(TAKEN_OVER, "another device uses this name: it takes turns with us")
        else:
            self._health.report(TAKEN_OVER, lost.text, hint=hint)
