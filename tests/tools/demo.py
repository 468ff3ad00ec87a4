"""The whole way on one machine, told as it happens: `scripts/demo [--for SECONDS]`.

A local AWS, a device that has nothing but a key to it, and what arrives at the cloud's side.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tests.tools.cloud.link import Message

ROOT = Path(__file__).parents[2]
THING = "living-room"
WINDOW_S = 5
SENSORS = [
    {"name": "motion", "driver": "simulated", "detections_per_s": 0.5},
    {"name": "room", "driver": "simulated", "interval_s": 3},
]

#: By then a count and a reading have arrived, or something is wrong.
PATIENCE_S = 60.0
STATUS_EVERY_S = 15.0
LOOK_EVERY_S = 0.1
STOP_S = 10.0

BORN_S = time.monotonic()


class DemoError(Exception):
    """The agent did not do what this was to show."""


def tell(who: str, text: str) -> None:
    """One line (or one for each line of `text`): when, who, what."""
    for line in text.splitlines():
        print(f"{time.monotonic() - BORN_S:6.1f} s  {who:<7}  {line}", flush=True)


def main(arguments: list[str]) -> int:
    """Run until SIGINT, SIGTERM or the end of `--for`; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--for", type=float, default=float("inf"), dest="for_s", metavar="SECONDS")
    for_s = parser.parse_args(arguments).for_s
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="pi-iot-agent-demo-") as name:
        directory = Path(name)
        with LocalAws(directory / "aws") as aws:
            tell("cloud", f"the control plane is at {aws.endpoint_url}")
            tell("cloud", f"the broker is at {aws.endpoint}:{aws.port}")
            config_path = directory / "agent.toml"
            config_path.write_text(
                aws.agent_toml(directory, name=THING, sensors=SENSORS, count={"window_s": WINDOW_S})
            )
            try:
                with Agent(config_path, environment=aws.environment) as agent:
                    show(aws, agent, stop, for_s=for_s)
            except DemoError as error:
                tell("demo", f"failed: {error}")
                return 1
    tell("demo", "all is stopped and removed")
    return 0


class Agent:
    """`python3 -m agent run` as a child, and what it says on stderr; a context manager."""

    def __init__(self, config_path: Path, *, environment: Mapping[str, str]) -> None:
        self._config_path = config_path
        self._environment = environment
        self.log: list[str] = []

    def __enter__(self) -> Self:
        """Start it; a Ctrl-C at the terminal is not for it, so that it is stopped in order."""
        self._process = subprocess.Popen(
            self._command("run"),
            cwd=ROOT,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        tell("agent", f"python3 -m agent run, process {self._process.pid}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it however things stand."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()

    def status(self) -> str:
        """What `python3 -m agent status` prints."""
        done = subprocess.run(
            self._command("status"),
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=STOP_S,
        )
        return done.stdout + done.stderr

    def check(self) -> None:
        """Raise DemoError if it has ended."""
        if self._process.poll() is not None:
            raise DemoError(f"the agent ended by itself: {self._ending()}")

    def stop(self) -> None:
        """SIGTERM, and wait; raises DemoError if it does not end in order."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise DemoError(f"the agent did not stop within {STOP_S:g} s") from None
        self._reader.join()
        if self._process.returncode:
            raise DemoError(f"the agent did not stop in order: {self._ending()}")

    def _command(self, command: str) -> list[str]:
        return [sys.executable, "-m", "agent", command, "--config", str(self._config_path)]

    def _ending(self) -> str:
        self._reader.join()
        last = "\n".join(self.log[-20:])
        return f"exit code {self._process.returncode}; the last that it said:\n{last}"

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                self.log.append(re.sub(r"^<\d>", "", line.rstrip()))


class News:
    """What has happened on both sides since the last look."""

    def __init__(self, aws: LocalAws, agent: Agent) -> None:
        self._aws = aws
        self._agent = agent
        self._calls = self._messages = self._lines = 0
        self.arrived: set[str] = set()

    def tell(self) -> None:
        """Tell what is new: calls to the control plane, the agent's log, messages."""
        for call in self._aws.faults.calls[self._calls :]:
            self._calls += 1
            tell("cloud", f"call {call.operation}: {call.status} {call.code}".rstrip())
        for line in self._agent.log[self._lines :]:
            self._lines += 1
            tell("agent", line)
        for message in self._aws.observer.messages()[self._messages :]:
            self._messages += 1
            self.arrived.add(message.topic.split("/")[1])
            tell("cloud", f"{message.topic}: {in_words(message)}")


def in_words(message: Message) -> str:
    """The payload of a count, a reading or a status for a person."""
    body = message.json()
    number = f"; record {body['seq']}" if "seq" in body else ""
    if "detect_count" in body:
        return (
            f"{body['detect_count']} detections in {body['observed_ms'] / 1000:g} s, "
            f"{body['quality']}; {body['total']} in total{number}"
        )
    hidden = {"Timestamp", "epoch", "seq"}
    return ", ".join(f"{key} {value}" for key, value in body.items() if key not in hidden) + number


def show(aws: LocalAws, agent: Agent, stop: threading.Event, *, for_s: float) -> None:
    """Tell what happens until `stop` or the end of the time, then stop the agent in order.

    Raises DemoError when the agent ends, or when no count or no reading has arrived in time.
    """
    news = News(aws, agent)
    began_s = time.monotonic()
    status_s = began_s + STATUS_EVERY_S
    while not stop.wait(LOOK_EVERY_S) and time.monotonic() < BORN_S + for_s:
        news.tell()
        agent.check()
        if not arrived(news) and time.monotonic() - began_s > PATIENCE_S:
            break
        if time.monotonic() >= status_s:
            tell("status", agent.status())
            status_s += STATUS_EVERY_S
    news.tell()
    tell("status", agent.status())
    tell("demo", "stopping the agent (SIGTERM)")
    agent.stop()
    time.sleep(LOOK_EVERY_S)  # its farewell is on the way
    news.tell()
    if not stop.is_set() and not arrived(news):
        raise DemoError("no count and reading arrived at the cloud's side in time")


def arrived(news: News) -> bool:
    """Whether both a count and a reading have reached the cloud."""
    return {"count", "sensors"} <= news.arrived


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
