"""What the unit sets for the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.commands import PLAIN
from bench.environment import compile_ours, unit_environment

if TYPE_CHECKING:
    from pathlib import Path


def test_variables_of_a_unit_are_those_of_its_environment_lines() -> None:
    """Several may stand in a line, in quotes, and none in a comment."""
    unit = '[Service]\n# Environment=NO=1\nEnvironment=A=1 "B=x=y"\nEnvironment=C=3\nUMask=0077\n'
    assert unit_environment(unit) == {"A": "1", "B": "x=y", "C": "3"}
    assert unit_environment("[Service]\nUMask=0077\n") == {}


def test_nobody_has_to_compile_what_he_loads(tmp_path: Path) -> None:
    """It is done before, also where this process itself may write none."""
    for directory in ("agent", "bench/peers"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "one.py").touch()
    compile_ours(tmp_path)
    for directory in ("agent", "bench/peers"):
        assert len(list((tmp_path / directory / "__pycache__").iterdir())) == 1
    assert not [name for name in PLAIN if name.startswith("PYTHON")]
