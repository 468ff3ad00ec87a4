"""Uplink: the worker that owns all that the daemon says to AWS."""

from agent.uplink.birth import note_start, note_stop
from agent.uplink.uplink import Uplink

__all__ = [
    "Uplink",
    "note_start",
    "note_stop",
]
