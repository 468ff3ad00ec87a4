"""The connection that the configuration and the credentials describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.credentials import tls_context
from agent.dialer import Dialer
from agent.model import encode
from agent.mqtt import Connection
from agent.mqtt.client import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.credentials import Credentials
    from agent.wakeup import Wakeup

ALPN_PORT = 443


def endpoint(config: Config, credentials: Credentials) -> str:
    """The broker's host name: as configured, else as AWS told when the device was registered."""
    if credentials.identity is None:
        return config.mqtt.endpoint  # which goes with an own certificate
    return config.mqtt.endpoint or credentials.identity.endpoint


def connection(
    config: Config,
    credentials: Credentials,
    *,
    wakeup: Wakeup,
    interrupted: Callable[[], bool],
    on_message: Callable[[str, bytes], None],
    will: bool = True,
) -> Connection:
    """A connection that is not open yet; its client id is the thing's name.

    The last will, if any, says on `<thing>/status` that the connection was lost. Raises
    CredentialsError.
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
    dialer = Dialer(
        tls_context(credentials, alpn=mqtt.port == ALPN_PORT),
        timeout_s=mqtt.connect_timeout_s,
        wakeup=wakeup,
        interrupted=interrupted,
    )
    return Connection(options, dialer, wakeup=wakeup, on_message=on_message)
