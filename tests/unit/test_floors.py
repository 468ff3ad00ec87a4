"""The modules are a strict DAG of floors, and the daemon's process stays small."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The floor of each room: a file of `agent/`, or a package in it.
FLOORS = {
    "agent": 0,
    **dict.fromkeys(("agent.errors", "agent.model", "agent.board", "agent.wakeup"), 1),
    **dict.fromkeys(("agent.files", "agent.clock", "agent.config", "agent.health", "agent.net"), 2),
    **dict.fromkeys(("agent.store", "agent.sensors", "agent.identity", "agent.mqtt"), 3),
    **dict.fromkeys(("agent.sampling", "agent.uplink", "agent.provisioning"), 4),
    "agent.daemon": 5,
    "agent.cli": 6,
    "agent.__main__": 7,
}

#: What is still to be cut.
UNCUT = {
    ("agent.net.failures", "agent.mqtt"),
    ("agent.uplink.birth", "agent.sampling"),
    ("agent.uplink.session", "agent.sampling"),
}

#: Whose files may import what, besides the standard library and our own.
OWNERS = {
    "gpiozero": "agent.sensors",
    "paho": "agent.mqtt",
    "boto3": "agent.provisioning",
    "botocore": "agent.provisioning",
    "tenacity": "agent.provisioning",
    "sdnotify": "agent.daemon",
}

#: What costs too much, or does too much, for a process that runs for years on 512 MiB.
NEVER_IN_THE_DAEMON = {
    *("boto3", "botocore", "tenacity", "cryptography", "asyncio", "urllib.request", "http.client"),
}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "agent").rglob("*.py"))
}


def place(module: str) -> str:
    """The row of the table that `module` stands in: itself, or its package."""
    return ".".join(module.split(".")[:2])


def imported(path: Path) -> set[str]:
    """Every module that the file imports: anywhere in it, for types too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = inner & MODULES.keys()
            names |= submodules
            if submodules != inner:
                names.add(node.module)
    return names


def ours(module: str) -> set[str]:
    """The modules of the agent that `module` imports."""
    return {name for name in imported(MODULES[module]) if name.split(".")[0] == "agent"}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    """A new module is given its place before it is used."""
    assert place(module) in FLOORS


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_lower_floors(module: str) -> None:
    """A module imports from below, or from its own room."""
    here = place(module)
    others = {place(name) for name in ours(module)} - {here}
    assert not {
        other for other in others if FLOORS[other] >= FLOORS[here] and (module, other) not in UNCUT
    }


def test_no_two_modules_need_each_other() -> None:
    """The modules can be read one after the other, each knowing only what was read before."""
    order = TopologicalSorter({module: ours(module) for module in MODULES})
    assert set(order.static_order()) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_foreign_package_has_one_owner(module: str) -> None:
    """Only its owner imports paho, boto3 …; nothing else is needed but the standard library."""
    foreign = {name.split(".")[0] for name in imported(MODULES[module])}
    foreign -= sys.stdlib_module_names | {"agent"}
    assert {OWNERS.get(name) for name in foreign} <= {place(module)}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_at_most_300_lines(module: str) -> None:
    """A module is one noun and can be read in one sitting."""
    assert len(MODULES[module].read_text().splitlines()) <= 300


@pytest.mark.parametrize("module", ["agent.daemon", "agent.cli.run", "agent.__main__"])
def test_the_daemons_process_loads_nothing_that_only_provisioning_needs(module: str) -> None:
    """Neither boto3 and what it brings nor asyncio is loaded with the daemon."""
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not NEVER_IN_THE_DAEMON.intersection(loaded)
