"""Broker of a benchmark: a mosquitto with mutual TLS on loopback, and certificates of its own."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric import ec

from agent.value import Value
from bench.environment import leashed, program
from tests.tools.cloud.authority import Authority, write
from tests.tools.cloud.mosquitto import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PATIENCE_S = 30.0

#: The limits of AWS IoT Core, and no file, so that the broker itself costs the machine little.
CONFIGURATION = """
per_listener_settings false
allow_anonymous true
listener {port} 127.0.0.1
cafile {root}
certfile {directory}/server.pem
keyfile {directory}/server.key
require_certificate true

# For who watches: without TLS.
listener {plain_port} 127.0.0.1

max_inflight_messages 100
max_queued_messages 0
message_size_limit 131072
max_keepalive 1200
set_tcp_nodelay true
connection_messages true
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
"""


class Line(NamedTuple):
    """A line of the broker's log, and when it came (time.monotonic)."""

    at_s: float
    text: str


class Certificates(Value):
    """Files of the bench's own authority: its root, and one device's certificate and key, PEM."""

    root: Path
    certificate: Path
    key: Path
    directory: Path


def make_certificates(directory: Path) -> Certificates:
    """An authority that signs the broker's certificate and one device's, in `directory`."""
    authority = Authority("Bench")
    root = directory / "root.pem"
    root.write_text(authority.pem)
    certificate, key = authority.issue_server(["localhost", "127.0.0.1"])
    (directory / "server.pem").write_text(certificate)
    (directory / "server.key").write_bytes(key)
    own = ec.generate_private_key(ec.SECP256R1())
    pem = authority.issue_device(own.public_key())
    files = write(pem, own, directory / "device.pem", directory / "device.key")
    return Certificates(root, *files, directory)


class Broker:
    """mosquitto on the same ports for all its life; a context manager that starts and ends it.

    With `verbose` its log has every packet, which slows it; a `lasting` one
    keeps sessions, and what waits for them, over a restart.
    """

    def __init__(
        self, certificates: Certificates, *, verbose: bool = False, lasting: bool = False
    ) -> None:
        self.port, self.plain_port = free_ports(2)
        self.root = certificates.root
        self.log: list[Line] = []
        self._logged = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._over = False  # what it writes
        self._configuration = certificates.directory / f"mosquitto-{self.port}.conf"
        text = CONFIGURATION.format(
            port=self.port,
            plain_port=self.plain_port,
            root=certificates.root,
            directory=certificates.directory,
        )
        text += "user root\n" if os.geteuid() == 0 else ""
        text += "log_type all\n" if verbose else ""
        if lasting:
            kept = certificates.directory / f"kept-{self.port}"
            kept.mkdir()
            text += f"persistence true\npersistence_location {kept}/\n"
        self._configuration.write_text(text)

    def __enter__(self) -> Self:
        """Itself, serving."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process
        return self._process.pid

    def reached_by(self, port: int) -> Broker:
        """The same broker, by another port that leads to it."""
        other = copy.copy(self)
        other.port = port
        return other

    def start(self) -> float:
        """Start it; when it began to listen (time.monotonic). Raises TimeoutError."""
        behind = len(self.log)
        self._over = False
        self._process = subprocess.Popen(
            leashed(program("mosquitto"), "-c", str(self._configuration)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        reader.start()
        self._reader = reader
        return self.wait(r"mosquitto version \S+ running", behind=behind).at_s

    def stop(self) -> None:
        """End it, if it runs; whoever is connected sees that."""
        while self._process and self._process.poll() is None:
            self._process.terminate()  # again, since it forgets one that comes while it starts
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        if self._reader:
            self._reader.join(PATIENCE_S)

    def wait(
        self, pattern: str, *, behind: int = 0, count: int = 1, timeout_s: float = PATIENCE_S
    ) -> Line:
        """The line that makes it `count` matches, of those after the first `behind`.

        Raises TimeoutError, at once where the broker has ended.
        """
        wanted, until_s, looked, found = (
            re.compile(pattern),
            time.monotonic() + timeout_s,
            behind,
            0,
        )
        with self._logged:
            while True:
                for line in self.log[looked:]:
                    looked += 1
                    found += bool(wanted.search(line.text))
                    if found == count:
                        return line
                if self._over or not self._logged.wait(max(0.0, until_s - time.monotonic())):
                    last = [line.text for line in self.log[-5:]]
                    raise TimeoutError(f"{pattern}: {found} of {count} in {timeout_s:g} s; {last}")

    def wait_connected(
        self, client_id: str, *, behind: int = 0, timeout_s: float = PATIENCE_S
    ) -> Line:
        """The line of the client's first CONNECT behind so many. Raises TimeoutError."""
        return self.wait(connected(client_id), behind=behind, timeout_s=timeout_s)

    def trouble(self, client_id: str, *, behind: int = 0) -> str:
        """The first line behind so many that says that a client's connection ended, or ""."""
        with self._logged:
            return lost((line.text for line in self.log[behind:]), client_id)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr
        with process.stderr as lines:
            for text in lines:
                with self._logged:
                    self.log.append(Line(time.monotonic(), text.rstrip()))
                    self._logged.notify_all()
        with self._logged:
            self._over = True
            self._logged.notify_all()


def connected(client_id: str) -> str:
    """The pattern of the log's line about a CONNECT."""
    return rf"New client connected from \S+ as {re.escape(client_id)} \("


def lost(lines: Iterable[str], client_id: str) -> str:
    """The first of the broker's lines that says that this client's connection ended, or ""."""
    name = re.escape(client_id)
    ended = re.compile(
        rf"Client {name} (closed|disconnected|has exceeded|already connected)"
        rf"|(Socket error on|Outgoing messages are being dropped for) client {name}\b"
    )
    return next((line for line in lines if ended.search(line)), "")


class Arrivals:
    """A subscriber that ends once `count` messages on a topic have arrived: mosquitto_sub."""

    def __init__(self, broker: Broker, topic: str, count: int) -> None:
        self._broker = broker
        self._count = count
        where = ("-h", "127.0.0.1", "-p", str(broker.plain_port))
        what = ("-t", topic, "-C", str(count), "-F", "%l")
        self._command = leashed(program("mosquitto_sub"), *where, *what)
        self._lines = b""
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        """Itself, connected; it subscribes in the next moment."""
        behind = len(self._broker.log)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._reader.start()
        try:
            self._broker.wait(r"New client connected from \S+ as auto-", behind=behind)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()

    def wait(self, timeout_s: float) -> float:
        """When the last of them came (time.monotonic). Raises TimeoutError."""
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            raise TimeoutError(f"{self._count} messages did not arrive in {timeout_s:g} s")
        return self._ended_s

    @property
    def mean_bytes(self) -> float:
        """Mean length of a payload."""
        lengths = [int(line) for line in self._lines.split()]
        return sum(lengths) / len(lengths) if lengths else 0.0

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            self._lines = lines.read()
        self._ended_s = time.monotonic()
