"""The worker that owns all that talks to AWS: provision, connect, serve, wait, again.

Nothing is remembered across an error but how long to wait: every attempt reads the credentials and
the store anew, so that the way back after a failure is the way in after a start.
"""

from __future__ import annotations

import logging
import time

from agent.errors import CredentialsError, LinkLostError, StoppingError
from agent.health import conditions
from agent.health.health import UPLINK
from agent.model import COUNT
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.net import Ports
from agent.updates import Upgrades
from agent.uplink import connect
from agent.uplink.admission import Admission
from agent.uplink.announcement import ONLINE, REPLACED, STOPPED, UPGRADED
from agent.uplink.clock_watch import ClockWatch
from agent.uplink.enrolment import Enrolment
from agent.uplink.forbidden import Forbidden
from agent.uplink.inbox import Inbox, Totals
from agent.uplink.losses import Losses
from agent.uplink.outbox import Outbox
from agent.uplink.retirement import Retirement
from agent.uplink.rotation import Rotation
from agent.uplink.session import Session
from agent.uplink.waits import BEAT_S, CALLED_S, STABLE_S, Backoff, Waits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config import Config
    from agent.facts import Facts
    from agent.health.health import Health
    from agent.identity import Credentials
    from agent.model import Json
    from agent.mqtt import Connection
    from agent.mqtt.answers import Accepted
    from agent.store import Store
    from agent.uplink.birth import Birth
    from agent.wakeup import Wakeup

#: Time for what flies before a session ends for another one.
FINISH_S = 2.0

#: A broker that takes less takes no message of ours; nothing is set aside for that.
LEAST_PACKET = 256

log = logging.getLogger(__name__)


class Uplink:
    """Runs in one thread, `run()`; any thread may call `stop()`, `retry()` and `records_wait()`.

    `serial` is the board's number. `under_voltage` tells whether the board had too little since it
    started, None if unknown. No other thread asks `clock` whether it is set. `on_call` is called
    when a call for help has had its answer. `open_connection` is that of `connect`.
    """

    name = UPLINK

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        birth: Birth,
        facts: Facts,
        health: Health,
        clock: Clock,
        wakeup: Wakeup,
        serial: str | None = None,
        upgrades: Upgrades | None = None,
        under_voltage: Callable[[], bool | None] = lambda: None,
        on_call: Callable[[], None] = lambda: None,
        open_connection: Callable[..., Connection] = connect.connection,
        waits: Waits | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._thing = config.thing.name
        self._store = store
        self._birth = birth
        self._facts = facts
        self._upgrades = upgrades or Upgrades()
        self._under_voltage = under_voltage
        self._health = health
        self._clock = clock
        self._on_call = on_call
        self._wakeup = wakeup
        self._open_connection = open_connection
        self._waits = waits or Waits(self.name, health=health, wakeup=wakeup)
        self._monotonic_s = monotonic_s
        self._backoff = self._new_backoff()
        clock_watch = ClockWatch(clock, health=health, waits=self._waits)
        self._enrolment = Enrolment(
            config,
            serial=serial,
            health=health,
            waits=self._waits,
            backoff=self._backoff,
            clock_watch=clock_watch,
        )
        self._retirement = Retirement(config, health=health, waits=self._waits)
        self._rotation = Rotation(config, health=health, waits=self._waits, clock=clock)
        self._ports = Ports(config.mqtt.port)
        self._admission = Admission(store, monotonic_s=monotonic_s)
        self._losses = Losses(
            config, self._admission, facts.link, health=health, clock=clock, monotonic_s=monotonic_s
        )
        self._forbidden = Forbidden(
            self._thing, health=health, urgent=lambda: store.urgent, monotonic_s=monotonic_s
        )
        self._urged = 0  # so often it was by the last attempt
        self._spare = int(any(one.sos for one in config.sensors))
        # Noted at an orderly stop alone, and taken back: after a crash SUBSCRIBE is sent again.
        self._totals = Totals(store.recall("subscribed"))
        store.remember(subscribed="")
        self._stop_by_s = self._lost_s = 0.0
        self._online = False

    def stop(self, by_s: float) -> None:
        """Finish by `by_s` (time.monotonic): drain if online, else at once."""
        self._stop_by_s = by_s
        self._waits.stop()

    def retry(self) -> None:
        """End whatever wait is going on and try again now."""
        self._waits.retry()

    def records_wait(self) -> bool:
        """Say that records were stored; True if they go up now, since there is a connection.

        Nobody is woken where there is none, but for a call for help, which has it tried at once.
        """
        if self._online:
            self._wakeup.set()
        elif self._store.urged != self._urged:
            self._waits.retry()
        return self._online

    def run(self) -> None:
        """Keep the device connected until stopped; an exception that leaves it is a defect."""
        try:
            while not self._waits.stopping:
                self.step()
        except StoppingError:
            pass
        self._store.remember(subscribed=self._totals.subscribed)

    def step(self) -> None:
        """One attempt, from the credentials on disk to the end of the session and the wait after.

        Raises StoppingError once stopped.
        """
        credentials = self._rotation.credentials(self._enrolment.credentials())
        self._health.update(state="connecting")
        self._urged = self._store.urged
        try:
            self._connect(credentials)
            if not self._waits.stopping:  # for a new certificate
                self._waits.wait(BETWEEN_CONNECTS_S)
        except LinkLostError as lost:
            again_s = self._monotonic_s() + BETWEEN_CONNECTS_S
            if self._losses.tell(lost, credentials):
                self._backoff.anew()
            delay_s, urged = self._delay_s(), self._store.urged != self._urged
            if urged or self._waits.wait(delay_s):
                self._forbidden.retry()
            while (left_s := again_s - self._monotonic_s()) > 0:
                self._waits.wait(left_s)  # however often that is wished
        except CredentialsError as changed:
            log.warning("%s", changed.text)  # since they were checked; the next step looks again
            self._waits.wait(self._delay_s())

    def _connect(self, credentials: Credentials) -> None:
        """Hold one session from dialling to its end. Raises LinkLostError, StoppingError."""
        self._health.update(endpoint=connect.endpoint(self._config, credentials))
        inbox = Inbox(self._thing, self._store, self._health, self._totals, modes=self._facts.modes)
        self._waits.beat(connect.longest_s(self._config))
        with self._open_connection(
            self._config,
            credentials,
            wakeup=self._wakeup,
            interrupted=lambda: self._waits.stopping,
            on_message=inbox.message,
            ports=self._ports,
        ) as connection:
            try:
                accepted = connection.open()
            except (LinkLostError, StoppingError):
                if connection.asked:  # there may be a new session, of which we have not heard
                    self._totals.subscribed = ""
                raise
            if not accepted.session_present:
                self._totals.subscribed = ""
            self._serve(connection, accepted, inbox, credentials)

    def _serve(
        self,
        connection: Connection,
        accepted: Accepted,
        inbox: Inbox,
        credentials: Credentials,
    ) -> None:
        if accepted.maximum_packet_size < LEAST_PACKET:
            raise LinkLostError(f"the broker takes {accepted.maximum_packet_size} bytes at most")
        outbox = Outbox(
            self._store,
            accepted,
            window=self._config.mqtt.max_inflight,
            per_s=self._config.mqtt.max_publish_per_s,
            backoff=self._new_backoff(),
            forbidden=self._forbidden,
            spare=self._spare,
            monotonic_s=self._monotonic_s,
        )
        session = self._session(connection, outbox, inbox, credentials)
        birth = self._went_online(accepted)
        self._admission.granted(credentials, connect.endpoint(self._config, credentials))
        self._rotation.connected(credentials)
        self._enrolment.connected(credentials)
        self._retirement.connected(credentials)
        online_s = self._monotonic_s()
        try:
            session.announce(ONLINE, birth)
            while not self._waits.stopping:
                self._waits.beat()
                if self._waits.retry_wanted():
                    outbox.retry()
                    self._rotation.retry()
                    self._retirement.retry()
                session.step(min(BEAT_S, self._rotation.look_s))
                self._retirement.tend()
                if self._rotation.tend(credentials, idle=not self._retirement.running):
                    session.finish(self._monotonic_s() + FINISH_S, why=REPLACED)
                    return
                if self._monotonic_s() - online_s > STABLE_S:
                    self._health.clear(conditions.TAKEN_OVER)
            why = UPGRADED if self._upgrades.begun() else STOPPED
            session.finish(self._stop_by_s, why=why)
        except LinkLostError as lost:
            self._forbidden.ended(lost, outbox.unanswered())
            raise
        finally:
            self._online = False
            self._lost_s = self._monotonic_s()
            self._retirement.disconnected()
            self._rotation.disconnected()
            self._backoff.ended(self._monotonic_s() - online_s)
            if self._waits.retry_wanted():
                self._forbidden.retry()  # that is all there is to a wish from the session's time

    def _session(
        self, connection: Connection, outbox: Outbox, inbox: Inbox, credentials: Credentials
    ) -> Session:
        return Session(
            self._thing,
            connection,
            outbox,
            subscription=f"{connect.endpoint(self._config, credentials)} {self._thing}/{COUNT}",
            inbox=inbox,
            totals=self._totals,
            store=self._store,
            health=self._health,
            clock=self._clock,
            on_call=self._on_call,
            monotonic_s=self._monotonic_s,
        )

    def _delay_s(self) -> float:
        """Seconds until the next attempt, few of them while a call for help waits."""
        delay_s = self._backoff.next_s()
        return min(delay_s, CALLED_S) if self._store.urgent else delay_s

    def _went_online(self, accepted: Accepted) -> dict[str, Json]:
        self._online = True
        self._facts.link.went_up()
        self._health.clear(conditions.OFFLINE)
        self._health.clear(conditions.NOT_AUTHORIZED)
        self._health.update(state="online", session_present=accepted.session_present)
        return self._facts.shown() | self._birth.facts(
            self._store,
            session_present=accepted.session_present,
            offline_s=self._monotonic_s() - self._lost_s if self._totals.announced else None,
            under_voltage=self._under_voltage(),
            rolled_back=self._upgrades.rolled_back(),
        )

    def _new_backoff(self) -> Backoff:
        return Backoff(self._config.mqtt.backoff_min_s, self._config.mqtt.backoff_max_s)
