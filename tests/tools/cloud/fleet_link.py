"""The broker's side of fleet provisioning: what devices ask, and answers to one of them alone."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.tools.cloud.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.model import Json

UP, DOWN = "$fleet/up", "$fleet/down"


@dataclass(frozen=True, slots=True)
class Request:
    """What a device published: its certificate's common name, its client id, topic and bytes."""

    common_name: str
    client_id: str
    topic: str
    payload: bytes


class FleetLink:
    """The words with `fleet_plugin.c`; any thread.

    `on_request` is called for each request in a thread of its own, as one may wait; `on_denied` for
    what no policy allows, with the topic as bytes; `on_refused` for a connection that was ended.
    """

    def __init__(self, port: int, *, password: str) -> None:
        self.on_request: Callable[[Request], None] = lambda _: None
        self.on_denied: Callable[[Request], None] = lambda _: None
        self.on_refused: Callable[[Request], None] = lambda _: None
        self.link = Link(
            port,
            name="fleet",
            password=password,
            topic_filter=f"{UP}/#",
            on_message=self._add,
        )

    def answer(self, client_id: str, topic: str, payload: Mapping[str, Json]) -> None:
        """Send it to that client, if it is subscribed to the topic and may receive from it."""
        data = json.dumps(payload).encode()
        self.link.publish(f"{DOWN}/answer/{client_id.encode().hex()}/{topic}", data, qos=1)

    def kick(self, client_id: str) -> None:
        """End that client's connection."""
        self.link.publish(f"{DOWN}/kick/{client_id.encode().hex()}", b"-", qos=1)

    def _add(self, _time_s: float, topic: str, payload: bytes) -> None:
        what, name, client_id, rest = topic.removeprefix(f"{UP}/").split("/", 3)
        request = Request(name, bytes.fromhex(client_id).decode(), rest, payload)
        serve = {"denied": self.on_denied, "refused": self.on_refused}.get(what, self.on_request)
        threading.Thread(target=serve, args=(request,), name="cloud-fleet", daemon=True).start()
