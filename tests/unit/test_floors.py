"""The rooms stand on eight floors, are entered by their doors, and keep the daemon small."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: A room is a file of `agent/`, or a package in it. It imports only from lower floors.
FLOORS = {
    0: ("typed", "value"),
    1: ("errors", "model", "board", "wakeup", "programs"),
    2: ("files", "clock", "config", "health", "net"),
    3: ("account", "ownership", "store", "sensors", "identity", "mqtt", "updates"),
    4: ("facts",),
    5: ("sampling", "uplink", "provisioning"),
    6: ("daemon",),
    7: ("cli",),
    8: ("__main__",),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms} | {"": 0}

#: What must not be, though the floors would let it.
NEVER = {
    "daemon": {"provisioning"},
    "uplink": {"provisioning", "sampling", "sensors"},
    "sampling": {"provisioning", "uplink", "mqtt", "net"},
    "store": {"health"},
    "facts": {"mqtt", "net", "identity"},
    "mqtt": {"config", "identity"},
    "net": {"config", "identity"},
}

#: Rooms without a door: whoever wants something names its module, so that no more is loaded.
OPEN_ROOMS = {"cli", "health", "provisioning"}

#: What is imported past a door, and by which rooms.
PAST_THE_DOOR = {
    "agent.config.editor": {"cli"},  # only commands change the file
    "agent.config.fields": {"sensors"},  # a driver declares its options
    "agent.config.lines": {"cli", "sensors"},
    "agent.config.rule": {"cli", "facts"},  # which only those with rules need
    "agent.config.rules": {"cli", "facts"},  # which only those with rules need
    "agent.config.parts": {"cli"},  # which only mistakes need
    "agent.facts.rhythm": {"cli"},  # which the daemon needs once a day
    "agent.facts.threshold": {"cli"},  # which a daemon without rules never loads
    "agent.facts.iso_time": {"sampling"},  # loaded early where a call for help can wait
    "agent.facts.summary": {"cli", "sampling"},  # likewise; and `privacy` shows a digest
    "agent.identity.hardware": {"provisioning", "uplink"},  # which only few need
    "agent.identity.own_files": {"cli", "provisioning"},  # which no daemon needs
    "agent.mqtt.answers": {"cli", "provisioning", "uplink"},  # the vocabulary of what a broker says
    "agent.net.proxy": {"cli"},  # which only few have
    "agent.store.inspection": {"cli"},  # which no daemon needs
    "agent.sampling.sos": {"cli"},  # `privacy` shows a call for help
    "agent.sensors.discovery": {"cli"},  # which no daemon needs
    "agent.sensors.gpio": {"sampling"},  # for the lamp of an SOS button, which few have
    "agent.sensors.gpio_line": {"sampling"},
    "agent.sensors.running": {"facts"},  # a rule's command runs as a sensor's program does
    "agent.sensors.power": {"daemon"},  # is wired, though it belongs to a driver
    "agent.updates.apt": {"cli"},  # which is root's alone
    "agent.updates.forerunner": {"cli"},
    "agent.updates.held": {"cli"},
    "agent.updates.notes": {"cli"},  # which no daemon writes
    "agent.updates.openpgp": {"cli"},
    "agent.updates.sources": {"cli"},
    "agent.updates.trouble": {"cli"},
    "agent.updates.validity": {"cli"},
    "agent.updates.machine": {"cli"},
    "agent.updates.upgrade": {"cli"},
    "agent.updates.watch": {"cli"},
    "agent.uplink.admission": {"cli"},  # `doctor` knows a certificate of the owner's
    "agent.uplink.announcement": {"cli"},  # `privacy` says what is sent in the same words
    "agent.uplink.connect": {"cli"},  # `doctor` and `provision` connect as the daemon does
    "agent.uplink.diagnosis": {"cli"},  # and say what is wrong in the same words
}

#: Which modules, or rooms, import what besides the standard library and our own.
OWNERS = {
    "paho": ("agent.mqtt",),
    "boto3": ("agent.provisioning.cloud",),
    "botocore": ("agent.provisioning.cloud", "agent.provisioning.failures"),
    "tenacity": ("agent.provisioning.retry",),
    "sdnotify": ("agent.daemon.notify",),
    "tomlkit": ("agent.config.editor",),
}

#: Modules that load others by names that they compute, and say why there.
LOADERS = {
    "agent.cli.main",
    "agent.config.lean_tomllib",
    "agent.mqtt.lean_paho",
    "agent.sensors.registry",
}

#: What loads a module without an import statement.
LOADING = {"__import__", "exec", "eval", "import_module", "modules", "resolve_name", "runpy"}

#: What costs too much, or does too much, for a process that runs for years on 512 MiB.
NEVER_IN_THE_DAEMON = {
    *("boto3", "botocore", "tenacity", "cryptography", "asyncio", "urllib.request", "http.client"),
    *("tomlkit", "dataclasses", "inspect", "ast", "dis", "argparse", "gettext"),
    *("subprocess", "locale", "shlex", "secrets", "ctypes", "uuid", "queue", "heapq"),
    *("agent.uplink.child", "agent.uplink.registration"),
    *("agent.facts.rules", "agent.facts.summary", "agent.facts.rhythm", "agent.config.rule"),
    *("agent.config.rules", "agent.config.legacy_file", "agent.config.pins", "agent.net.proxy"),
    *("agent.sensors.running", "agent.sensors.system", "agent.identity.own_files"),
    *("agent.updates.apt", "agent.updates.sources", "agent.updates.forerunner"),
    *("agent.updates.openpgp", "agent.updates.trouble", "agent.updates.validity"),
    *("agent.updates.dpkg", "agent.updates.machine", "agent.updates.trial"),
    *("agent.updates.upgrade", "agent.updates.watch", "agent.updates.held"),
}

#: paho as Debian bookworm has it, and what only the newer one loads.
OLDEST_PAHO = Path(sys.prefix) / "paho-1.6"
ONLY_BY_PAHO_2 = {"typing"}

#: A configuration as most have it, and a program that goes on with it as the daemon does.
PLAIN = """
[paths]
state = "state"
[store]
path = "store.db"
[[sensors]]
name = "kitchen"
driver = "onewire"
"""
STARTS = """
import sys
from pathlib import Path
from agent import config, daemon, sensors
from agent.clock import Clock
from agent.facts import Facts
from agent.health.health import Health
from agent.store import open_store
read = config.load(Path(sys.argv[1]), options_of=sensors.options_of)
with open_store(read.store) as store:
    clock = Clock()
    facts = Facts(read, store, clock=clock, health=Health())
    facts.begin("boot", None)
    assert not facts.tend(clock.now(), watching=True, is_set=True)
print(*sys.modules, sep="\\n")
"""

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


def defined(source: str) -> set[str]:
    """The names at the top of a source that are its own, not those that it imports."""
    names: set[str] = set()
    top = ast.parse(source).body
    for node in [*top, *(late for one in top if isinstance(one, ast.If) for late in one.orelse)]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id for it in targets for one in ast.walk(it) if isinstance(one, ast.Name)}
            if "__all__" in names and isinstance(node.value, ast.List):
                names |= set(ast.literal_eval(node.value))
    return names


OWN = {module: defined(source) for module, source in SOURCES.items()}


def imported(source: str) -> set[str]:
    """All that the source imports, late and for types too: modules, and `module.name` for names.

    A name that is reached through an imported module, as `agent.store.records`, counts as imported.
    """
    names: set[str] = set()
    known: dict[str, str] = {}  # local name to what it stands for
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            known |= {
                alias.asname or alias.name.split(".")[0]: (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            if first in known and known[first] in {"agent", *SOURCES}:
                names.add(f"{known[first]}.{rest}")
    return {name for name in names if "(" not in name and "[" not in name}


def loads_by_name(source: str) -> bool:
    """True if the source uses what loads a module without an import statement."""
    return any(
        (isinstance(node, ast.Name) and node.id in LOADING - {"modules"})
        or (isinstance(node, ast.Attribute) and node.attr in LOADING)
        or (isinstance(node, ast.alias) and LOADING & {*node.name.split(".")})
        for node in ast.walk(ast.parse(source))
    )


def module_of(name: str) -> str:
    """The module of ours that an imported name is, or is taken from."""
    while name not in SOURCES:
        name = name.rpartition(".")[0]
    return name


def wrong_imports(module: str, source: str) -> list[str]:
    """The imports of `source`, as the content of `module`, that break a rule, with the rule."""
    wrong = [f"{name}: {rule}" for name in imported(source) if (rule := broken_rule(module, name))]
    if module not in LOADERS and loads_by_name(source):
        wrong.append("a module loaded by its name")
    return wrong


def broken_rule(module: str, name: str) -> str:
    """The rule that `module` breaks by importing `name`; empty if none."""
    first = name.split(".", maxsplit=1)[0]
    if first != "agent":
        owned = any(f"{module}.".startswith(f"{one}.") for one in OWNERS.get(first, ()))
        return "" if owned or first in sys.stdlib_module_names else "a foreign package"
    here, target = room(module), module_of(name)
    there = room(target)
    taken = name.removeprefix(target).lstrip(".").split(".")[0]
    through = (
        DOORS.get(f"agent.{there}", set()) if here not in PAST_THE_DOOR.get(target, ()) else ()
    )
    rules = {
        "its own door": there == here and there in PACKAGES and target == f"agent.{here}",
        "not from a lower floor": there != here and FLOOR_OF[there] >= FLOOR_OF[here],
        "never from here": there in NEVER.get(here, ()),
        "past the door": there != here and through and not through & {name, f"{target}.{taken}"},
        "not its own": there != here
        and target not in DOORS
        and taken
        and taken not in OWN[target]
        and not taken.startswith("__"),
    }
    return next((rule for rule, broken in rules.items() if broken), "")


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


def test_what_a_waiting_call_may_need_later_is_loaded_with_its_button() -> None:
    """Its process may outlive its own files by a day."""
    assert {"agent.facts.iso_time", "agent.facts.summary"} <= needed("agent.sampling.sos")


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
        ("agent.provisioning.steps", "import tenacity", "a foreign package"),
        ("agent.store.records", "from agent.store import Store", "its own door"),
        ("agent.cli.check", "from agent.uplink.connect import Dialer", "not its own"),
        ("agent.cli.check", "from agent.health.health import conditions", "not its own"),
        (
            "agent.mqtt.client",
            "import agent\n{indent}agent.uplink.X",
            "not from a lower floor",
        ),
        (
            "agent.cli.check",
            "from agent import store\n{indent}store.records.X",
            "past the door",
        ),
        ("agent.cli.check", "import agent.store as s\n{indent}s.records.X", "past the door"),
    ],
)
@pytest.mark.parametrize("how", ["{}", "def late():\n    {}", "if TYPE_CHECKING:\n    {}"])
def test_a_wrong_import_is_found(module: str, line: str, rule: str, how: str) -> None:
    """Of each kind, wherever in a module it stands."""
    indent = " " * 4 if "\n" in how else ""
    planted = how.format(line.replace("{indent}", indent))
    found = wrong_imports(module, f"{SOURCES[module]}\n{planted}")
    assert found
    assert {one.rpartition(": ")[2] for one in found} == {rule}


@pytest.mark.parametrize(
    "line",
    [
        "import importlib; importlib.import_module('agent.' + 'uplink')",
        "from importlib import import_module as load; load(name='boto3')",
        "__import__('agent.uplink')",
        "exec('import agent.uplink')",
        "import sys; sys.modules['agent.uplink']",
        "import pkgutil; pkgutil.resolve_name('agent.uplink')",
        "import runpy; runpy.run_module('agent.uplink')",
    ],
)
def test_a_module_loaded_by_its_name_is_found(line: str) -> None:
    """Only few modules may do so, and these are known."""
    assert wrong_imports("agent.store.store", line) == ["a module loaded by its name"]


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
    for node in rest:
        if isinstance(node, ast.ImportFrom):
            assert node.module == "__future__" or f"{node.module}.".startswith(f"{package}.")
        else:
            assert isinstance(node, ast.Assign)
            assert ast.unparse(node.targets[0]) == "__all__"


@pytest.mark.parametrize("package", sorted(OPEN_ROOMS))
def test_a_room_without_a_door_has_its_purpose_alone(package: str) -> None:
    """Whoever names one of its modules loads no other."""
    (purpose,) = ast.parse(SOURCES[f"agent.{package}"]).body
    assert isinstance(purpose, ast.Expr)


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
@pytest.mark.parametrize(
    ("path", "besides"), [("", set()), (OLDEST_PAHO, ONLY_BY_PAHO_2)], ids=["paho 2", "paho 1.6"]
)
def test_the_daemons_process_loads_nothing_that_it_can_do_without(
    module: str, path: object, besides: set[str]
) -> None:
    """Neither boto3 and what it brings, nor what a start, a child or a mistake needs alone."""
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=dict(os.environ) | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {*done.stdout.split()}
    assert module in loaded
    assert not (NEVER_IN_THE_DAEMON | besides) & loaded


def test_a_plain_device_loads_no_more_than_its_process_has(tmp_path: Path) -> None:
    """Its configuration is read, and it looks for a digest, without what only others need."""
    (tmp_path / "agent.toml").write_text(PLAIN)
    done = subprocess.run(
        [sys.executable, "-c", STARTS, str(tmp_path / "agent.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {*done.stdout.split()}
    assert "agent.facts.digest" in loaded
    assert not NEVER_IN_THE_DAEMON & loaded
