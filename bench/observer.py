"""Subscriber that misses nothing: the broker keeps its session, also while it is itself away."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from paho.mqtt import client as paho

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from bench.broker import Broker

PATIENCE_S = 30.0


class Message(NamedTuple):
    """A message, and when it came (time.monotonic)."""

    at_s: float
    topic: str
    payload: bytes


class Tally(NamedTuple):
    """Numbers of a device below its highest that never came, and arrivals of one that had come."""

    lost: int
    repeated: int


class Observer:
    """Has every message once; a context manager. `broker` is one that is `lasting`."""

    def __init__(self, broker: Broker) -> None:
        self._messages: list[Message] = []
        self._known: set[tuple[str, bytes]] = set()
        self._port = broker.plain_port
        self._subscribed = threading.Event()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=f"observer-{secrets.token_hex(4)}",
            clean_session=False,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take

    def __enter__(self) -> Self:
        """Itself, subscribed. Raises TimeoutError."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._subscribed.wait(PATIENCE_S):
            self.close()
            raise TimeoutError("nothing can be subscribed to")
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def messages(self) -> list[Message]:
        """All so far."""
        return list(self._messages)

    def settle(self, names: Collection[str], within_s: float) -> dict[str, Tally]:
        """Losses and repetitions of each device, whose topics begin with its name.

        Waits until a reading from now on has come of each and none before it is missing, or for
        `within_s`.
        """
        now_wall_s, until_s = time.time(), time.monotonic() + within_s
        while True:
            bodies: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
            for message in self.messages:
                name = message.topic.partition("/")[0]
                if name in bodies and "seq" in (body := json.loads(message.payload)):
                    bodies[name].append(body)
            found = {name: tally(one) for name, one in bodies.items()}
            caught_up = all(
                not found[name].lost and any(body["Timestamp"] >= now_wall_s for body in one)
                for name, one in bodies.items()
            )
            if caught_up or time.monotonic() > until_s:
                return found
            time.sleep(0.5)

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        # Sent again by the broker, which does not know whether the first arrived here.
        if not (message.dup and (message.topic, message.payload) in self._known):
            self._messages.append(Message(time.monotonic(), message.topic, message.payload))
        self._known.add((message.topic, message.payload))


def tally(bodies: Iterable[Mapping[str, Any]]) -> Tally:
    """The same of messages' bodies, each with its `seq`, which counts from 1 in each `epoch`."""
    seen: Counter[tuple[str, int]] = Counter((body["epoch"], body["seq"]) for body in bodies)
    highest: dict[str, int] = {}
    for epoch, number in seen:
        highest[epoch] = max(number, highest.get(epoch, 0))
    return Tally(sum(highest.values()) - len(seen), seen.total() - len(seen))
