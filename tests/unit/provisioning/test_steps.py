"""The steps of provisioning, as far as they need no AWS."""

from __future__ import annotations

from agent.provisioning.steps import legal_serial


def test_a_serial_number_becomes_legal() -> None:
    """An attribute's value may not have every character."""
    assert legal_serial("10000 42é") == "10000-42-"
    assert legal_serial(None) == ""
