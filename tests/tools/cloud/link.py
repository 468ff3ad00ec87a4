# ruff: noqa: ANN401  # paho 1.6 has no types
"""The cloud's own connections to its broker, over a second listener that needs no certificate."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt import client as paho

from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

CONTROL = "$CONTROL/dynamic-security/v1"
RETRY_S = 0.05
RECEIVE_BUFFER = 4 * 1024 * 1024


class Link:
    """Keeps one session with the broker through its restarts; a context manager.

    A thread of its own reads. It subscribes at QoS 0: then it has nothing to acknowledge, gets
    nothing twice, and the broker has written a message to it before the publisher's PUBACK.
    `on_message(time_s, topic, payload)` is called in that thread.
    """

    def __init__(
        self,
        port: int,
        *,
        name: str,
        password: str,
        topic_filter: str,
        on_message: Callable[[float, str, bytes], None],
    ) -> None:
        self._port = port
        self._name = name
        self._password = password
        self._topic_filter = topic_filter
        self._on_message = on_message
        self._outgoing: deque[tuple[str, bytes, int]] = deque()
        self._subscribed = threading.Event()
        self._stop = threading.Event()
        self._wakeup = Wakeup()
        self._waking = threading.Lock()  # it is not closed while it is set
        self._thread = threading.Thread(target=self._run, name=f"cloud-{name}", daemon=True)
        self.started = False

    def __enter__(self) -> Self:
        """Start the thread; `wait_subscribed` tells when it is through."""
        self.started = True
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End the thread and the connection; the session stays with the broker."""
        self._stop.set()
        self._wakeup.set()
        if self._thread.is_alive():
            self._thread.join(5)
        with self._waking:
            self._wakeup.close()

    def wait_subscribed(self, timeout_s: float) -> bool:
        """Wait until connected with the subscription in place."""
        return self._subscribed.wait(timeout_s)

    def wait_lost(self, timeout_s: float) -> None:
        """Wait until all that a broker now dead has sent is read, and the loss noticed."""
        deadline_s = time.monotonic() + timeout_s
        while self._subscribed.is_set() and time.monotonic() < deadline_s:
            time.sleep(0.005)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0) -> None:
        """Send it, now or once connected again; any thread may call."""
        self._outgoing.append((topic, payload, qos))
        with self._waking:
            self._wakeup.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            client = self._client()
            try:
                client.connect("127.0.0.1", self._port, keepalive=60)
                self._serve(client)
            except (OSError, ValueError):
                pass  # the broker is away or just going: try again
            finally:
                self._subscribed.clear()
                with suppress(OSError, ValueError):
                    client.disconnect()
                sock = client.socket()
                if sock is not None:
                    sock.close()
            self._stop.wait(RETRY_S)

    def _serve(self, client: Any) -> None:
        sock = client.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        misc_s = time.monotonic()
        while not self._stop.is_set():
            writing = [sock] if client.want_write() else []
            readable, _, _ = select.select([sock, self._wakeup], writing, [], 1)
            self._wakeup.clear()
            while self._subscribed.is_set() and self._outgoing:
                topic, payload, qos = self._outgoing.popleft()
                client.publish(topic, payload, qos)
            status = client.loop_read() if sock in readable else 0
            status = status or client.loop_write()
            if time.monotonic() - misc_s > 1:
                misc_s = time.monotonic()
                status = status or client.loop_misc()
            if status:
                return

    def _client(self) -> Any:
        options: dict[str, Any] = {"client_id": self._name, "clean_session": False}
        if hasattr(paho, "CallbackAPIVersion"):  # paho 2
            options["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        client = paho.Client(**options)
        client.username_pw_set(self._name, self._password)
        client.on_connect = lambda client, *_: client.subscribe(self._topic_filter, 0)
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = lambda _client, _data, message: self._on_message(
            time.time(), message.topic, bytes(message.payload)
        )
        return client


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the cloud saw it: when (epoch seconds), its topic and its bytes."""

    time_s: float
    topic: str
    payload: bytes

    def json(self) -> Any:
        """The payload, which must be JSON."""
        return json.loads(self.payload)


class Observer:
    """What the cloud sees of all devices' messages, and what it says to them; any thread."""

    def __init__(self, port: int, *, password: str) -> None:
        self._changed = threading.Condition()
        self._messages: list[Message] = []
        self.link = Link(
            port,
            name="observer",
            password=password,
            topic_filter="#",
            on_message=self._add,
        )

    def messages(self, topic: str = "#") -> list[Message]:
        """All so far in order of arrival, or those whose topic matches this MQTT filter."""
        with self._changed:
            found = list(self._messages)
        return [each for each in found if paho.topic_matches_sub(topic, each.topic)]

    def wait(
        self,
        topic: str = "#",
        *,
        count: int = 1,
        matching: Callable[[Message], bool] = lambda _: True,
        timeout_s: float = 60,
    ) -> list[Message]:
        """The messages that match, once there are `count`; TimeoutError says what came instead."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            found = [each for each in self.messages(topic) if matching(each)]
            if len(found) >= count:
                return found
            with self._changed:
                if not self._changed.wait(max(0.0, min(0.2, deadline_s - time.monotonic()))) and (
                    time.monotonic() >= deadline_s
                ):
                    seen = [(each.topic, each.payload[:80]) for each in self._messages[-10:]]
                    raise TimeoutError(
                        f"{len(found)} of {count} messages on {topic} within {timeout_s:g} s; "
                        f"{len(self._messages)} in all, the last: {seen}"
                    )

    def clear(self) -> None:
        """Forget the messages so far."""
        with self._changed:
            self._messages.clear()

    def command(self, thing: str, payload: bytes | str | Mapping[str, Any]) -> None:
        """Publish to `<thing>/count` at QoS 1: text or bytes as they are, a mapping as JSON."""
        if not isinstance(payload, bytes | str):
            payload = json.dumps(payload)
        data = payload.encode() if isinstance(payload, str) else payload
        self.link.publish(f"{thing}/count", data, qos=1)

    def _add(self, time_s: float, topic: str, payload: bytes) -> None:
        with self._changed:
            self._messages.append(Message(time_s, topic, payload))
            self._changed.notify_all()


class Control:
    """Commands to mosquitto's dynamic-security plugin; any thread."""

    def __init__(self, port: int, *, password: str) -> None:
        self._lock = threading.Lock()
        self._answered = threading.Condition()
        self._answers: list[dict[str, Any]] = []
        self.link = Link(
            port,
            name="control",
            password=password,
            topic_filter=f"{CONTROL}/response",
            on_message=self._add,
        )

    def send(self, commands: list[dict[str, Any]]) -> None:
        """Have these done, without waiting."""
        self.link.publish(CONTROL, json.dumps({"commands": commands}).encode())

    def request(
        self,
        commands: list[dict[str, Any]],
        *,
        timeout_s: float = 30,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        """Have these done; TimeoutError without an answer, RuntimeError with a bad one.

        When `lost()`, there will be no answer, and none is wanted.
        """
        until_s = time.monotonic() + timeout_s
        mark = str(time.monotonic_ns())
        marked = [{**command, "correlationData": mark} for command in commands]
        with self._lock, self._answered:
            self.send(marked)
            while not self._answered.wait_for(lambda: self._count(mark) >= len(marked), 0.1):
                if lost():
                    return
                if time.monotonic() > until_s:
                    raise TimeoutError(f"mosquitto did not answer {commands}")
            answers = [each for each in self._answers if each.get("correlationData") == mark]
            self._answers.clear()
        errors = [each for each in answers if "error" in each]
        if errors:
            raise RuntimeError(f"mosquitto refused {errors}")

    def _count(self, mark: str) -> int:
        return sum(each.get("correlationData") == mark for each in self._answers)

    def _add(self, _time_s: float, _topic: str, payload: bytes) -> None:
        with self._answered:
            self._answers += json.loads(payload).get("responses", [])
            self._answered.notify_all()
