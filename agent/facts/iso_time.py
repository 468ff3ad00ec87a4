"""Times as people and programs write them, by ISO 8601; loaded only where one does."""

from __future__ import annotations

from datetime import datetime


def parsed_iso(text: str) -> float:
    """Epoch seconds of a date, or date and time, local unless it names its zone.

    Raises ValueError in words.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r:.40} is no time such as 2026-12-01T18:00") from None
