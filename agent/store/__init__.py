"""The durable queue: every record from its reading to its PUBACK, in one SQLite file."""

from agent.store.database import BlockedError, DiskFullError
from agent.store.opening import open_store, usable_again
from agent.store.spans import COUNTS, Hour, Outage, Spell
from agent.store.store import Page, Store

__all__ = [
    "COUNTS",
    "BlockedError",
    "DiskFullError",
    "Hour",
    "Outage",
    "Page",
    "Spell",
    "Store",
    "open_store",
    "usable_again",
]
