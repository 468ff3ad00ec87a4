"""Connection that the configuration and the credentials describe."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agent.identity import load, tls_context
from agent.model import COUNT, encode
from agent.mqtt import Connection, Options
from agent.net import DETOUR_PORT, LOOK_UP_S, Dialer, Ports, Waiter
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.identity import Credentials


def endpoint(config: Config, credentials: Credentials) -> str:
    """The broker's host name: as configured, else as AWS told when the device was registered."""
    if credentials.identity is None:
        return config.mqtt.endpoint  # which goes with an own certificate
    return config.mqtt.endpoint or credentials.identity.endpoint


def longest_s(config: Config) -> float:
    """Longest time of one attempt to connect: look-up, TCP, tunnel, TLS, by two ports; CONNACK.

    The proxy's name may be looked up for each port.
    """
    return 2 * (LOOK_UP_S + 3 * config.mqtt.connect_timeout_s) + config.mqtt.connect_timeout_s


def dialer(
    config: Config,
    credentials: Credentials,
    *,
    ports: Ports,
    wakeup: Wakeup,
    interrupted: Callable[[], bool],
) -> Dialer:
    """The dialer for TLS connections; on port 443 it names the protocol that it means (ALPN)."""
    return Dialer(
        lambda port: tls_context(credentials, alpn=port == DETOUR_PORT),
        ports=ports,
        timeout_s=config.mqtt.connect_timeout_s,
        waiter=Waiter(wakeup, interrupted),
    )


def connection(
    config: Config,
    credentials: Credentials,
    *,
    wakeup: Wakeup,
    interrupted: Callable[[], bool],
    on_message: Callable[[str, bytes], None],
    ports: Ports | None = None,
    will: bool = True,
) -> Connection:
    """A connection that is not open yet; its client id is the thing's name.

    The last will, if any, says on `<thing>/status` that the connection was lost. `ports` is what
    earlier connections found out. Raises CredentialsError.
    """
    mqtt = config.mqtt
    thing = config.thing.name
    options = Options(
        host=endpoint(config, credentials),
        port=mqtt.port,
        client_id=thing,
        protocol=mqtt.protocol,
        keepalive_s=mqtt.keepalive_s,
        session_expiry_s=mqtt.session_expiry_s,
        timeout_s=mqtt.connect_timeout_s,
        will_topic=f"{thing}/status" if will else "",
        will=encode({"state": "offline", "reason": "connection lost"}),
    )
    dialing = dialer(
        config,
        credentials,
        ports=ports or Ports(mqtt.port),
        wakeup=wakeup,
        interrupted=interrupted,
    )
    return Connection(options, dialing, on_message=on_message)


class MessageCameError(Exception):
    """A message was delivered, which is for the agent and not for us; but so we were let in."""


def leave_message(_topic: str, _payload: bytes) -> None:
    """Take no message: it gets no PUBACK and stays with the broker. Raises MessageCameError."""
    raise MessageCameError


def prove(config: Config) -> None:
    """Connect as the device, with what is on disk now, and leave at once.

    A running agent is thrown out by that and comes back. Where the broker had no session, the one
    that this leaves behind is subscribed, as the agent expects of a session that is present. Raises
    LinkLostError, CredentialsError.
    """
    with (
        Wakeup() as wakeup,
        connection(
            config,
            load(config),
            wakeup=wakeup,
            interrupted=lambda: False,
            on_message=leave_message,
            will=False,
        ) as link,
        suppress(MessageCameError),
    ):
        if not link.open().session_present:
            link.subscribe(f"{config.thing.name}/{COUNT}")
            link.step(config.mqtt.connect_timeout_s)
        link.finish()
