"""Notifications to systemd (sd_notify(3)); none where there is no systemd."""

from __future__ import annotations

import os

import sdnotify

MICROSECONDS = 1_000_000


class Notifier:
    """Sends READY, STATUS, WATCHDOG and STOPPING; called in the main thread, never raises.

    sdnotify drops a datagram that is not latin-1 without a word, with all that is in it, and a
    line break would start a new field. So each fact is one ASCII line in a datagram of its own.
    """

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        # A child of this process is not to speak for it (sd_notify(3), unset_environment).
        os.environ.pop("NOTIFY_SOCKET", None)
        self._status = ""

    def ready(self) -> None:
        """Send READY: the agent is sampling."""
        self._notifier.notify("READY=1")

    def status(self, text: str) -> None:
        """Send the line that `systemctl status` shows, only when it changed."""
        line = " ".join(text.encode("ascii", "replace").decode().split())
        if line != self._status:
            self._status = line
            self._notifier.notify(f"STATUS={line}")

    def watchdog(self) -> None:
        """Send WATCHDOG: every worker makes progress."""
        self._notifier.notify("WATCHDOG=1")

    def stopping(self) -> None:
        """Send STOPPING: an orderly stop has begun."""
        self._notifier.notify("STOPPING=1")


def watchdog_interval_s(environment: dict[str, str] | None = None) -> float | None:
    """Interval of systemd's watchdog in seconds; None without one (sd_watchdog_enabled(3))."""
    known = os.environ if environment is None else environment
    if known.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        interval_us = int(known.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return interval_us / MICROSECONDS if interval_us > 0 else None
