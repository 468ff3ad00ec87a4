"""The rooms stand on seven floors, are entered by their doors, and keep the daemon small."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: A room is a file of `agent/`, or a package in it. It imports only from lower floors.
FLOORS = {
    1: ("errors", "model", "board", "wakeup"),
    2: ("files", "clock", "config", "health", "net"),
    3: ("store", "sensors", "identity", "mqtt"),
    4: ("sampling", "uplink", "provisioning"),
    5: ("daemon",),
    6: ("cli",),
    7: ("__main__",),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms} | {"": 0}

#: What must not be, though the floors would let it.
NEVER = {
    "daemon": {"provisioning"},
    "uplink": {"provisioning", "sampling", "sensors"},
    "sampling": {"provisioning", "uplink", "mqtt", "net"},
    "store": {"health"},
    "mqtt": {"config", "identity"},
    "net": {"config", "identity"},
}

#: Rooms without a door: whoever wants something names its module, so that no more is loaded.
OPEN_ROOMS = {"cli", "health", "provisioning"}

#: What is imported past a door, and by which rooms.
PAST_THE_DOOR = {
    "agent.config.editor": {"cli"},  # only commands change the file
    "agent.config.fields": {"sensors"},  # a driver declares its options
    "agent.mqtt.answers": {"cli", "uplink"},  # the vocabulary of what a broker says
    "agent.store.inspection": {"cli"},  # which no daemon needs
    "agent.sensors.system": {"daemon"},  # is wired, though it is a driver
    "agent.uplink.connect": {"cli"},  # `doctor` and `provision` connect as the daemon does
    "agent.uplink.diagnosis": {"cli"},  # and say what is wrong in the same words
}

#: Which room imports what besides the standard library and our own.
OWNERS = {
    "gpiozero": "sensors",
    "paho": "mqtt",
    "boto3": "provisioning",
    "botocore": "provisioning",
    "tenacity": "provisioning",
    "sdnotify": "daemon",
}

#: What costs too much, or does too much, for a process that runs for years on 512 MiB.
NEVER_IN_THE_DAEMON = {
    *("boto3", "botocore", "tenacity", "cryptography", "asyncio", "urllib.request", "http.client"),
}

LINES_MAX = 300
FUNCTION_LINES_MAX = 60

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): (
        path.read_text()
    )
    for path in sorted((ROOT / "agent").rglob("*.py"))
}
PACKAGES = {path.parent.name for path in (ROOT / "agent").glob("*/__init__.py")}


def door(room: str) -> set[str]:
    """What may be imported of a room: the room itself, and the names that its door lists."""
    package = f"agent.{room}"
    (listed,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(SOURCES[package]).body
        if isinstance(node, ast.Assign)
    )
    return {package, *(f"{package}.{name}" for name in listed)}


DOORS = {f"agent.{room}": door(room) for room in sorted(PACKAGES - OPEN_ROOMS)}


def room(module: str) -> str:
    """The room that `module` stands in; empty for the package `agent` itself."""
    return [*module.split("."), ""][1]


def imported(source: str) -> set[str]:
    """All that the source imports, late and for types too: modules, and `module.name` for names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {ast.literal_eval(one) for one in node.args if isinstance(one, ast.Constant)}
    return names


def module_of(name: str) -> str:
    """The module of ours that an imported name is, or is taken from."""
    while name not in SOURCES:
        name = name.rpartition(".")[0]
    return name


def wrong_imports(module: str, source: str) -> list[str]:
    """The imports of `source`, as the content of `module`, that break a rule, with the rule."""
    here, wrong = room(module), []
    for name in imported(source):
        if name.split(".")[0] != "agent":
            package = name.split(".")[0]
            if package not in sys.stdlib_module_names and OWNERS.get(package) != here:
                wrong.append(f"{name}: a foreign package")
            continue
        target = module_of(name)
        there = room(target)
        if there == here:
            continue
        if FLOOR_OF[there] >= FLOOR_OF[here]:
            wrong.append(f"{name}: not from a lower floor")
        elif there in NEVER.get(here, ()):
            wrong.append(f"{name}: never from here")
        elif (
            there in PACKAGES - OPEN_ROOMS
            and here not in PAST_THE_DOOR.get(target, ())
            and name not in DOORS[f"agent.{there}"]
        ):
            wrong.append(f"{name}: past the door")
    return wrong


def needed(module: str) -> set[str]:
    """The modules of the agent that `module` needs to be loaded or understood."""
    names = {name for name in imported(SOURCES[module]) if name.split(".")[0] == "agent"}
    return {module_of(name) for name in names} - {module}


def room_needs(sources: dict[str, str]) -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    needs: dict[str, set[str]] = {}
    for module, source in sources.items():
        ours = {name for name in imported(source) if name.split(".")[0] == "agent"}
        needs.setdefault(room(module), set()).update(room(module_of(name)) for name in ours)
    return {here: there - {here} for here, there in needs.items()}


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_imports_as_its_room_may(module: str) -> None:
    """From its own room, from lower floors by their doors, and from packages that it owns."""
    assert room(module) in FLOOR_OF, "a new room is given its floor before it is used"
    assert not wrong_imports(module, SOURCES[module])


@pytest.mark.parametrize(
    ("module", "line", "rule"),
    [
        ("agent.store.records", "from agent.uplink import Uplink", "not from a lower floor"),
        ("agent.net.tcp", "from agent.health.health import Health", "not from a lower floor"),
        ("agent.errors", "from agent.model import COUNT", "not from a lower floor"),
        ("agent.sampling.poll", "import agent.uplink", "not from a lower floor"),
        ("agent.sampling.poll", "from agent.mqtt import Connection", "never from here"),
        ("agent.uplink.inbox", "from agent.sensors import Detections", "never from here"),
        ("agent.store.store", "from agent.health import conditions", "never from here"),
        ("agent.mqtt.client", "from agent.config import Mqtt", "never from here"),
        ("agent.daemon.wiring", "import agent.provisioning.cloud", "never from here"),
        ("agent.uplink.inbox", "from agent.store.records import Records", "past the door"),
        ("agent.uplink.inbox", "from agent.store import records", "past the door"),
        ("agent.uplink.inbox", "import agent.store.records", "past the door"),
        ("agent.uplink.inbox", "from agent.store import Records", "past the door"),
        ("agent.net.tcp", "import paho.mqtt.client", "a foreign package"),
        ("agent.uplink.child", "from boto3 import Session", "a foreign package"),
        ("agent.clock", "import requests", "a foreign package"),
    ],
)
@pytest.mark.parametrize("how", ["{}", "def late():\n    {}", "if TYPE_CHECKING:\n    {}"])
def test_a_wrong_import_is_found(module: str, line: str, rule: str, how: str) -> None:
    """Of each kind, wherever in a module it stands."""
    (found,) = wrong_imports(module, SOURCES[module] + "\n" + how.format(line))
    assert found.endswith(rule)


def test_a_wrong_import_by_name_is_found() -> None:
    """A module that is loaded by a string counts as imported."""
    line = "import importlib\nimportlib.import_module('agent.uplink.uplink')"
    assert wrong_imports("agent.store.store", line) == [
        "agent.uplink.uplink: not from a lower floor"
    ]


def test_the_rooms_have_no_circle() -> None:
    """They can be read one after the other, each knowing only what was read before."""
    TopologicalSorter(room_needs(SOURCES)).prepare()
    planted = {**SOURCES, "agent.model": "from agent.store import Store"}
    with pytest.raises(CycleError):
        TopologicalSorter(room_needs(planted)).prepare()


def test_no_two_modules_need_each_other() -> None:
    """Inside a room too, whose door is read last."""
    doors = {f"agent.{one}" for one in PACKAGES}
    TopologicalSorter({module: needed(module) - doors for module in SOURCES}).prepare()


@pytest.mark.parametrize("package", DOORS)
def test_a_door_holds_names_and_no_logic(package: str) -> None:
    """Its purpose, imports of its own room, and `__all__`."""
    purpose, *rest = ast.parse(SOURCES[package]).body
    assert isinstance(purpose, ast.Expr)
    assert not [
        node
        for node in rest
        if not isinstance(node, ast.ImportFrom)
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    ]


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_can_be_read_in_one_sitting(module: str) -> None:
    """It has at most 300 lines, and no function of more than 60."""
    assert len(SOURCES[module].splitlines()) <= LINES_MAX
    long = [
        node.name
        for node in ast.walk(ast.parse(SOURCES[module]))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long


@pytest.mark.parametrize("module", ["agent.daemon", "agent.cli.run", "agent.__main__"])
def test_the_daemons_process_loads_nothing_that_only_provisioning_needs(module: str) -> None:
    """Neither boto3 and what it brings nor asyncio is loaded with the daemon."""
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not NEVER_IN_THE_DAEMON.intersection(loaded)
