"""Subscriber beside the contestants: what has arrived at the broker, when, in which order."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from bench.environment import leashed, program

if TYPE_CHECKING:
    from pathlib import Path

    from bench.broker import Broker


class Message(NamedTuple):
    """Message as it arrived, at the wall clock's `wall_s`."""

    wall_s: float
    topic: str
    payload: str

    @property
    def bytes(self) -> int:
        """What a device cannot but send: topic and payload."""
        return len(self.topic.encode()) + len(self.payload.encode())

    @property
    def seq(self) -> int | None:
        """The agent's number; None for what is no record."""
        try:
            content = json.loads(self.payload)
        except ValueError:
            return None
        return content.get("seq") if isinstance(content, dict) else None


class Subscriber(AbstractContextManager["Subscriber"]):
    """mosquitto_sub on `topic` of the broker's plain port; writes what arrives into `file`."""

    def __init__(self, broker: Broker, topic: str, file: Path) -> None:
        behind = len(broker.log)
        where = ("-h", "127.0.0.1", "-p", str(broker.plain_port), "-t", topic)
        self._file = file
        self._seen = self._counted = 0
        with file.open("wb") as output:
            self._process = subprocess.Popen(
                leashed(program("mosquitto_sub"), *where, "-F", "%U %t %p"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
            )
        try:
            broker.wait(r"New client connected from \S+ as auto-", behind=behind)
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def count(self) -> int:
        """The number of messages that have arrived."""
        with self._file.open("rb") as lines:
            lines.seek(self._seen)
            new = lines.read()
        self._seen += len(new)
        self._counted += new.count(b"\n")
        return self._counted

    def messages(self) -> list[Message]:
        """What has arrived, in that order."""
        return parse(self._file.read_text())

    def wait(self, count: int, timeout_s: float) -> None:
        """Wait until so many have arrived. Raises TimeoutError."""
        until_s = time.monotonic() + timeout_s
        while self.count() < count:
            if time.monotonic() > until_s:
                raise TimeoutError(f"{self.count()} of {count} messages in {timeout_s:g} s")
            time.sleep(0.05)


def parse(text: str) -> list[Message]:
    """The messages in what mosquitto_sub has written; its last line may not be whole yet."""
    whole = text[: text.rfind("\n") + 1]
    found = []
    for line in whole.splitlines():
        wall_s, topic, payload = line.split(" ", 2)
        found.append(Message(float(wall_s), topic, payload))
    return found
