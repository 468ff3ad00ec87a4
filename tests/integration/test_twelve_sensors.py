"""One agent with twelve sensors, four of which fail in different ways; the others never notice.

`TWELVE_SENSORS_FOR_S=300 scripts/test tests/integration/test_twelve_sensors.py` runs it for five
minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from agent.store.inspection import inspect
from tests import timing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Record

ROOT = Path(__file__).parents[2]
FOR_S = float(os.environ.get("TWELVE_SENSORS_FOR_S", "20"))

pytestmark = pytest.mark.timeout(FOR_S + 100)

#: A read that hangs never delays another sensor by more than this.
DELAY_MAX_S = 0.1

PLUG_IN = '''\
import pathlib, threading, time


class Events:
    """Detects in a thread of its own; at the end it writes down how often it has told so.

    What it tells when it is first asked was before anybody watched.
    """

    def __init__(self, options):
        self.path, self.pause_s = pathlib.Path(options["told"]), 1 / options["per_s"]
        self.lock, self.stop, self.count, self.told = threading.Lock(), threading.Event(), 0, None
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.stop.wait(self.pause_s):
            with self.lock:
                self.count += 1

    def read(self):
        return {}

    def drain(self):
        with self.lock:
            count, self.count = self.count, 0
        self.told = 0 if self.told is None else self.told + count
        return count, 0.0

    def close(self):
        self.stop.set()
        self.path.write_text(str(self.told))


class Numbered:
    """Counts how often it was read."""

    def __init__(self, options):
        self.reads = 0

    def read(self):
        self.reads += 1
        return {"reads": self.reads}

    def close(self):
        pass


class Hangs(Numbered):
    def read(self):
        threading.Event().wait()


class Leaks(Numbered):
    files = []

    def read(self):
        self.files.append([open("/dev/null"), bytearray(100_000)])
        raise RuntimeError("there is something wrong inside")


def opens(kind):
    return lambda options, *, clock: kind(options)


events, numbered, hangs, leaks = map(opens, (Events, Numbered, Hangs, Leaks))
'''

CONFIG = """
[thing]
name = "cat"

[mqtt]
endpoint = "localhost"
port = 1
cert_file = "missing.pem"
key_file = "missing.pem"

[paths]
certs = "certs"
state = "state"
runtime = "runtime"

[count]
sensor = ["hall", "yard"]
window_s = 5

[[sensors]]
name = "hall"
driver = "events"
per_s = 200
told = "{directory}/hall"

[[sensors]]
name = "yard"
driver = "events"
per_s = 7
told = "{directory}/yard"

[[sensors]]
name = "fast"
driver = "numbered"
interval_s = 0.05

[[sensors]]
name = "steady"
driver = "numbered"
interval_s = 0.5

[[sensors]]
name = "room"
driver = "simulated"
interval_s = 1

[[sensors]]
name = "board"
driver = "system"
interval_s = 1

[[sensors]]
name = "door"
driver = "simulated"
detections_per_s = 1
interval_s = 1

[[sensors]]
name = "program"
driver = "exec"
command = ["/bin/echo", "21.5"]
interval_s = 1

[[sensors]]
name = "hangs"
driver = "hangs"
interval_s = 1
timeout_s = 2

[[sensors]]
name = "broken"
driver = "broken"
interval_s = 1

[[sensors]]
name = "leaks"
driver = "leaks"
interval_s = 1

[[sensors]]
name = "stuck"
driver = "exec"
command = [
    "/bin/sh", "-c",
    "trap '' TERM; echo $$ >>{directory}/stuck; echo no answer >&2; sleep 600",
]
interval_s = 1
timeout_s = 1
"""

INTERVALS = {"fast": 0.05, "steady": 0.5, "room": 1, "board": 1, "door": 1, "program": 1}
TROUBLES = {
    "hangs": "hangs: it ",
    "broken": "broken: No module named 'no_such_module'",
    "leaks": "leaks: there is something wrong inside",
    "stuck": "stuck: it takes too much time: no answer",
}


class Jitter:
    """How late this machine wakes a thread that has nothing else to do, at worst."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Itself, measuring."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop measuring."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.monotonic() + 0.01
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            self.worst_s = max(self.worst_s, time.monotonic() - due_s)
            due_s = time.monotonic() + 0.01


def installed(directory: Path) -> Path:
    """A directory with the plug-ins of this test, as pip installs them."""
    (directory / "plugs.py").write_text(PLUG_IN)
    metadata = directory / "plugs-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugs\nVersion: 1\n")
    drivers = "".join(
        f"{name} = plugs:{name}\n" for name in ("events", "numbered", "hangs", "leaks")
    )
    (metadata / "entry_points.txt").write_text(
        f"[pi_iot_agent.sensors]\n{drivers}broken = no_such_module:x\n"
    )
    return directory


@dataclass(frozen=True)
class Evening:
    """What came of the run: files, records, what it said of itself, how late the machine was."""

    directory: Path
    records: tuple[Record, ...]
    status: dict[str, Any]
    threads: int
    exit_code: int
    jitter_s: float

    def of(self, kind: str) -> list[Record]:
        """The records of one topic, in order."""
        return [record for record in self.records if record.kind == kind]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """The agent after its run, in memory where there is some: it is not the disk that is tested."""
    memory = Path("/dev/shm")  # noqa: S108 -- the directory in it is private
    place = memory if os.access(memory, os.W_OK) else tmp_path_factory.mktemp("twelve")
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield run(Path(name), tmp_path_factory)


def run(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """Have the agent run in `directory`; what came of it."""
    (directory / "agent.toml").write_text(CONFIG.replace("{directory}", str(directory)))
    site = installed(tmp_path_factory.mktemp("site"))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "agent", "run", "--config", str(directory / "agent.toml")]
    with (
        Jitter() as jitter,
        (directory / "log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log) as process,
    ):
        try:
            while not (directory / "runtime/status.json").exists():
                time.sleep(0.05)
            time.sleep(FOR_S)
            status = json.loads((directory / "runtime/status.json").read_text())
            threads = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
            process.send_signal(signal.SIGTERM)
            exit_code = process.wait(60)
        finally:
            process.kill()
    records = inspect(directory / "state/store.db", 10**6).records
    return Evening(directory, records, status, threads, exit_code, jitter.worst_s)


def test_every_detection_is_counted_once(evening: Evening) -> None:
    """What the detectors have told is what the windows say, to the last one."""
    counts = evening.of("count")
    parts = [cast("dict[str, int]", record.body["by_sensor"]) for record in counts]
    for name in ("hall", "yard"):
        assert sum(part[name] for part in parts) == int((evening.directory / name).read_text()) > 0
    for record, part in zip(counts, parts, strict=True):
        assert record.body["detect_count"] == sum(part.values())
    total = sum(cast("int", record.body["detect_count"]) for record in counts)
    assert counts[-1].body["total"] == total


def test_the_windows_are_whole(evening: Evening) -> None:
    """All but the first and the last, one after the other, each reported at once."""
    counts = evening.of("count")
    ends = [record.timestamp_s for record in counts]
    assert ends == [ends[0] + 5 * number for number in range(len(ends))]
    assert len(ends) >= FOR_S / 5 - 1
    assert [record.body["quality"] for record in counts[1:-1]] == ["ok"] * (len(counts) - 2)
    assert {record.body["observed_ms"] for record in counts[1:-1]} == {5000}


@pytest.mark.parametrize("name", INTERVALS)
def test_a_sensor_is_read_on_time_whatever_the_others_do(name: str, evening: Evening) -> None:
    """From one to the next it is never a tenth of a second longer than its interval."""
    interval_s = INTERVALS[name]
    times = [record.timestamp_s for record in evening.of(f"sensors/{name}")]
    late_s = [later - earlier - interval_s for earlier, later in pairwise(times)]
    allowed_s = timing.allowed_s(DELAY_MAX_S) + 2 * evening.jitter_s
    assert max(late_s) < allowed_s
    assert len(times) > (FOR_S - 6) / (interval_s + allowed_s)


@pytest.mark.parametrize("name", ["fast", "steady"])
def test_no_reading_is_lost(name: str, evening: Evening) -> None:
    """Each read is one record."""
    reads = [record.body["reads"] for record in evening.of(f"sensors/{name}")]
    assert reads == list(range(1, len(reads) + 1))


def test_those_that_fail_say_why_and_the_others_are_well(evening: Evening) -> None:
    """One condition for each; nothing of them was recorded."""
    failing = [one for one in evening.status["conditions"] if one["code"] == "sensor-failing"]
    sensors = evening.status["sensors"]
    assert len(failing) == len(TROUBLES)
    for name, words in TROUBLES.items():
        assert any(one["text"].startswith(words) for one in failing)
        assert not sensors[name]["ok"]
        assert not evening.of(f"sensors/{name}")
    assert {name for name, one in sensors.items() if one["ok"]} == {"hall", "yard", *INTERVALS}


def test_the_process_stays_small_and_stops_in_order(evening: Evening) -> None:
    """One thread hangs and is left behind; no program outlives the agent."""
    assert evening.exit_code == 0
    assert evening.threads <= 10 + 2
    log = (evening.directory / "log").read_text()
    assert "Traceback" not in log
    programs = (evening.directory / "stuck").read_text().split()
    assert len(programs) >= 2
    assert not [pid for pid in programs if Path(f"/proc/{pid}").exists()]
    assert len(log.splitlines()) < 40
