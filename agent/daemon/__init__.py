"""Daemon: everything wired by hand, started, supervised and stopped in order."""

from agent.daemon.wiring import run

__all__ = [
    "run",
]
