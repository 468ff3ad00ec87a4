"""Contestants: the agent as systemd runs it, and its peers; each process ends with its block.

Each run has a name of its own, so that none takes over another's connection.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from bench.broker import Broker, Certificates, make_certificates
from bench.commands import agent_command, command, interpreter
from bench.environment import PAHO, ROOT, MissingError, leashed, program
from bench.home import Home
from bench.process import cpu_s, memory, switches
from bench.rounds import VoidError, tell
from tests.integration.agent_process import ListeningSystemd

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.commands import Command
    from bench.process import Memory

Figure = TypeVar("Figure")

#: Memory, as /run is, where the service has its runtime directory.
MEMORY = Path("/dev/shm")  # noqa: S108


class Contestant:
    """A process that runs: `began_s` (time.monotonic) is when it was started.

    Its figures raise VoidError once it has ended. A home is for one: the broker may tell of the end
    of a name's last connection when the next has begun.
    """

    def __init__(self, home: Home, broker: Broker, command: Command) -> None:
        self.home = home
        self.broker = broker
        self.behind = len(broker.log)
        self._log = home.directory / "log"
        with self._log.open("xb") as log:
            self.began_s = time.monotonic()
            self._process = subprocess.Popen(
                leashed(*command.arguments),
                cwd=ROOT,
                env=command.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid
        threading.Thread(target=self._feed, args=(command.lines,), daemon=True).start()

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
        return self._look(cpu_s)

    @property
    def memory(self) -> Memory:
        """What it takes now."""
        return self._look(memory)

    @property
    def switches(self) -> Counter[str]:
        """Those of each of its threads so far."""
        return self._look(switches)

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
        self.check_runs()
        if trouble := self.broker.trouble(self.name, behind=self.behind):
            raise VoidError(trouble)
        if "offline" in self.log:
            raise VoidError(f"{self.name}: {self.log[-400:]}")

    def check_runs(self) -> None:
        """Raise VoidError if it has ended."""
        if self._process.poll() is not None:
            raise VoidError(f"{self.name} ended with {self._process.returncode}: {self.log[-400:]}")

    def _look(self, figure: Callable[[int], Figure]) -> Figure:
        self.check_runs()
        try:
            return figure(self.pid)
        except OSError as error:
            raise VoidError(f"{self.name} ends: {error}") from None

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

    def __init__(self, directory: Path, missing: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.prefix = f"bench{secrets.token_hex(3)}"
        self.missing: dict[str, str] = {} if missing is None else missing
        (directory / "pki").mkdir(parents=True)
        self.certificates: Certificates = make_certificates(directory / "pki")
        self.broker = Broker(self.certificates)
        self.systemd = ListeningSystemd(directory / "notify")

    def __enter__(self) -> Self:
        """Itself, with a broker that serves."""
        place = MEMORY if MEMORY.is_dir() else self.directory
        self._runtime = place / f"{self.prefix}-{secrets.token_hex(8)}"
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self._runtime, ignore_errors=True)
            self._runtime.mkdir(mode=0o700)
            stack.enter_context(self.systemd)
            stack.enter_context(self.broker)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End what it has started."""
        self._stack.close()

    def available(self, *names: str) -> list[str]:
        """Those of the contestants that can run here; why another cannot is told once."""
        return [name for name in names if self._can_run(name, name, "deb")]

    def pahos(self) -> dict[str, str]:
        """The environments in which the agent can run here, and what rows call them; same."""
        return {paho: label for paho, label in PAHO.items() if self._can_run(label, "agent", paho)}

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
        home.provision(self.certificates)
        paths = {"runtime": str(self._runtime / home.name), **sections.get("paths", {})}
        port = (broker or self.broker).port
        home.configure(self.certificates, port, sensors, {**sections, "paths": paths})
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
        message and stays; "drain COUNT PER_S" publishes COUNT of 200 bytes, at most 100
        unacknowledged, and of `bare` PER_S a second unless that is 0; "each S KEEPALIVE_S"
        publishes a numbered one each S seconds, with a keep-alive of a minute if none is given.
        Raises MissingError; VoidError at the end of a `steady` one if its link was lost.
        """
        home = home or self.home(broker=broker)
        broker = broker or self.broker
        if name == "agent":
            what = agent_command(paho, home, self.systemd.environment, as_unit=as_unit)
        else:
            what = command(name, home, broker, self.certificates, paho=paho, mode=mode)
        with Contestant(home, broker, what) as running:
            yield running
            if steady:
                running.check()

    def _can_run(self, label: str, name: str, paho: str) -> bool:
        if label not in self.missing:
            try:
                if name == "mosquitto_pub":
                    program(name)
                else:
                    interpreter(name, paho)
            except MissingError as error:
                self.missing[label] = str(error)
                tell(f"{label} is left out: {error}")
        return label not in self.missing
