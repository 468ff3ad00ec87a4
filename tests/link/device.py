"""The agent's uplink with a real store, in a thread, for one case."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Self

from agent import config
from agent.clock import Clock
from agent.facts import Facts
from agent.health.health import Health
from agent.model import COUNT, NewRecord, Record
from agent.sensors import options_of
from agent.store import open_store
from agent.uplink import Uplink
from agent.uplink.birth import Birth
from agent.uplink.waits import Backoff
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.model import Json
    from tests.link.certificates import Files

THING = "living-room"
TOPIC = f"{THING}/count"


def write_toml(
    directory: Path,
    files: Files,
    port: int,
    protocol: str,
    *,
    endpoint: str = "localhost",
    mqtt: Mapping[str, float],
) -> Path:
    """An agent.toml of a device that lives in `directory` and has its own certificate."""
    path = directory / "agent.toml"
    numbers = "".join(f"{key} = {value}\n" for key, value in mqtt.items())
    path.write_text(
        f'[thing]\nname = "{THING}"\n'
        f'[paths]\nstate = "{directory / "state"}"\nruntime = "{directory / "runtime"}"\n'
        f'[mqtt]\nendpoint = "{endpoint}"\nport = {port}\nprotocol = "{protocol}"\n'
        f'ca_file = "{files.root}"\ncert_file = "{files.certificate}"\n'
        f'key_file = "{files.key}"\n{numbers}'
    )
    return path


class Device:
    """What the daemon runs, less sampler and systemd; `enter` runs first in its thread."""

    def __init__(
        self,
        directory: Path,
        files: Files,
        *,
        port: int,
        protocol: str,
        endpoint: str = "localhost",
        enter: Callable[[], None] = lambda: None,
        **mqtt: float,
    ) -> None:
        numbers = {"connect_timeout_s": 2, "backoff_max_s": 2, "keepalive_s": 60, **mqtt}
        toml = write_toml(directory, files, port, protocol, endpoint=endpoint, mqtt=numbers)
        #: All conditions that ever stood, by code with text and hint.
        self.history: list[tuple[str, str]] = []
        self.health = Health(on_turn=self._note)
        self.store = open_store(config.load(toml, options_of=options_of).store)
        self._clock = Clock()
        self._wakeup = Wakeup()
        self._enter = enter
        loaded = config.load(toml, options_of=options_of)
        self._uplink = Uplink(
            loaded,
            self.store,
            birth=Birth("first start", None, self._clock.now()),
            facts=Facts(loaded, self.store, clock=self._clock, health=self.health),
            health=self.health,
            clock=self._clock,
            wakeup=self._wakeup,
        )
        #: Each wait between two attempts: the cap that it was drawn under, and itself.
        self.waits: list[tuple[float, float]] = []
        chance = random.Random(5)  # so that a case lasts as long each time

        def draw(low_s: float, cap_s: float) -> float:
            self.waits.append((cap_s, chance.uniform(low_s, cap_s)))
            return self.waits[-1][1]

        self._uplink._backoff = Backoff(1.0, numbers["backoff_max_s"], uniform=draw)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.store.close()
        if self.error:
            raise self.error

    def _run(self) -> None:
        try:
            self._enter()
            self._uplink.run()
        except Exception as error:  # noqa: BLE001 -- reported where the case ends
            self.error = error

    def stop(self, within_s: float = 3.0) -> float:
        """Stop in order; how long that took."""
        began_s = time.monotonic()
        self._uplink.stop(began_s + within_s)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the uplink does not stop"
        return time.monotonic() - began_s

    def retry(self) -> None:
        """What SIGHUP does."""
        self._uplink.retry()

    def count(self, number: int = 1, *, kind: str = COUNT, **body: Json) -> list[Record]:
        """Store so many counts, or records of another kind, and say so."""
        now = self._clock.now()
        records = [
            self.store.append(NewRecord(kind, now.wall_s, now, body), detections=1)
            for _ in range(number)
        ]
        self._uplink.records_wait()
        return records

    def fact(self, name: str) -> Json:
        """A fact of status.json."""
        return self.health.snapshot().facts[name]

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Text and hint of the conditions that stand."""
        return {one.code: (one.text, one.hint) for one in self.health.snapshot().conditions}

    def wait(self, wanted: Callable[[], bool], timeout_s: float = 20) -> None:
        """Wait until the device is as wanted; AssertionError tells how it is."""
        until_s = time.monotonic() + timeout_s
        while not wanted():
            time.sleep(0.02)
            if time.monotonic() > until_s or self.error:
                facts = self.health.snapshot().facts
                raise AssertionError(f"{self.error!r}, {self.conditions()}, {facts}")

    def wait_condition(self, code: str, text: str = "", timeout_s: float = 20) -> str:
        """The condition's text and hint, once it has stood and said `text`."""

        def found() -> str | None:
            return next((said for one, said in self.history if one == code and text in said), None)

        self.wait(lambda: found() is not None, timeout_s)
        return found() or ""

    def _note(self) -> None:
        for code, said in self.conditions().items():
            if (code, " ".join(said)) not in self.history:
                self.history.append((code, " ".join(said)))

    def wait_online(self, timeout_s: float = 20) -> None:
        """Wait for CONNACK."""
        self.wait(lambda: self.fact("state") == "online", timeout_s)

    def wait_empty(self, timeout_s: float = 20) -> None:
        """Wait until everything is acknowledged."""
        self.wait(lambda: self.store.queued == 0, timeout_s)
