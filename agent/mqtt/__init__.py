"""One MQTT connection: the only package that knows paho, 1.6 and 2.x, MQTT 5 and 3.1.1.

The connection lives in one thread, which waits in `step()`. What the broker answers comes back as
values; only a message is handed to a callback, since paho acknowledges it when that returns.
"""

from __future__ import annotations

import select
import struct
import time
from typing import TYPE_CHECKING, Self, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.answers import (
    CONNECT_REFUSALS_3,
    REFUSED,
    Accepted,
    Answer,
    ConnectRefusedError,
    Published,
    ServerEndedError,
    Subscribed,
)
from agent.errors import LinkLostError, StoppingError
from agent.mqtt.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.dialer import Dialer
    from agent.mqtt.client import Options
    from agent.wakeup import Wakeup


_Result = TypeVar("_Result")


class Connection:
    """One connection from CONNECT to its end; never used again after that.

    All methods are called in one thread. `on_message(topic, payload)` runs inside `step()`; when it
    raises, the message is not acknowledged and the error leaves `step()`. Anything else that goes
    wrong is a LinkLostError.
    """

    def __init__(
        self,
        options: Options,
        dialer: Dialer,
        *,
        wakeup: Wakeup,
        on_message: Callable[[str, bytes], None],
    ) -> None:
        self._options = options
        self._dialer = dialer
        self._wakeup = wakeup
        self._on_message = on_message
        self._client = Client.make(options, dialer, self._packet, self._message)
        self._handler_error: Exception | None = None
        self._accepted: Accepted | None = None
        self._lost: LinkLostError | None = None
        self._answers: list[Answer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Accepted:
        """Dial, send CONNECT and wait for CONNACK.

        Raises LinkLostError, ConnectRefusedError if the broker says no, and StoppingError if the
        dialer was interrupted.
        """
        options = self._options
        self._guarded(self._client.open, options)
        deadline_s = time.monotonic() + options.timeout_s
        while self._accepted is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise LinkLostError(
                    f"{options.host} did not answer CONNECT within {options.timeout_s:g} s"
                )
            if self._dialer.interrupted():
                raise StoppingError
            try:
                self._pump(left_s)
            except ConnectRefusedError:
                raise
            except LinkLostError as lost:
                # With TLS 1.3 a refused client certificate shows only here (RFC 8446, 4.4.3).
                raise LinkLostError(
                    f"{options.host} ended the connection instead of answering CONNECT",
                    hint="the certificate may be inactive or lack its policy: run `provision`",
                ) from lost
        return self._accepted

    def publish(self, topic: str, payload: bytes) -> int:
        """Send at QoS 1; the packet id that its `Published` will carry."""
        info = self._guarded(self._client.publish, topic, payload, 1)
        self._check(info.rc)
        return int(info.mid)

    def subscribe(self, topic_filter: str) -> int:
        """Ask for `topic_filter` at QoS 1; the packet id that its `Subscribed` will carry."""
        return int(self._guarded(self._client.subscribe, topic_filter, 1)[1] or 0)

    def step(self, timeout_s: float) -> list[Answer]:
        """Wait for traffic or the wake-up, at most `timeout_s`; what the broker answered meanwhile.

        Raises LinkLostError once the connection is of no use, after the last answers have been
        handed out, and what `on_message` raised.
        """
        if self._lost:
            raise self._lost
        try:
            self._pump(min(timeout_s, self._client.ping_due_s() - time.monotonic()))
        except LinkLostError as lost:
            if not self._answers:
                raise
            self._lost = lost
        answers, self._answers = self._answers, []
        return answers

    def finish(self) -> None:
        """Send DISCONNECT, so that the broker keeps the session and does not send the will."""
        self._guarded(self._client.disconnect)

    def close(self) -> None:
        """End the connection without a word; more than once does no harm."""
        self._client.drop()

    def _pump(self, timeout_s: float) -> None:
        socket = self._client.socket()
        if socket is None:
            raise LinkLostError("the connection was lost")
        writers = [socket] if self._client.want_write() else []
        readers, writers, _ = select.select(
            [socket, self._wakeup], writers, [], max(0.0, timeout_s)
        )
        if self._wakeup in readers:
            self._wakeup.clear()
        if writers:
            self._guarded(self._client.loop_write)
        # select does not see what TLS has decrypted already: read until nothing is pending.
        while socket in readers or (self._client.socket() and socket.pending()):
            readers = []
            self._check(self._guarded(self._client.loop_read))
        if time.monotonic() >= self._client.ping_due_s():
            if self._client.pinging:
                raise LinkLostError("the broker did not answer a ping")
            self._check(self._guarded(self._client.loop_misc))

    def _guarded(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        try:
            return call(*arguments)
        except (LinkLostError, StoppingError):
            raise
        except Exception as error:
            if error is self._handler_error:
                raise
            # 1.6 raises what the socket raised, and struct.error or KeyError on a malformed packet.
            raise LinkLostError(
                f"the connection was lost: {error or type(error).__name__}"
            ) from None

    def _check(self, code: int) -> None:
        if code == paho.MQTT_ERR_CONN_LOST:
            raise LinkLostError("the broker closed the connection")
        if code != paho.MQTT_ERR_SUCCESS:
            raise LinkLostError(f"the connection was lost: {paho.error_string(code)}")

    def _message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        try:
            topic = str(message.topic)
        except UnicodeDecodeError:
            topic = ""
        try:
            self._on_message(topic, bytes(message.payload))
        except Exception as error:
            self._handler_error = error
            raise

    def _packet(self, kind: int, body: bytes) -> None:
        """Note what the broker answered; called for each packet that is not a message."""
        five = self._options.protocol == "5"
        if kind == paho.CONNACK:
            self._connack(body, five=five)
        elif kind == paho.PUBACK:
            mid, reason = struct.unpack_from("!HB", body + b"\0")
            self._answers.append(Published(mid, reason if five else 0))
        elif kind == paho.SUBACK:
            (mid,) = struct.unpack_from("!H", body)
            skip = Properties(PacketTypes.SUBACK).unpack(body[2:])[1] if five else 0
            self._answers.append(Subscribed(mid, tuple(body[2 + skip :])))
        elif kind == paho.DISCONNECT:
            raise ServerEndedError(body[0] if body else 0)

    def _connack(self, body: bytes, *, five: bool) -> None:
        flags, reason = struct.unpack_from("!BB", body)
        if reason:
            raise ConnectRefusedError(reason if five else CONNECT_REFUSALS_3.get(reason, REFUSED))
        properties = Properties(PacketTypes.CONNACK)
        if five:
            properties.unpack(body[2:])
        self._client.obey(getattr(properties, "ServerKeepAlive", self._options.keepalive_s))
        receive_maximum = getattr(properties, "ReceiveMaximum", 0xFFFF)
        if receive_maximum == 0:
            raise LinkLostError("the broker takes no messages: its Receive Maximum is 0")
        self._accepted = Accepted(bool(flags & 1), receive_maximum)
