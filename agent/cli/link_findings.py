"""Findings on the way to the broker: name, port, TLS, and without a running agent a session."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress

from agent.cli import verdict
from agent.cli.proof import MessageCameError, leave_message
from agent.cli.verdict import FAIL, OK, WARN, Finding
from agent.errors import LinkLostError
from agent.health import conditions
from agent.model import COUNT
from agent.mqtt.answers import REFUSED, Subscribed, UnansweredError, reason_text
from agent.net import Ports, UnreachableError, Waiter, look_up
from agent.net.proxy import proxy_for
from agent.store.inspection import recall
from agent.uplink import connect
from agent.uplink.admission import ADMITTED, is_refusal, own_name
from agent.uplink.diagnosis import AT_FIRST, OURS, cause_of
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from agent.config import Config
    from agent.identity import Credentials
    from agent.mqtt.answers import Answer

HTTPS = 443

#: Longest look-up of a name that may well not exist.
LOOK_UP_S = 10.0


class Way:
    """The way from here to the broker, gone step by step; each gives findings and raises nothing.

    Every wait is bounded as the agent's own is.
    """

    def __init__(self, config: Config, found: Credentials) -> None:
        self._config = config
        self._found = found
        self._stack = ExitStack()
        self._wakeup = self._stack.enter_context(Wakeup())
        self._ports = Ports(config.mqtt.port)
        self._dialer = connect.dialer(
            config, found, ports=self._ports, wakeup=self._wakeup, interrupted=lambda: False
        )
        self._host = connect.endpoint(config, found)
        self._advice = connect.advice(config, found)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close what waits; more than once does no harm."""
        self._stack.close()

    def name(self) -> Finding:
        """The look-up of the broker's name, or who will do it."""
        host, port = self._host, self._config.mqtt.port
        if via := proxy_for(host, port, os.environ):
            return Finding(OK, "proxy", f"{via.host}:{via.port} looks {host} up, if it answers")
        try:
            found = look_up(host, port, self._dialer.waiter)
        except LinkLostError as lost:
            return self._lost(lost)
        addresses = dict.fromkeys(str(address[4][0]) for address in found)
        return Finding(OK, "name look-up", f"{host} is at {', '.join(addresses)}")

    def connection(self, *, running: bool) -> Iterator[Finding]:
        """Port and TLS; a session too, unless an agent is `running`, which it would throw out."""
        try:
            yield from self._tls()
            if not running:
                yield from self._session()
        except LinkLostError as lost:
            yield self._lost(lost)

    def _lost(self, lost: LinkLostError) -> Finding:
        cause = cause_of(
            lost, identity=self._found.identity, wall_s=time.time(), advice=self._advice
        )
        name = own_name(self._found, self._host) if is_refusal(lost) else ""
        if name and not self._advice and recall(self._config.store.path, ADMITTED) != name:
            hint = f"{AT_FIRST}: perhaps that was it, try again in half a minute; else {OURS}"
            return verdict.of(conditions.OFFLINE, FAIL, lost.text, hint)
        return verdict.of(cause.condition or conditions.OFFLINE, FAIL, lost.text, cause.hint)

    def _tls(self) -> Iterator[Finding]:
        """The first port that leads to the broker; those before it are a warning."""
        for port in self._ports.in_order():
            try:
                with self._dialer.secure(self._host, port) as secure:
                    told = f"port {port}, {secure.version()}, the certificate is accepted"
            except UnreachableError as blocked:
                if port == self._ports.in_order()[-1]:
                    raise
                yield Finding(WARN, "port", blocked.text, blocked.hint)
            else:
                self._ports.worked(port)
                yield Finding(OK, "TLS", f"{self._host} {told}")
                return

    def _session(self) -> Iterator[Finding]:
        """CONNECT as the device, and SUBSCRIBE where the agent would."""
        config = self._config
        topic = f"{config.thing.name}/{COUNT}"
        with connect.connection(
            config,
            self._found,
            wakeup=self._wakeup,
            interrupted=lambda: False,
            on_message=leave_message,
            ports=self._ports,
            will=False,
        ) as connection:
            accepted = connection.open()
            kept = "a session is kept" if accepted.session_present else "no session is kept"
            yield Finding(OK, "connection", f"accepted as {config.thing.name}; {kept}")
            try:
                if not accepted.session_present:
                    connection.subscribe(topic)
                    until_s = time.monotonic() + config.mqtt.connect_timeout_s
                    answers = connection.step(config.mqtt.connect_timeout_s)
                    while not answers and time.monotonic() < until_s:
                        answers = connection.step(until_s - time.monotonic())
                    yield _subscription(topic, answers)
            except MessageCameError:
                pass  # for the agent; it stays with the broker
            except LinkLostError as lost:
                text = f"{lost.text} after SUBSCRIBE to {topic}"
                yield verdict.of(conditions.NOT_SUBSCRIBED, WARN, text)
                return
            connection.finish()


def is_known(host: str) -> bool:
    """True if the name can be looked up."""
    with Wakeup() as wakeup, suppress(LinkLostError):
        return bool(look_up(host, HTTPS, Waiter(wakeup, lambda: False), timeout_s=LOOK_UP_S))
    return False


def _subscription(topic: str, answers: list[Answer]) -> Finding:
    for answer in answers:
        if isinstance(answer, Subscribed):
            if answer.reason < REFUSED:
                return Finding(OK, "subscription", f"{topic} is granted")
            text = f"the broker refuses SUBSCRIBE to {topic}: {reason_text(answer.reason)}"
            return verdict.of(conditions.NOT_SUBSCRIBED, WARN, text)
    raise UnansweredError(f"the broker does not answer SUBSCRIBE to {topic}")
