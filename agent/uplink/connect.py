"""Connection that the configuration and the credentials describe."""

from __future__ import annotations

from agent.config import endpoint_problem, region_doubt, region_of
from agent.identity import tls_context
from agent.model import encode
from agent.mqtt import Connection, Options
from agent.net import DETOUR_PORT, LOOK_UP_S, Dialer, Ports, Waiter
from agent.uplink.announcement import STATUS, WILL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.identity import Credentials
    from agent.wakeup import Wakeup


def endpoint(config: Config, credentials: Credentials) -> str:
    """The broker's host name: as configured, else as AWS told when the device was registered."""
    if credentials.identity is None:
        return config.mqtt.endpoint  # which goes with an own certificate
    return config.mqtt.endpoint or credentials.identity.endpoint


def advice(config: Config, credentials: Credentials) -> str:
    """Advice on a broker's name that cannot be right, or may well be wrong; or ""."""
    host = endpoint(config, credentials)
    return endpoint_problem(config.mqtt, host) or region_doubt(region_of(host))


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
        will_topic=f"{thing}/{STATUS}" if will else "",
        will=encode(WILL),
    )
    dialing = dialer(
        config,
        credentials,
        ports=ports or Ports(mqtt.port),
        wakeup=wakeup,
        interrupted=interrupted,
    )
    return Connection(options, dialing, on_message=on_message)
