"""Contestants: the agent as systemd runs it, and its peers; each process ends with its block.

Each run has a name of its own, so that none takes over another's connection.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agent.identity import Generations, Identity, NewCertificate
from agent.value import Value
from bench.broker import Broker, Certificates, make_certificates
from bench.environment import ROOT, MissingError, program, python, unit_environment
from bench.process import cpu_s
from bench.rounds import VoidError, tell
from tests.integration.agent_process import ListeningSystemd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

UNIT = ROOT / "systemd" / "pi-iot-agent.service"
SCRIPTS = Path(__file__).parent / "peers"

#: Peers that are scripts of ours: their environment, and what their file is called.
PEERS: Mapping[str, tuple[str, str]] = {
    "lean": ("deb", "lean"),
    "bare": ("deb", "bare"),
    "tutorial": ("deb", "tutorial"),
    "awsiotsdk": ("awsiotsdk", "awsiotsdk_3"),
    "awsiotsdk 5": ("awsiotsdk", "awsiotsdk_5"),
    "AWSIoTPythonSDK": ("awsiotpythonsdk", "awsiotpythonsdk"),
}

#: As the unit has it; the daemon then feeds it every 60 s.
WATCHDOG_US = 180_000_000


def thermometers(count: int, interval_s: float) -> list[dict[str, Any]]:
    """The `[[sensors]]` of made-up temperatures."""
    return [
        {"name": f"room-{number}", "driver": "simulated", "interval_s": interval_s}
        for number in range(1, count + 1)
    ]


class Home(Value):
    """A contestant's directory; its name is the client id, and for the agent the thing's."""

    directory: Path

    @property
    def name(self) -> str:
        """The client id."""
        return self.directory.name

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.directory / "agent.toml"

    @property
    def store(self) -> Path:
        """The agent's store."""
        return self.directory / "state" / "store.db"


class Contestant:
    """A process that runs: `began_s` (time.monotonic) is when it was started."""

    def __init__(
        self,
        home: Home,
        broker: Broker,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        lines: bytes = b"",
    ) -> None:
        self.home = home
        self.broker = broker
        self.behind = len(broker.log)
        self._log = home.directory / "log"
        with self._log.open("ab") as log:
            self.began_s = time.monotonic()
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid
        threading.Thread(target=self._feed, args=(lines,), daemon=True).start()

    def __enter__(self) -> Self:
        """Itself, started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it: at once, and none of it is left."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    @property
    def name(self) -> str:
        """Its client id."""
        return self.home.name

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    @property
    def cpu_s(self) -> float:
        """CPU seconds since its start, of all its threads."""
        return cpu_s(self.pid)

    def wait_connected(self, timeout_s: float = 30.0) -> float:
        """When its CONNECT was taken (time.monotonic). Raises VoidError."""
        try:
            return self.broker.wait_connected(
                self.name, behind=self.behind, timeout_s=timeout_s
            ).at_s
        except TimeoutError:
            raise VoidError(f"{self.name} does not connect: {self.log[-400:]}") from None

    def check(self) -> None:
        """Raise VoidError if it has ended, or its link was lost."""
        if self._process.poll() is not None:
            raise VoidError(f"{self.name} ended with {self._process.returncode}: {self.log[-400:]}")
        if trouble := self.broker.trouble(self.name, behind=self.behind):
            raise VoidError(trouble)
        if "offline" in self.log:
            raise VoidError(f"{self.name}: {self.log[-400:]}")

    def _feed(self, lines: bytes) -> None:
        """Give it its input, which stays open."""
        assert self._process.stdin
        try:
            self._process.stdin.write(lines)
            self._process.stdin.flush()
        except OSError:  # it has ended
            return


class Bench:
    """A place for contestants: certificates, a broker, and a directory that ends with the bench."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.prefix = f"bench{secrets.token_hex(3)}"
        self.missing: dict[str, str] = {}
        self._stack = ExitStack()
        (directory / "pki").mkdir(parents=True)
        self.certificates: Certificates = make_certificates(directory / "pki")
        self.broker = Broker(self.certificates)
        self.systemd = ListeningSystemd(directory / "notify")

    def __enter__(self) -> Self:
        """Itself, with a broker that serves."""
        self._stack.enter_context(self.systemd)
        self._stack.enter_context(self.broker)
        return self

    def __exit__(self, *_: object) -> None:
        """End what it has started."""
        self._stack.close()

    def available(self, *names: str) -> list[str]:
        """Those of the contestants that can run here; why another cannot is told once."""
        return [name for name in names if self._can_run(name)]

    def home(
        self,
        *,
        broker: Broker | None = None,
        sensors: Sequence[Mapping[str, Any]] = (),
        **sections: Mapping[str, Any],
    ) -> Home:
        """A new contestant's directory: of an agent as registration leaves it, with these sensors.

        `sections` are tables of agent.toml: `home(mqtt={"protocol": "3.1.1"})`.
        """
        home = Home(self.directory / f"{self.prefix}-{secrets.token_hex(4)}")
        home.directory.mkdir()
        self._provision(home)
        tables: dict[str, dict[str, Any]] = {
            "thing": {"name": home.name},
            "mqtt": {
                "port": (broker or self.broker).port,
                "ca_file": str(self.certificates.root),
            },
            "paths": {key: str(home.directory / key) for key in ("certs", "state", "runtime")},
        }
        for section, keys in sections.items():
            tables.setdefault(section, {}).update(keys)
        text = [line for name, keys in tables.items() for line in _table(f"[{name}]", keys)]
        for sensor in sensors:
            text += _table("[[sensors]]", sensor)
        home.config.write_text("\n".join(text))
        return home

    @contextmanager
    def contestant(
        self,
        name: str,
        *,
        paho: str = "deb",
        home: Home | None = None,
        broker: Broker | None = None,
        mode: str = "sit",
        as_unit: bool = True,
        steady: bool = True,
    ) -> Iterator[Contestant]:
        """One that runs while inside: "agent", "mosquitto_pub", "mqtt-io" or one of PEERS.

        `paho` is the environment of the agent and of the peers that have the agent's libraries.
        `as_unit` gives the agent what the unit sets. `mode` is a peer's: "sit" publishes one
        message and stays; "drain COUNT BYTES_PER_S" publishes COUNT of 200 bytes, at most 100
        unacknowledged, BYTES_PER_S 0 without a limit; "each S KEEPALIVE_S" publishes a numbered one
        each S seconds, with a keep-alive of a minute if none is given. Raises MissingError;
        VoidError at the end of a `steady` one if its link was lost.
        """
        home = home or self.home(broker=broker)
        broker = broker or self.broker
        command, environment, lines = self._command(name, paho, home, broker, mode)
        if name == "agent":
            environment |= unit_environment(UNIT.read_text()) if as_unit else {}
        with Contestant(home, broker, command, environment=environment, lines=lines) as running:
            yield running
            if steady:
                running.check()

    def _command(
        self, name: str, paho: str, home: Home, broker: Broker, mode: str
    ) -> tuple[list[str], dict[str, str], bytes]:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        files = [str(path) for path in self._files]
        where = ["localhost", str(broker.port), *files, home.name]
        if name == "agent":
            environment |= self.systemd.environment | {"WATCHDOG_USEC": str(WATCHDOG_US)}
            command = [str(python(paho)), "-m", "agent", "run", "--config", str(home.config)]
            return command, environment, b""
        if name == "mosquitto_pub":
            count = int(mode.split()[1]) if mode != "sit" else 1
            command = [program(name), "-h", where[0], "-p", where[1], "--cafile", files[0]]
            command += ["--cert", files[1], "--key", files[2], "-i", home.name, "-V", "311"]
            command += ["-q", "1", "-M", "100", "-t", f"{home.name}/sensors/room", "-l"]
            return command, environment, (b"x" * 200 + b"\n") * count
        if name == "mqtt-io":
            config = home.directory / "mqtt-io.json"  # YAML too
            tls = dict(zip(("ca_certs", "certfile", "keyfile"), files, strict=True))
            mqtt = {
                "host": where[0],
                "port": broker.port,
                "client_id": home.name,
                "topic_prefix": home.name,
                "keepalive": 60,
                "tls": {"enabled": True, **tls},
            }
            content: dict[str, Any] = {"mqtt": mqtt}
            if mode != "sit":
                reading = {"name": "room", "module": "made-up", "interval": int(mode.split()[1])}
                content["sensor_modules"] = [{"name": "made-up", "module": "mock"}]
                content["sensor_inputs"] = [reading]
            config.write_text(json.dumps(content))
            return [str(python(name)), "-m", "mqtt_io", str(config)], environment, b""
        own, script = PEERS[name]
        interpreter = python(paho if own == "deb" else own)
        return [str(interpreter), str(SCRIPTS / f"{script}.py"), *where, mode], environment, b""

    @property
    def _files(self) -> tuple[Path, Path, Path]:
        made = self.certificates
        return made.root, made.certificate, made.key

    def _can_run(self, name: str) -> bool:
        if name not in self.missing:
            try:
                if name == "mosquitto_pub":
                    program(name)
                else:
                    python({"agent": "deb", "mqtt-io": name}.get(name) or PEERS[name][0])
            except MissingError as error:
                self.missing[name] = str(error)
                tell(f"{name} is left out: {error}")
        return name not in self.missing

    def _provision(self, home: Home) -> None:
        """Lay down a generation as registration does."""
        root, certificate, key = self._files
        generations = Generations(home.directory / "certs", home.name)
        new = NewCertificate(
            arn="arn:aws:iot:eu-west-1:123456789012:cert/bench",
            id="b" * 64,
            certificate=certificate.read_text(),
            key=key.read_text(),
            public_key="not used",
        )
        identity = Identity(
            thing=home.name,
            account="123456789012",
            region="eu-west-1",
            endpoint="localhost",
            certificate_arn=new.arn,
            certificate_id=new.id,
            policy=f"{home.name}_subscribe",
            created=1,
        )
        with generations.locked():
            generations.save(new, identity)
            generations.complete(
                generations.pending, identity, {"AmazonRootCA1.pem": root.read_text()}
            )
            generations.switch()


def _table(head: str, keys: Mapping[str, Any]) -> list[str]:
    """A TOML table: JSON's strings, numbers, booleans and flat arrays are TOML's too."""
    return [head, *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
