"""The needs of mosquitto: its place, its ports, its configuration."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.tools.cloud.link import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.model import Json
    from tests.tools.cloud.policies import Acl

PLUGIN = "mosquitto_dynamic_security.so"
PLUGIN_PLACES = ("/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib", "/usr/local/lib")
# Below Linux's ephemeral ports: while the broker is down no other connection may take its port,
# and no connect to it may meet itself.
PORTS = range(20000, 32000)
CONFIGURATION = """\
# The devices' listener: TLS, and a certificate of the device CA that is not on the revocation list.
listener {port} 127.0.0.1
cafile {directory}/device-ca.pem
certfile {directory}/server.pem
keyfile {directory}/server.key
crlfile {directory}/revoked.pem
require_certificate true
{name}

# The cloud's own listener: observer and control, by password.
listener {inner_port} 127.0.0.1

allow_anonymous false
{fleet}
plugin {plugin}
plugin_opt_config_file {directory}/dynamic-security.json

# AWS IoT Core's limits.
max_inflight_messages 100
message_size_limit 131072
persistent_client_expiration 7d
max_keepalive 1200

persistence true
persistence_location {directory}/
autosave_interval 1
max_queued_messages 0
queue_qos0_messages true
set_tcp_nodelay true

log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
connection_messages true
{user}
"""


class CloudError(RuntimeError):
    """The local cloud cannot run here; the text says what to do."""


def find_mosquitto() -> tuple[str, str]:
    """The paths of mosquitto and its plugin; CloudError says what to install."""
    binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if binary is None:
        raise CloudError("mosquitto is not installed. On Debian: sudo apt install mosquitto")
    for place in PLUGIN_PLACES:
        for path in sorted(Path("/").glob(f"{place[1:]}/{PLUGIN}")):
            return binary, str(path)
    raise CloudError(
        f"{PLUGIN} is not in {', '.join(PLUGIN_PLACES)}. It is part of Debian's package mosquitto, "
        "version 2.0 or later: sudo apt install mosquitto"
    )


def free_ports(count: int) -> list[int]:
    """That many ports on loopback that nothing listens on."""
    found: list[int] = []
    chance = secrets.SystemRandom()
    while len(found) < count:
        port = chance.choice(PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def hashed(password: str) -> dict[str, Json]:
    """As the plugin keeps it: PBKDF2 with SHA-512 (mosquitto's password_mosq.c)."""
    salt, iterations = secrets.token_bytes(12), 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, 64)
    return {
        "password": base64.b64encode(digest).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": iterations,
    }


def role(name: str) -> list[dict[str, str]]:
    """A client's roles, as the plugin has them: the one of that name."""
    return [{"rolename": name}]


def dynamic_security(roles: Mapping[str, Iterable[Acl]], *, password: str) -> dict[str, Any]:
    """The plugin's file: a client and a role for each device, and the cloud's own clients."""
    everything = [
        {"acltype": kind, "topic": topic, "allow": True}
        for kind in ("publishClientSend", "publishClientReceive", "subscribePattern")
        for topic in ("#", f"{CONTROL}/#", "$fleet/#")
    ]
    own = [{"rolename": "cloud", "acls": everything}]
    own += [
        {"rolename": name, "acls": [acl.to_json() for acl in acls]} for name, acls in roles.items()
    ]
    clients: list[dict[str, Any]] = [
        {"username": name, "roles": role("cloud"), **hashed(password)}
        for name in ("observer", "control", "fleet")
    ]
    clients += [{"username": name, "roles": role(name)} for name in roles]
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,  # the plugin's own default is to allow
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": clients,
        "groups": [],
        "roles": own,
    }
