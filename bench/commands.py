"""Command lines of the contestants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.environment import ROOT, program, python, unit_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.broker import Broker, Certificates
    from bench.home import Home

UNIT = ROOT / "systemd" / "pi-iot-agent.service"
SCRIPTS = Path(__file__).parent / "peers"

#: What a service starts with.
PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

#: As the unit has it; the daemon then feeds it every 60 s.
WATCHDOG_US = 180_000_000

#: Peers that are scripts of ours: their environment, and what their file is called.
PEERS: Mapping[str, tuple[str, str]] = {
    "lean": ("deb", "lean"),
    "bare": ("deb", "bare"),
    "tutorial": ("deb", "tutorial"),
    "awsiotsdk": ("awsiotsdk", "awsiotsdk_3"),
    "awsiotsdk 5": ("awsiotsdk", "awsiotsdk_5"),
    "AWSIoTPythonSDK": ("awsiotpythonsdk", "awsiotpythonsdk"),
    "gpiozero": ("gpiozero", "gpiozero_pin"),
}


class Command(NamedTuple):
    """Arguments, the whole environment, and what it reads from its input, which stays open."""

    arguments: list[str]
    environment: dict[str, str]
    lines: bytes = b""


def interpreter(name: str, paho: str) -> Path:
    """The Python of a contestant, in an environment that is made if need be.

    Raises MissingError.
    """
    own = PEERS.get(name, ("mqtt-io" if name == "mqtt-io" else "deb", ""))[0]
    return python(paho if own == "deb" else own)


def command(
    name: str, home: Home, broker: Broker, certificates: Certificates, *, paho: str, mode: str
) -> Command:
    """The command of any contestant but the agent; what a mode is, `Bench.contestant` says."""
    files = [str(one) for one in (certificates.root, certificates.certificate, certificates.key)]
    where = ["localhost", str(broker.port), *files, home.name]
    if name == "mosquitto_pub":
        count = int(mode.split()[1]) if mode != "sit" else 1
        arguments = [program(name), "-h", where[0], "-p", where[1], "--cafile", files[0]]
        arguments += ["--cert", files[1], "--key", files[2], "-i", home.name, "-V", "311"]
        arguments += ["-q", "1", "-M", "100", "-t", f"{home.name}/sensors/room", "-l"]
        return Command(arguments, dict(PLAIN), (b"x" * 200 + b"\n") * count)
    own = str(interpreter(name, paho))
    if name == "mqtt-io":
        config = _mqtt_io(home, broker, files, mode)
        return Command([own, "-m", "mqtt_io", str(config)], dict(PLAIN))
    return Command([own, str(SCRIPTS / f"{PEERS[name][1]}.py"), *where, mode], dict(PLAIN))


def agent_command(
    paho: str, home: Home, notify: Mapping[str, str], *, as_unit: bool = True
) -> Command:
    """The agent as systemd runs it; `as_unit` with what the unit sets."""
    environment = PLAIN | dict(notify) | {"WATCHDOG_USEC": str(WATCHDOG_US)}
    environment |= unit_environment(UNIT.read_text()) if as_unit else {}
    own = str(interpreter("agent", paho))
    return Command([own, "-m", "agent", "run", "--config", str(home.config)], environment)


def _mqtt_io(home: Home, broker: Broker, files: list[str], mode: str) -> Path:
    """Its configuration; in the mode "each S" with a sensor."""
    content: dict[str, Any] = {
        "mqtt": {
            "host": "localhost",
            "port": broker.port,
            "client_id": home.name,
            "topic_prefix": home.name,
            "keepalive": 60,
            "tls": {
                "enabled": True,
                **dict(zip(("ca_certs", "certfile", "keyfile"), files, strict=True)),
            },
        }
    }
    if mode != "sit":
        reading = {"name": "room", "module": "made-up", "interval": int(mode.split()[1])}
        content["sensor_modules"] = [{"name": "made-up", "module": "mock"}]
        content["sensor_inputs"] = [reading]
    config = home.directory / "mqtt-io.json"  # YAML too
    config.write_text(json.dumps(content))
    return config
