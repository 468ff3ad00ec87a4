"""Trial of a new version: what it has shown of itself, and if the old one was better."""

from __future__ import annotations

from agent.updates.machine import ACTIVATING, ACTIVE, FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.updates.machine import Service

#: Looks that have to agree before something is said, where a moment may be just that.
FAILED_LOOKS, ONLINE_LOOKS = 3, 2

#: Part of the time after which a process is judged in the end.
SETTLED = 0.1

#: Automatic restarts of a version that was never ready, after which nothing is waited for.
RESTARTS_MOST = 5


class Trial:
    """Evidence that a version has given of itself in the time that counts."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._counted_s = 0.0
        self._began_s = -window_s  # of the process that runs, in time that counts
        self._ready = False
        self._failed = self._restarts = self._online = 0
        self._restarted_s = 0.0
        self._before: Service | None = None

    @property
    def is_over(self) -> bool:
        """True once all of the time has passed."""
        return self.is_over_in(0.0)

    def is_over_in(self, passed_s: float) -> bool:
        """True if all of it has passed, with so many seconds more.

        A process that has just begun, such as by somebody's restart, gets some time, though not
        one after the other for ever.
        """
        counted_s = self._counted_s + passed_s
        settled = counted_s - self._began_s >= self._window_s * SETTLED
        return counted_s >= self._window_s * (1 if settled else 2)

    @property
    def online(self) -> bool:
        """True if the process that runs now has been online, and not for a moment only."""
        return self._online >= ONLINE_LOOKS

    def take(self, service: Service, *, online: bool) -> None:
        """Take in one look at the service."""
        before, self._before = self._before, service
        self._ready = self._ready or service.state == ACTIVE
        self._failed = self._failed + 1 if service.state == FAILED else 0
        if before and service.pid != before.pid:
            self._online = 0
            self._began_s = self._counted_s
        if not self.online:
            self._online = self._online + 1 if online else 0
        if before and service.restarts > before.restarts:
            self._restarts += service.restarts - before.restarts
            self._restarted_s = self._counted_s

    def pass_time(self, passed_s: float) -> None:
        """Have so many seconds count."""
        self._counted_s += passed_s

    def unfit(self) -> str:
        """Reason why there is nothing more to wait for; or ""."""
        if self._failed >= FAILED_LOOKS:
            return f"it does not start: {_ended(self._before)}"
        if not self._ready and self._restarts >= RESTARTS_MOST:
            return f"it ended {self._restarts} times before it was ready: {_ended(self._before)}"
        return ""

    def unready(self, service: Service) -> str:
        """Reason why the version is not as ready as the old one was, at the end; or ""."""
        if service.state != ACTIVE:
            return f"it is not ready, but {service.state}: {_ended(service)}"
        if self._restarts and self._restarted_s >= self._window_s / 2:
            return f"it does not go on running: {_ended(service)}"
        return ""


def _ended(service: Service | None) -> str:
    """Last end of the service, in systemd's words."""
    if service is None or service.result == "success":
        still = service and service.state == ACTIVATING
        return "its start did not come to an end" if still else "systemd started it again"
    exited = service.result == "exit-code" and service.exit_code  # else it is a signal's number
    return f"exit code {service.exit_code}" if exited else service.result
