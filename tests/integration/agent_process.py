"""The agent as systemd runs it: a real process, driven through its contract alone."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.tools.cloud import LocalAws

ROOT = Path(__file__).parents[2]


class AgentProcess:
    """`python3 -m agent run` in a directory of its own; its log is kept over restarts."""

    def __init__(self, cloud: LocalAws, directory: Path, *, toml: str) -> None:
        self.directory = directory
        self.tree = ROOT  # where the agent's own files are
        self.environment: dict[str, str] = dict(cloud.environment)
        self.config = directory / "agent.toml"
        self.config.write_text(toml)
        #: What Python is given to run the daemon.
        self.program = ["-m", "agent", "run", "--config", str(self.config)]
        self._log_file = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Itself, not started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it without mercy if it still runs."""
        if self._process and self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it wrote to stderr, over all starts."""
        return self._log_file.read_text()

    def start(self) -> Self:
        """Start it; does not wait for anything."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.program],
                cwd=self.tree,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def kill(self) -> None:
        """SIGKILL: what a power cut or the OOM killer does to it."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it has ended."""
        assert self._process
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(60)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command with the same configuration to its end."""
        command, *rest = arguments
        return subprocess.run(
            [sys.executable, "-m", "agent", command, "--config", str(self.config), *rest],
            cwd=self.tree,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """status.json as it is now; empty if there is none."""
        try:
            content = json.loads((self.directory / "runtime" / "status.json").read_text())
        except (FileNotFoundError, IsADirectoryError):
            return {}
        assert isinstance(content, dict)
        return content

    def wait_status(
        self,
        wanted: Callable[[Mapping[str, Any]], bool],
        *,
        timeout_s: float = 60,
    ) -> dict[str, Any]:
        """status.json of this process, once it is as wanted; AssertionError tells how it was."""
        until_s = time.monotonic() + timeout_s
        while True:
            status = self.status()
            if status.get("pid") == self.pid and wanted(status):
                return status
            ended = self._process.poll() if self._process else None
            if time.monotonic() > until_s or ended is not None:
                raise AssertionError(f"exit code {ended}, status {status}, log:\n{self.log}")
            time.sleep(0.05)

    def wait_online(self, *, timeout_s: float = 60) -> dict[str, Any]:
        """status.json once the agent is connected."""
        return self.wait_status(lambda status: status["state"] == "online", timeout_s=timeout_s)

    def wait_condition(self, code: str, *, timeout_s: float = 60) -> dict[str, Any]:
        """The condition `code`, once it stands."""

        def standing(status: Mapping[str, Any]) -> dict[str, Any] | None:
            return next((one for one in status["conditions"] if one["code"] == code), None)

        found = standing(self.wait_status(lambda s: standing(s) is not None, timeout_s=timeout_s))
        assert found
        return found


class ListeningSystemd:
    """systemd's end of the notification socket; hears all that it is told (sd_notify(3))."""

    def __init__(self, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path)}
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        """Itself, listening."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join(5)
        self._socket.close()

    def count(self, line: str) -> int:
        """How often it heard exactly this."""
        return self.heard.count(line)

    def wait(self, line: str, *, count: int = 1, timeout_s: float = 60) -> None:
        """Wait until it has heard this so often; AssertionError tells what it heard."""
        until_s = time.monotonic() + timeout_s
        while self.count(line) < count:
            assert time.monotonic() < until_s, self.heard
            time.sleep(0.05)

    def _listen(self) -> None:
        while data := self._socket.recv(65536):
            self.heard.append(data.decode())
