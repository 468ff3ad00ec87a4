"""The machine as the watch over an upgrade sees it: package, service, connection, network."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path

from agent import files, programs
from agent.errors import EXIT_CONFIG, EXIT_OK, SERVICE, AgentError
from agent.updates.dpkg import Dpkg
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.updates.dpkg import Package, Run

UNIT = f"{SERVICE}.service"

#: Unit of the package's postinst that starts the agent anew once no call for help waits.
RESTART_UNIT = f"{SERVICE}-restart.service"

#: Where the service tells how it is.
STATUS = Path("/run/pi-iot-agent/status.json")

#: A unit's states that the watch tells apart (systemd(1)); ACTIVE is after READY.
ACTIVE, ACTIVATING, FAILED = "active", "activating", "failed"

SYSTEMCTL, ASK_S = "/usr/bin/systemctl", 30.0

PROPERTIES = (
    *("ActiveState", "Result", "NRestarts", "MainPID", "ExecMainStatus"),
    "ExecMainStartTimestampMonotonic",
)


class Service(Value):
    """State of the agent's unit; with what it ended last, its automatic restarts, its process.

    `began_s` is when that process did (time.monotonic).
    """

    state: str
    result: str = "success"
    exit_code: int = 0
    restarts: int = 0
    pid: int = 0
    began_s: float = 0.0

    @property
    def is_well(self) -> bool:
        """True if it runs, or has begun to, and systemd had to start it but once."""
        return self.state == ACTIVE or (self.state == ACTIVATING and self.restarts == 0)


class Machine:
    """The real one.

    `reach` gives the exit code of a try to connect with the forerunner's code: as far as TLS goes,
    or with True a whole session.
    """

    def __init__(
        self,
        dpkg: Dpkg | None = None,
        *,
        reach: Callable[[bool], int],
        status: Path = STATUS,
        run: Run = subprocess.run,
    ) -> None:
        self.dpkg = dpkg or Dpkg()
        self._reach = reach
        self._status = status
        self._run = run

    def is_busy(self) -> bool:
        """True while dpkg or apt is at work."""
        return self.dpkg.is_busy()

    def package(self) -> Package:
        """State of our package. Raises AgentError."""
        return self.dpkg.package()

    def configure(self) -> None:
        """Finish what is unpacked, as far as it can be."""
        with suppress(AgentError):
            self.dpkg.configure()

    def take_back(self, package: Path, *, runs: bool) -> None:
        """Install this version in place of the one that is there, if it can be.

        With `runs` it is what runs still, which is left alone. One that is started again and again
        is stopped first, or systemd would start it amid of that.
        """
        fails = not runs and self.service().state in {ACTIVATING, FAILED}
        if fails:
            self._systemctl("stop", UNIT)
        with suppress(AgentError):
            self.dpkg.take_back(package, runs=runs)
        if fails:
            self._systemctl("start", "--no-block", UNIT)

    def is_newer(self, version: str, than: str) -> bool:
        """True if a version is the newer one. Raises AgentError."""
        return self.dpkg.is_newer(version, than)

    def service(self) -> Service:
        """State of the agent's unit. Raises AgentError."""
        names = ",".join(PROPERTIES)
        told = self._systemctl("show", f"--property={names}", UNIT)
        of = dict(line.partition("=")[::2] for line in told.stdout.splitlines())
        if told.returncode or not of.get("ActiveState"):
            raise AgentError("systemctl does not say how the service is", hint="see `journalctl`")
        code, restarts, pid, began_us = (
            int(of[name]) if of.get(name, "").isdecimal() else 0
            for name in ("ExecMainStatus", "NRestarts", "MainPID", PROPERTIES[-1])
        )
        state, result = of["ActiveState"], of.get("Result", "")
        return Service(state, result, code, restarts, pid, began_us / 1e6)

    def kill(self) -> None:
        """End the agent's processes at once; what systemd has to do next goes on."""
        self._systemctl("kill", "--signal=KILL", UNIT)

    def waits_to_restart(self) -> bool:
        """True while the new version is not started since a call for help waits to be sent."""
        return self._systemctl("is-active", "--quiet", RESTART_UNIT).returncode == 0

    def is_online(self, pid: int) -> bool:
        """True if the process says that it is connected. It may lie: it is the service's word."""
        return self._told(pid).get("state") == "online"

    def has_been_online(self, pid: int) -> bool:
        """True if the process says that it was connected at any time since it began."""
        return isinstance(self._told(pid).get("session_present"), bool)

    def reach(self, *, session: bool) -> tuple[bool, bool]:
        """Two answers: the broker can be reached; the configuration can be read.

        A `session` would take that of an agent which is connected.
        """
        code = self._reach(session)
        return code == EXIT_OK, code != EXIT_CONFIG

    def restart_watch(self, unit: str) -> bool:
        """Have systemd start the watch anew; False if it will not, such as on the way down."""
        return self._systemctl("restart", "--no-block", unit).returncode == 0

    def is_watched(self, unit: str) -> bool:
        """True while a watch is on."""
        told = self._systemctl("show", "--value", "--property=ActiveState", unit).stdout
        return told.strip() in {ACTIVE, ACTIVATING}

    def _told(self, pid: int) -> dict[str, object]:
        """Status that the process tells of itself; empty where it has told none."""
        try:
            told = json.loads(files.read(self._status))
        except (OSError, ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) and told.get("pid") == pid else {}

    def _systemctl(self, *command: str) -> subprocess.CompletedProcess[str]:
        try:
            return self._run(
                (SYSTEMCTL, *command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ASK_S,
                env=programs.public() | {"LC_ALL": "C.UTF-8"},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AgentError(
                f"systemctl does not answer: {error}", hint="see `journalctl`"
            ) from error
