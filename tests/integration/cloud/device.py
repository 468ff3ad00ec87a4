"""A registered device with a plain client, and the policies that it may have."""

from __future__ import annotations

import itertools
import json
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from tests.tools.cloud import LocalAws

ARN = "arn:aws:iot:ap-northeast-1:123456789012"
NAME = "${iot:Connection.Thing.ThingName}"
CONNECT = {
    "Effect": "Allow",
    "Action": "iot:Connect",
    "Resource": f"{ARN}:client/{NAME}",
    "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
}
PUBLISH = {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{ARN}:topic/{NAME}/*"}
SUBSCRIBE = {
    "Effect": "Allow",
    "Action": "iot:Subscribe",
    "Resource": f"{ARN}:topicfilter/{NAME}/count",
}
RECEIVE = {"Effect": "Allow", "Action": "iot:Receive", "Resource": f"{ARN}:topic/{NAME}/count"}
ALL = (CONNECT, PUBLISH, SUBSCRIBE, RECEIVE)
numbers = itertools.count(1)


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class Plain:
    """A plain paho client with a certificate; its loop turns only in `until`."""

    def __init__(self, aws: LocalAws, certificate: Path, key: Path) -> None:
        self.aws = aws
        self.certificate = certificate
        self.key_file = key
        self.client: Any = None
        self.connected: list[int] = []
        self.subscribed: list[int] = []
        self.published: list[int] = []
        self.received: list[tuple[str, bytes]] = []
        self.lost = False
        self.session_present = False

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Disconnect, if connected."""
        if self.client is not None:
            with suppress(OSError, ValueError):
                self.client.disconnect()
            if self.client.socket() is not None:
                self.client.socket().close()
            self.client = None

    def connect(self, name: str, *, will: bool = False, clean: bool = True) -> bool:
        """Whether the broker takes this client id, with a CONNACK."""
        self.close()
        self.connected.clear()
        self.lost = False
        options: dict[str, Any] = {"client_id": name, "protocol": paho.MQTTv5}
        if hasattr(paho, "CallbackAPIVersion"):
            options["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        self.client = paho.Client(**options)
        context = ssl.create_default_context(cafile=str(self.aws.ca_file))
        context.load_cert_chain(self.certificate, self.key_file)
        self.client.tls_set_context(context)
        if will:
            self.client.will_set(f"{name}/status", b'{"state": "offline"}', qos=1)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *a: self.subscribed.extend(c.value for c in a[3])
        self.client.on_publish = lambda *a: self.published.append(a[2])
        self.client.on_message = lambda *a: self.received.append((a[2].topic, a[2].payload))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if clean else 3600
        try:
            self.client.connect(
                self.aws.endpoint,
                self.aws.port,
                keepalive=60,
                clean_start=clean,
                properties=properties,
            )
        except OSError:
            return False
        self.until(lambda: self.lost or bool(self.connected))
        return not self.lost and self.connected == [0]

    def until(self, condition: Callable[[], bool], *, seconds: float = 60) -> bool:
        """Turn the loop until the condition holds; whether it does."""
        deadline_s = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline_s:
            try:
                self.lost = self.lost or self.client.loop(timeout=0.02) != 0
            except (OSError, ValueError):
                self.lost = True
            if self.lost:
                break
        return condition()

    def subscribe(self, topic_filter: str) -> int:
        """The reason code of the SUBACK."""
        self.subscribed.clear()
        self.client.subscribe(topic_filter, 1)
        assert self.until(lambda: bool(self.subscribed))
        return self.subscribed[0]

    def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 1; returns with the PUBACK."""
        self.published.clear()
        self.client.publish(topic, payload, qos=1)
        assert self.until(lambda: bool(self.published))

    def _on_connect(self, *arguments: Any) -> None:  # noqa: ANN401 -- paho 1.6 has no types
        flags = arguments[2]
        present = flags["session present"] if isinstance(flags, dict) else flags.session_present
        self.session_present = bool(present)
        self.connected.append(arguments[3].value)


class Device(Plain):
    """A registered device (MQTT 5)."""

    def __init__(
        self, aws: LocalAws, directory: Path, *, statements: tuple[dict[str, Any], ...] = ALL
    ) -> None:
        self.thing = f"thing-{next(numbers)}"
        self.directory = directory
        made = aws.iot.create_keys_and_certificate(setAsActive=True)
        self.certificate_id, self.arn = made["certificateId"], made["certificateArn"]
        aws.iot.create_thing(thingName=self.thing)
        aws.iot.create_policy(
            policyName=f"{self.thing}_subscribe", policyDocument=policy(*statements)
        )
        aws.iot.attach_policy(policyName=f"{self.thing}_subscribe", target=self.arn)
        aws.iot.attach_thing_principal(thingName=self.thing, principal=self.arn)
        super().__init__(aws, directory / f"{self.thing}.crt", directory / f"{self.thing}.key")
        self.certificate.write_text(made["certificatePem"])
        self.key_file.write_text(made["keyPair"]["PrivateKey"])

    def connect(self, name: str = "", *, will: bool = False, clean: bool = True) -> bool:
        """Whether the broker takes it, by default as its thing."""
        return super().connect(name or self.thing, will=will, clean=clean)

    def refused(self, client_id: str = "", *, clean: bool = True) -> bool:
        """Whether the broker does not take it, or throws it out thereafter."""
        return not self.connect(client_id, clean=clean) or self.until(lambda: self.lost)
