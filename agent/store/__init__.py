"""The durable queue: every record from its reading to its PUBACK, in one SQLite file."""

from __future__ import annotations

from agent.store.database import BlockedError, DiskFullError
from agent.store.inspection import Inspection, StoreMissingError, inspect, revive
from agent.store.opening import open_store, usable_again
from agent.store.store import Store

__all__ = [
    "BlockedError",
    "DiskFullError",
    "Inspection",
    "Store",
    "StoreMissingError",
    "inspect",
    "open_store",
    "revive",
    "usable_again",
]
