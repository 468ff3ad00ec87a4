"""Processes that a test has to see end."""

from __future__ import annotations

import time
from pathlib import Path

PATIENCE_S = 30.0


def running(pid: int) -> bool:
    """True while it has not ended, whether somebody has asked for its exit status or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_ended(pid: int) -> None:
    """Wait until it has ended."""
    until_s = time.monotonic() + PATIENCE_S
    while running(pid):
        assert time.monotonic() < until_s, f"{pid} still runs"
        time.sleep(0.01)
