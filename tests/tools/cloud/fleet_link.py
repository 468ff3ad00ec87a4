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
    """What a device published: its certificate's common name, its client id, topic and bytes.

    `denied`: it published or subscribed where no policy allows it; the bytes are the topic then.
    """

    common_name: str
    client_id: str
    topic: str
    payload: bytes
    denied: bool = False


class FleetLink:
    """The words with `fleet_plugin.c`; any thread.

    `on_request` is called for each request in a thread of its own, as one may wait.
    """

    def __init__(self, port: int, *, password: str) -> None:
        self.on_request: Callable[[Request], None] = lambda _: None
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
        request = Request(
            name, bytes.fromhex(client_id).decode(), rest, payload, denied=what == "denied"
        )
        threading.Thread(
            target=self.on_request, args=(request,), name="cloud-fleet", daemon=True
        ).start()
