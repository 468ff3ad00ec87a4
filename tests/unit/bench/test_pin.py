"""The figures of a pin come over the console of another kernel."""

from __future__ import annotations

from bench.pin import parse


def test_the_last_line_has_the_figures() -> None:
    """Whatever else was written before."""
    console = 'lgpio: a warning\n{"not": "these"}\n{"agent": {"PSS": 1.5, "missed": 0.0}}\n\n'
    assert parse(console) == {("agent", "PSS"): 1.5, ("agent", "missed"): 0.0}
