"""The connection, from CONNECT to its end, MQTT 5 and 3.1.1.

The connection lives in one thread, which waits in `step()`. What the broker answers comes back as
values; only a message is handed to a callback, since it is acknowledged when that returns.
"""

from __future__ import annotations

import select
import time

from agent.errors import ANEW, AgentError, LinkLostError, StoppingError
from agent.mqtt import packets
from agent.mqtt.answers import (
    PAYLOAD_MAX,
    Accepted,
    Answer,
    ClosedError,
    MalformedError,
    ServerEndedError,
    SilentError,
    UnansweredError,
    WithheldError,
    link_broke,
)
from agent.mqtt.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self, TypeVar

    from agent.mqtt.client import Options
    from agent.net import Dialer
    from agent.wakeup import Wakeup

    _Result = TypeVar("_Result")

#: The longest time to read on without a check of anything else, however much comes in.
READ_S = 0.5


class Connection:
    """One connection from CONNECT to its end; never used again after that.

    All methods are called in one thread. `on_message(topic, payload)` runs inside `step()`; when it
    raises, the message is not acknowledged and the error leaves `step()`. Anything else that goes
    wrong is a LinkLostError.
    """

    def __init__(
        self, options: Options, dialer: Dialer, *, on_message: Callable[[str, bytes], None]
    ) -> None:
        self._options = options
        self._waiter = dialer.waiter
        self._on_message = on_message
        self._client = Client.make(options, dialer)
        self._handler_error: Exception | None = None
        self._accepted: Accepted | None = None
        self._lost: LinkLostError | None = None
        self._answers: list[Answer] = []
        #: True once CONNECT went out.
        self.asked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Accepted:
        """Dial, send CONNECT and wait for CONNACK.

        Raises LinkLostError, ConnectRefusedError if the broker says no, and StoppingError if the
        dialer was interrupted.
        """
        try:
            return self._opened()
        except ClosedError:  # also while CONNECT was being written
            raise UnansweredError(
                f"{self._options.host} ended the connection instead of answering CONNECT",
                hint=f"the certificate may be inactive or lack its policy: {ANEW}",
            ) from None

    def _opened(self) -> Accepted:
        options = self._options
        self._send(self._client.open, options)
        self.asked = True
        until_s = time.monotonic() + options.timeout_s
        while self._accepted is None:
            self._check_link()
            if time.monotonic() >= until_s:
                raise SilentError(
                    f"{options.host} did not answer CONNECT within {options.timeout_s:g} s"
                )
            if self._waiter.interrupted():
                raise StoppingError
            self._turn(until_s)
        return self._accepted

    def takes(self, topic: str, payload: bytes) -> bool:
        """True if this message is not larger than AWS IoT takes, and than this broker has told."""
        size = packets.publish_size(topic, payload, five=self._options.five)
        limit = self._accepted.maximum_packet_size if self._accepted else 0
        return len(payload) <= PAYLOAD_MAX and size <= limit

    @property
    def drained(self) -> bool:
        """True if nothing that the broker sent lies unread."""
        socket: ssl.SSLSocket | None = self._client.socket()
        if socket is None:
            return True
        return self._client.dry and not select.select([socket], [], [], 0.0)[0]

    def has_room(self) -> bool:
        """Write, where much waits for that; True if what is sent now has not much before it."""
        if self._client.crowded:
            self._send(self._client.flush)
        return not self._client.crowded

    def publish(self, topic: str, payload: bytes) -> int:
        """Send at QoS 1, in the next `step()`; the packet id that its `Published` will carry.

        Raises LinkLostError, and sends nothing, once the connection is known to be of no use.
        """
        self._check_link()
        return self._send(self._client.message, topic, payload)

    def subscribe(self, topic_filter: str) -> int:
        """Ask for `topic_filter` at QoS 1, in the next `step()`; the packet id of `Subscribed`."""
        self._check_link()
        return self._send(self._client.filter, topic_filter)

    def step(self, timeout_s: float) -> list[Answer]:
        """Wait for traffic or the wake-up, at most `timeout_s`; what the broker answered meanwhile.

        Raises LinkLostError once the connection is of no use, after the last answers have been
        handed out, and what `on_message` raised.
        """
        self._check_link()
        self._turn(time.monotonic() + timeout_s)
        answers, self._answers = self._answers, []
        if not answers:
            self._check_link()
        return answers

    def _check_link(self) -> None:
        if self._lost:
            raise self._lost

    def finish(self) -> None:
        """Send DISCONNECT, so that the broker keeps the session and does not send the will."""
        self._send(self._client.disconnect)
        self._send(self._client.flush)

    def close(self) -> None:
        """End the connection without a word; more than once does no harm."""
        self._client.drop()

    def _turn(self, until_s: float) -> None:
        """Pump; an end is told after what came before it, in the same breath."""
        try:
            self._pump(until_s)
        except LinkLostError as lost:
            self._lost = lost

    def _pump(self, until_s: float) -> None:
        client = self._client
        socket: ssl.SSLSocket | None = client.socket()
        if socket is None:
            raise ClosedError("the connection was lost")
        self._send(client.flush)
        reading = not client.congested
        # select does not see what was read already.
        pending = reading and not client.dry
        until_s = 0.0 if pending else min(until_s, client.ping_due_s(), client.resend_due_s())
        watched: list[Wakeup | ssl.SSLSocket] = [self._waiter.wakeup]
        if reading:
            watched.append(socket)
        readable, _, _ = select.select(
            watched,
            [socket] if client.writing else [],
            [],
            max(0.0, until_s - time.monotonic()),
        )
        if woken := self._waiter.wakeup in readable:
            self._waiter.wakeup.clear()
        if socket in readable or pending:
            self._read()
        self._ask_again(reading=reading, woken=woken)
        self._send(client.flush)

    def _ask_again(self, *, reading: bool, woken: bool) -> None:
        """Send what is due again, and the ping; raises SilentError where that has no answer.

        Who is woken may have something to send, which makes the ping needless.
        """
        client, now_s = self._client, time.monotonic()
        if now_s >= client.resend_due_s():
            self._send(client.resend)
        if now_s < client.ping_due_s():
            return
        if not client.pinging:
            if not woken:
                self._send(client.ping)
        elif not reading or self.drained:  # else the answer may be there: we were held up
            raise SilentError("the broker did not answer a ping in time")

    def _read(self) -> None:
        """Read packets until none is there, but not for ever: a flood may not starve the rest.

        CONNACK alone, since who waits for that is not ready for messages.
        """
        read_until_s = time.monotonic() + READ_S
        opening = self._accepted is None
        while self._read_packet():
            if opening or self._client.congested or time.monotonic() >= read_until_s:
                return

    def _send(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Have paho do something of ours; a defect in that is never laid to the broker."""
        try:
            return call(*arguments)
        except (AgentError, StoppingError):
            raise
        except OSError as error:
            raise link_broke(error) from None
        except Exception as error:
            raise LinkLostError(
                f"the MQTT library failed: {type(error).__name__}: {error}",
                hint="this is a defect of the agent; a new connection is made",
            ) from error

    def _read_packet(self) -> bool:
        """Read one packet and act on it; False if there is none."""
        try:
            packet = self._client.read()
            if packet:
                self._packet(*packet)
        except (AgentError, StoppingError):
            raise
        except EOFError:
            raise self._closed() from None
        except Exception as error:
            if error is self._handler_error:
                raise
            if isinstance(error, OSError):
                raise link_broke(error) from None
            # struct.error, IndexError, and what paho raises for properties.
            raise MalformedError("a malformed packet") from None
        return packet is not None

    def _closed(self) -> ClosedError:
        return ClosedError(
            "the broker closed the connection",
            hint=""
            if self._options.five
            else "with MQTT 3.1.1 a broker gives no reason: another "
            "device with this name, something that the policy forbids, or maintenance",
        )

    def _packet(self, command: int, body: bytes) -> None:
        """Note what the broker sent; called for each packet."""
        kind, five = command & 0xF0, self._options.five
        if kind == packets.DISCONNECT:
            raise ServerEndedError(body[0] if body else 0)
        if (kind == packets.CONNACK) == (self._accepted is not None):
            raise MalformedError("CONNACK twice, or something before it")
        if kind == packets.CONNACK:
            self._accepted = packets.connack(body, five=five)
            self._client.accepted(self._accepted.keepalive_s or self._options.keepalive_s)
        elif kind == packets.PUBACK:
            answer = packets.puback(body, five=five)
            self._client.answered(answer.mid)
            self._answers.append(answer)
        elif kind == packets.SUBACK:
            granted = packets.suback(body, five=five)
            self._client.answered(granted.mid)
            self._answers.append(granted)
        elif kind == packets.PUBLISH:
            self._message(packets.publish(command, body, five=five))
        elif kind == packets.PINGRESP and not body:
            self._client.ponged()
        else:
            raise MalformedError("a malformed packet")

    def _message(self, message: packets.Message) -> None:
        try:
            self._on_message(message.topic, message.payload)
        except WithheldError:
            return
        except Exception as error:
            self._handler_error = error
            raise
        if message.mid:
            self._send(self._client.acknowledge, message.mid)
