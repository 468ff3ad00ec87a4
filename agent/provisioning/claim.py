"""Claim: a session with the claim certificate, in which AWS accepts or rejects what is asked.

Each request has a topic of its own, and two for its answers (AWS IoT developer guide, "Device
provisioning MQTT API"). Who may not publish or subscribe there is disconnected by AWS, under MQTT
3.1.1 without a word.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress

from agent.errors import LinkLostError, RefusedError, TransientCloudError
from agent.identity import tls_context
from agent.model import decode, encode
from agent.mqtt import Connection, Options
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    NOT_LET_IN,
    REFUSED,
    ClosedError,
    ConnectRefusedError,
    Published,
    ServerEndedError,
    Subscribed,
    UnansweredError,
    reason_text,
)
from agent.net import DETOUR_PORT, CertificateRefusedError, Dialer, Ports, Waiter
from agent.provisioning.rejection import rejected
from agent.value import Value
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self, TypeVar

    from agent.config import Config
    from agent.identity import Credentials
    from agent.model import Json
    from agent.mqtt.answers import Answer

    _Taken = TypeVar("_Taken")

#: Longest wait for an answer; a template's hook alone may take 5 s ("Pre-provisioning hooks").
ANSWER_S = 15.0

#: So many ends without a word, each at the same point, are a refusal.
ENDS_OF_A_REFUSAL = 3

#: Longest client id, which a thing's name may be by itself; and what ours ends with, so that it is
#: not the agent's own, which may be connected.
CLIENT_ID_MAX = 128
SUFFIX = "-claim"

#: More messages than this are not looked at, while one answer is waited for.
MOST_MESSAGES = 100

HINT = (
    "a temporary claim lives for 5 minutes; a permanent one may have been deactivated, or its"
    " policy does not allow iot:Connect on client/{}; `sudo pi-iot-agent setup --claim DIR` takes"
    " another one"
)
ALLOW = "the policy of the claim certificate must allow it: see provisioning.md, By claim"


class Request(Value):
    """Request to AWS: `<topic>/json` is where, `<topic>/json/accepted` and `/rejected` answer."""

    topic: str
    body: Mapping[str, Json]


class Claim:
    """One session after the other, each opened when something is asked; used in one thread.

    `credentials` are the claim certificate, its key, and whom to trust.
    """

    def __init__(
        self, config: Config, credentials: Credentials, *, answer_s: float = ANSWER_S
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._answer_s = answer_s
        self._client_id = config.thing.name[: CLIENT_ID_MAX - len(SUFFIX)] + SUFFIX
        self._wakeup = Wakeup()
        self._ports = Ports(config.mqtt.port)
        self._connection: Connection | None = None
        self._subscribed: set[str] = set()
        self._messages: list[tuple[str, bytes]] = []
        self._doing = ""
        self._ends: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, for good."""
        self.close()
        self._wakeup.close()

    def close(self) -> None:
        """End the session; more than once does no harm."""
        if self._connection:
            with suppress(LinkLostError), self._connection as connection:
                connection.finish()
        self._connection = None

    def ask(
        self,
        request: Request,
        take: Callable[[Mapping[str, Json]], _Taken],
        *,
        sending: Callable[[], object] = lambda: None,
    ) -> _Taken:
        """Result that `take` makes of the answer, which AWS has accepted.

        What `take` refuses with ValueError is no answer to us, and the wait goes on. `sending` is
        called before the request leaves. Raises RefusedError, TransientCloudError, and
        LinkLostError, after which a new session is opened; an error that has one as its cause is
        none that AWS has answered.
        """
        try:
            connection = self._connection or self._connected()
            self._subscribe(connection, request.topic)
            sending()
            return self._answered(connection, request, take)
        except LinkLostError as lost:
            self.close()
            raise self._explained(lost) from lost

    def _connected(self) -> Connection:
        mqtt = self._config.mqtt
        self._doing = "connect"
        self._subscribed.clear()
        options = Options(
            host=mqtt.endpoint,
            port=mqtt.port,
            client_id=self._client_id,
            protocol=mqtt.protocol,
            keepalive_s=mqtt.keepalive_s,
            session_expiry_s=0,
            timeout_s=mqtt.connect_timeout_s,
            clean=True,
        )
        dialer = Dialer(
            lambda port: tls_context(self._credentials, alpn=port == DETOUR_PORT),
            ports=self._ports,
            timeout_s=mqtt.connect_timeout_s,
            waiter=Waiter(self._wakeup, lambda: False),
        )
        self._connection = Connection(options, dialer, on_message=self._message)
        self._connection.open()
        del self._ends[self._doing]
        return self._connection

    def _message(self, topic: str, payload: bytes) -> None:
        if len(self._messages) < MOST_MESSAGES:
            self._messages.append((topic, payload))

    def _subscribe(self, connection: Connection, topic: str) -> None:
        """Have the answers to requests on `topic` delivered in this session."""
        if topic in self._subscribed:
            return
        self._doing = f"subscribe to {topic}/json/accepted and /rejected (iot:Subscribe)"
        waiting = {connection.subscribe(f"{topic}/json/{end}") for end in ("accepted", "rejected")}
        for answer in self._until_late(connection):
            if isinstance(answer, Subscribed):
                self._check(answer.reason)
                waiting.discard(answer.mid)
            if not waiting:
                self._subscribed.add(topic)
                del self._ends[self._doing]
                return
        raise self._late()

    def _answered(
        self,
        connection: Connection,
        request: Request,
        take: Callable[[Mapping[str, Json]], _Taken],
    ) -> _Taken:
        topic, odd = f"{request.topic}/json", ""
        self._doing = f"publish on {topic} (iot:Publish)"
        self._messages.clear()
        connection.publish(topic, encode(request.body))
        for answer in self._until_late(connection):
            if isinstance(answer, Published):
                self._check(answer.reason)
            messages, self._messages = self._messages, []
            for came_on, payload in messages:
                del self._ends[self._doing]
                try:
                    if came_on == f"{topic}/accepted":
                        return take(decode(payload))
                    if came_on == f"{topic}/rejected":
                        raise rejected(request.topic, request.body, decode(payload))
                except ValueError as error:
                    odd = f"; what came is no answer to us: {error}"
        raise self._late(odd)

    def _until_late(self, connection: Connection) -> Iterator[Answer | None]:
        """Each acknowledgement, and None where something else may have come, until it is late."""
        until_s = time.monotonic() + self._answer_s
        while (left_s := until_s - time.monotonic()) > 0:
            acknowledged: list[Answer | None] = [*connection.step(left_s)]
            yield from acknowledged or [None]

    def _late(self, odd: str = "") -> LinkLostError:
        return LinkLostError(
            f"no answer within {self._answer_s:g} s to: {self._doing}{odd}",
            hint="it is tried again; if it stays so, the policy of the claim certificate must allow"
            " iot:Receive on the answers' topics",
        )

    def _check(self, reason: int) -> None:
        """Raise RefusedError or TransientCloudError for a reason code that is none of success.

        MQTT 3.1.1 has one alone, for SUBSCRIBE.
        """
        five = self._config.mqtt.protocol == "5"
        if reason == NOT_AUTHORIZED or (reason >= REFUSED and not five):
            raise self._refused(reason_text(reason))
        if reason >= REFUSED:
            raise TransientCloudError(f"the broker refuses to {self._doing}: {reason_text(reason)}")

    def _refused(self, why: str) -> RefusedError:
        if self._doing == "connect":
            return RefusedError(
                f"AWS does not let the claim certificate connect as {self._client_id}: {why}",
                hint=HINT.format(self._client_id),
            )
        return RefusedError(f"the claim certificate may not {self._doing}: {why}", hint=ALLOW)

    def _explained(self, lost: LinkLostError) -> RefusedError | LinkLostError:
        """The refusal that a lost connection stands for; itself where it is none."""
        reason = lost.reason if isinstance(lost, ConnectRefusedError | ServerEndedError) else 0
        if isinstance(lost, CertificateRefusedError) or reason in NOT_LET_IN:
            return self._refused(lost.text)
        if isinstance(lost, ClosedError | UnansweredError):
            self._ends[self._doing] += 1
            if self._ends[self._doing] >= ENDS_OF_A_REFUSAL:
                return self._refused(f"{lost.text}, each time")
        return lost
