"""Updates: newer versions of the package, looked for, watched once they run, and taken back.

Root does all of it, in a directory that root alone writes. The daemon only reads the notes there.
"""

from agent.updates.notes import (
    DIRECTORY,
    KEPT,
    NAMES,
    RESTORED,
    ROLLED_BACK,
    STUCK,
    Looked,
    Outcome,
    Pending,
    looked_of,
    outcome_of,
    pending_of,
)
from agent.updates.reader import Upgrades, on_trial, plain, told, undone

__all__ = [
    "DIRECTORY",
    "KEPT",
    "NAMES",
    "RESTORED",
    "ROLLED_BACK",
    "STUCK",
    "Looked",
    "Outcome",
    "Pending",
    "Upgrades",
    "looked_of",
    "on_trial",
    "outcome_of",
    "pending_of",
    "plain",
    "told",
    "undone",
]
