"""Updates: newer versions of the package, looked for, watched once they run, and taken back.

Root does all of it, in a directory that root alone writes. The daemon only reads the notes there.
"""

from agent.updates.notes import (
    DIRECTORY,
    Looked,
    Outcome,
    Pending,
    looked_of,
    outcome_of,
    pending_of,
)

__all__ = [
    "DIRECTORY",
    "Looked",
    "Outcome",
    "Pending",
    "looked_of",
    "outcome_of",
    "pending_of",
]
