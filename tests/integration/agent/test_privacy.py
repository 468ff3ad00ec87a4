"""What `privacy` tells is what a running agent sends: each field, and the bytes."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

from agent.cli.traffic import RECORD, SESSION
from tests.integration.agent.conftest import PROTOCOLS, QUICK, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

#: Bytes of a handshake with the certificates of this test, which are shorter than AWS's.
HANDSHAKE = 3600

#: More than this part is not missing: the numbers' digits differ.
TOLERANCE = 0.05

SENSORS = [
    {"name": "motion", "driver": "simulated", "detections_per_s": 2.0},
    {"name": "door", "driver": "simulated", "detections_per_s": 1.0, "test": True},
    {"name": "room", "driver": "simulated", "interval_s": 0.05},
    {"name": "pi", "driver": "system", "interval_s": 0.5},
]

RULE = """
[[rules]]
name = "warm"
sensor = "room"
quantity = "temperature_c"
above = -50
"""


class Meter:
    """A relay to a port of this machine that counts the bytes of both directions."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._sockets = ExitStack()
        self._listener = self._sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = int(self._listener.getsockname()[1])
        self.bytes = 0
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Itself, relaying."""
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Relay nothing more; who has connected has gone by now."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self.finish()
        self._sockets.close()

    def finish(self) -> None:
        """Wait until all is relayed of connections that have ended."""
        for thread in self._threads[1:] or self._threads:
            thread.join(10)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._sockets.enter_context(self._listener.accept()[0])
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets.enter_context(far)
                for ends in ((near, far), (far, near)):
                    self._start(self._relay, *ends)

    def _relay(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    self.bytes += len(data)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@PROTOCOLS
def test_each_field_and_the_bytes_are_told(
    cloud: LocalAws, make_agent: MakeAgent, protocol: str
) -> None:
    """No message has a field that is not told, nor lacks one that is not told to be at times."""
    with Meter(cloud.port) as meter:
        mqtt = {"protocol": protocol, "port": meter.port, **QUICK}
        count = {"window_s": 5, "sensor": ["motion", "door"]}
        agent = make_agent(sensors=SENSORS, count=count, mqtt=mqtt)
        with agent.config.open("a") as file:
            file.write(RULE)
        told = json.loads(agent.command("privacy", "--json").stdout)
        agent.start().wait_status(lambda status: status["acked"] >= 100 and status["confirmed"])
        assert agent.stop() == 0
        meter.finish()
    name = name_of(agent)
    topics = {one["topic"]: one for one in told["topics"]}
    del topics[f"{name}/digest"]  # there is no yesterday
    assert topics.keys() == {f"{name}/{kind}" for kind in ("count", "events", "status")} | {
        f"{name}/sensors/{kind}" for kind in ("room", "pi")
    }
    most, shared = HANDSHAKE + SESSION, 0
    seen: dict[str, list[dict[str, Any]]] = {topic: [] for topic in topics}
    for message in cloud.observer.messages(f"{name}/#"):
        seen[message.topic].append(message.json())
        most += topics[message.topic]["tls_bytes"]
        shared += 2 * RECORD  # at most, where messages go together, and their acknowledgements
    for topic, messages in seen.items():
        fields = topics[topic]["fields"]
        always = {field for field in fields if not fields[field]["at_times"]}
        assert messages
        for body in messages:
            assert body.keys() <= fields.keys()
            assert always <= body.keys()
    tolerance = TOLERANCE * most
    assert most - shared - tolerance < meter.bytes < most + tolerance
