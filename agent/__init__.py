"""A headless Raspberry Pi's agent for AWS IoT Core."""

from __future__ import annotations

__version__ = "0.1.0"

#: The day this version was made, in epoch seconds: a wall clock that is earlier is certainly wrong.
BUILT_S = 1_795_392_000  # 2026-11-23
