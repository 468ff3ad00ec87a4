"""What the unit sets for the agent."""

from __future__ import annotations

from bench.environment import unit_environment


def test_variables_of_a_unit_are_those_of_its_environment_lines() -> None:
    """Several may stand in a line, in quotes, and none in a comment."""
    unit = '[Service]\n# Environment=NO=1\nEnvironment=A=1 "B=x=y"\nEnvironment=C=3\nUMask=0077\n'
    assert unit_environment(unit) == {"A": "1", "B": "x=y", "C": "3"}
    assert unit_environment("[Service]\nUMask=0077\n") == {}
