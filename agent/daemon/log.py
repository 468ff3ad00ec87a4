"""Log: lines for journald, which reads them from stderr (sd-daemon(3))."""

from __future__ import annotations

import logging
import sys

from agent.health.conditions import ERROR, LEVELS


class _LineFormatter(logging.Formatter):
    """`<N>text` on one line: the priority that journald reads from stderr (sd-daemon(3))."""

    PRIORITIES = (
        (logging.CRITICAL, 2),
        (LEVELS[ERROR], 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
    )

    def format(self, record: logging.LogRecord) -> str:
        priority = next((p for level, p in self.PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>" + " ".join(record.getMessage().split())


def log_to_stderr() -> None:
    """Log to stderr for journald; one line an event, no tracebacks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
