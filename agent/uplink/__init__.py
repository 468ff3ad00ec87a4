"""Uplink: the worker that owns all that the daemon says to AWS."""

from agent.uplink.birth import Birth
from agent.uplink.uplink import Uplink

__all__ = [
    "Birth",
    "Uplink",
]
