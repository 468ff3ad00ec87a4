"""Daemon: everything wired by hand, started, supervised and stopped in order."""

from __future__ import annotations

from agent.daemon.wiring import run

__all__ = [
    "run",
]
