"""Network: a TLS connection by name, address, proxy and port, and its failures in words."""

from agent.net.dialer import Dialer
from agent.net.failures import CertificateRefusedError, UnreachableError, tls_broke
from agent.net.ports import DETOUR_PORT, Ports
from agent.net.tcp import LOOK_UP_S, look_up
from agent.net.waiter import Waiter

__all__ = [
    "DETOUR_PORT",
    "LOOK_UP_S",
    "CertificateRefusedError",
    "Dialer",
    "Ports",
    "UnreachableError",
    "Waiter",
    "look_up",
    "tls_broke",
]
