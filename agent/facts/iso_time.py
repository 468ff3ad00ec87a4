"""Times as people and programs write them, by ISO 8601; loaded only where one does."""

from __future__ import annotations

import re
from datetime import datetime

#: The forms that nobody mistakes; `fromisoformat` takes a week, an hour alone and any letter too.
FORM = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?"


def parsed_iso(text: str) -> float:
    """Epoch seconds of a date, or date and time, local unless it names its zone.

    Raises ValueError in words.
    """
    try:
        if not re.fullmatch(FORM, text, re.ASCII):
            raise ValueError  # noqa: TRY301 -- in the words of all others
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r:.40} is no time such as 2026-12-01T18:00") from None
