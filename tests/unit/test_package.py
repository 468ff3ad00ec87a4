"""The Debian package tells the truth of the agent: unit, manual pages, completion, version."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from agent import __version__, config, sensors
from agent.cli.allow import DROP_IN, HEADER, UNITS
from agent.cli.main import COMMANDS, INTERNAL, Command
from agent.config.rule import Rule
from agent.updates import DIRECTORY, sources
from agent.updates.held import HELD
from agent.value import Value, ValueClass, fields

ROOT = Path(__file__).parents[2]

MANUAL = (ROOT / "man/pi-iot-agent.8").read_text()
TOML_MANUAL = (ROOT / "man/pi-iot-agent.toml.5").read_text()
COMPLETION = (ROOT / "packaging/completions/pi-iot-agent").read_text()
UNIT = ROOT / "systemd/pi-iot-agent.service"

#: What only one program says to another.
UNLISTED = {"--parent", "--retire", "--file"}


def plain(roff: str) -> str:
    """The text of a manual page, as far as it matters for looking up words."""
    return roff.replace("\\-", "-").replace("\\(dq", '"')


def options(command: str) -> set[str]:
    """The long options of a command but --help."""
    module = cast("Command", importlib.import_module(f"agent.cli.{command.replace('-', '_')}"))
    subparsers = argparse.ArgumentParser().add_subparsers()
    module.add(subparsers)
    words = subparsers.choices[command].format_usage()
    return set(re.findall(r"--[a-z-]+", words)) - UNLISTED


def test_a_document_that_is_named_is_in_the_package() -> None:
    """Manual, comments, hints, and the documents themselves send nobody to a file that lacks."""
    listed = (ROOT / "packaging/debian/pi-iot-agent.docs").read_text().split()
    for_who_builds_it = {"repository.md", "testing.md"}
    shipped = {*for_who_builds_it, *(Path(one).name for one in listed)}
    files = [one for place in ("man", "etc", "agent") for one in (ROOT / place).rglob("*")]
    texts = {one: one.read_text() for one in files if one.is_file() and one.suffix != ".pyc"}
    named = {
        (str(one.relative_to(ROOT)), name)
        for one, text in texts.items()
        for name in re.findall(r"/usr/share/doc/pi-iot-agent/([\w-]+\.md)", text)
    }
    for one in listed:
        links = re.findall(r"\]\(([\w-]+\.md)", (ROOT / one).read_text())
        named |= {(one, name) for name in links}
    assert {name for _, name in named} >= {"cloud.md", "facts.md", "sensors.md"}
    assert {(place, name) for place, name in named if name not in shipped} == set()


def directives(section: str) -> dict[str, str]:
    """The last value of each directive in a section of the unit."""
    text = UNIT.read_text().partition(f"[{section}]\n")[2].partition("\n[")[0]
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def keys() -> list[tuple[str, str, object]]:
    """Each key of the configuration: its table, its name and its default."""
    annotated = dict(
        re.findall(r"^    (\w+): (\w+)", inspect.getsource(config.Config), re.MULTILINE)
    )
    kinds = {name: vars(config).get(one) for name, one in annotated.items()}
    return [
        (table, key.name, key.default)
        for table, kind in {
            **kinds,
            "sensors": config.SensorConfig,
            "rules": Rule,
        }.items()
        if isinstance(kind, ValueClass)
        for key in fields(kind)
        if "check" in key.metadata
    ]


def test_the_changelog_has_the_version_of_the_code() -> None:
    """The package is called what the program says of itself."""
    changelog = (ROOT / "packaging/debian/changelog").read_text()
    assert changelog.startswith(f"pi-iot-agent ({__version__}) ")


def test_the_pages_that_operations_leads_to_are_installed() -> None:
    """Whoever reads it on the device has the others beside it."""
    named = re.findall(r"\]\(([^)#:]+)", (ROOT / "docs/operations.md").read_text())
    installed = (ROOT / "packaging/debian/pi-iot-agent.docs").read_text().split()
    assert {f"docs/{name}" for name in named} - set(installed) == set()


@pytest.mark.parametrize("command", [*COMMANDS, *INTERNAL])
def test_the_manual_describes_every_command(command: str) -> None:
    """Each command has a paragraph, in which each of its options is named."""
    heading = rf"^\.TP\n\.BR? {re.escape(command.replace('-', chr(92) + '-'))}\b.*$"
    found = re.search(heading + r"(?:\n(?!\.TP|\.SH|\.SS).*)*", MANUAL, re.MULTILINE)
    assert found
    assert {option for option in options(command) if option not in plain(found[0])} == set()


@pytest.mark.parametrize(
    ("flag", "found"),
    [
        ("--claim", "a-directory"),
        ("--session-token-file", "a-directory a-file"),
        ("--secret-file", "a-directory a-file"),
    ],
)
def test_the_shell_completes_what_is_on_the_disk(tmp_path: Path, flag: str, found: str) -> None:
    """A directory where one is needed, else a file, on the way to it."""
    (tmp_path / "a-directory").mkdir()
    (tmp_path / "a-file").touch()
    script = (
        f"{COMPLETION}\nCOMP_WORDS=(pi-iot-agent setup {flag} a)\nCOMP_CWORD=3\n"
        "_pi_iot_agent\nprintf '%s\\n' \"${COMPREPLY[@]}\" | sort\n"
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == found.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_shell_completes_every_command(command: str) -> None:
    """Commands and their options are known to bash."""
    words = COMPLETION.replace('"', " ").split()
    assert command in words
    assert options(command) <= set(words)


@pytest.mark.parametrize(("table", "key", "default"), keys())
def test_the_manual_describes_every_key(table: str, key: str, default: object) -> None:
    """Each key stands in its table's section, with its default where that is a number or a path."""
    heading = r"\.SS \[{1,2}" + table + r"\]{1,2}\n"
    section = re.search(heading + r"(?:(?!\.S[SH]).*\n)*", TOML_MANUAL)
    assert section
    line = re.search(rf"^\.(?:BR?) .*\b{key}\b.*$", section[0], re.MULTILINE)
    assert line
    if isinstance(default, bool):
        assert f" = {str(default).lower()}" in line[0]
    elif isinstance(default, int | float):
        assert f" = {default:.0f}" in line[0]
    elif isinstance(default, Path) and default.name != "store.db":
        assert f" = {json.dumps(str(default))}" in plain(line[0])


@pytest.mark.parametrize("driver", sensors.BUILT_IN)
def test_the_manual_describes_every_driver(driver: str) -> None:
    """With all of its keys."""
    section = TOML_MANUAL.partition(".SS Keys of the drivers\n")[2].partition(".SH ")[0]
    found = re.search(rf"^\.BR? .*\b{driver}\b(?:.*\n(?!\.TP))*", section, re.MULTILINE)
    assert found
    named = re.findall(r"^\.BR? (\w+)", found[0].partition("\n")[2], re.MULTILINE)
    kind = sensors.options_of(driver)
    assert issubclass(kind, Value)
    assert set(named) == {one.name for one in fields(kind)}


def test_all_keys_are_looked_at() -> None:
    """The walk over the configuration finds what a person would."""
    found = {(table, key) for table, key, _ in keys()}
    assert {
        ("thing", "name"),
        ("mqtt", "keepalive_s"),
        ("sensors", "driver"),
        ("rules", "above"),
    } <= found
    assert ... in {default for _, _, default in keys()}


@pytest.mark.parametrize(
    ("directive", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("WatchdogSec", "180"),
        ("Restart", "always"),
        ("RestartSec", "5"),
        ("RestartPreventExitStatus", "78"),
        ("User", "pi-iot-agent"),
        ("StateDirectory", "pi-iot-agent"),
        ("RuntimeDirectory", "pi-iot-agent"),
        ("ConfigurationDirectory", "pi-iot-agent"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("PrivateDevices", "yes"),
        ("PrivateUsers", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("UMask", "0077"),
    ],
)
def test_the_unit_keeps_its_promises(directive: str, value: str) -> None:
    """Each of these has a reason that outlives the file's next change."""
    assert directives("Service")[directive] == value


def test_the_unit_waits_for_nothing_and_is_started_without_end() -> None:
    """Sensors are read before there is a network; no number of failures is the last."""
    unit = directives("Unit")
    assert unit["StartLimitIntervalSec"] == "0"
    assert not {"After", "Requires", "Wants"} & unit.keys()


@pytest.mark.parametrize("driver", sensors.BUILT_IN)
def test_the_package_makes_the_groups_of_the_drivers(driver: str) -> None:
    """What `setup` puts into the drop-in is there, and udev gives the devices to it."""
    made = (ROOT / "systemd/sysusers.d/pi-iot-agent.conf").read_text()
    rules = (ROOT / "systemd/udev/rules.d/60-pi-iot-agent.rules").read_text()
    for group in sensors.needs(driver).groups:
        assert f"\ng {group} -\n" in made
        assert f'GROUP="{group}", MODE="0660"' in rules


def test_a_purge_knows_the_drop_in_by_how_it_begins() -> None:
    """It takes away what `setup` has written, and nothing else of that name."""
    postrm = (ROOT / "packaging/debian/pi-iot-agent.postrm").read_text()
    found = re.search(r"grep -q '\^(.+)' \$drop_in", postrm)
    assert found
    assert HEADER.startswith(found[1])
    assert f"{UNITS}/{UNIT.name}.d/{DROP_IN}" in postrm


def test_a_purge_takes_away_what_updates_have_left() -> None:
    """All that `setup --updates` writes, the pin of a version that failed, and root's notes."""
    postrm = (ROOT / "packaging/debian/pi-iot-agent.postrm").read_text().split()
    written = (sources.SOURCE, sources.KEY, sources.OLD_KEY, sources.ONLY, sources.ALLOWED)
    assert {str(sources.ETC / name) for name in written} | {str(HELD), str(DIRECTORY)} <= {*postrm}


def test_updates_are_looked_for_where_they_are_taken_up() -> None:
    """By the timer's unit, which knows the file that says so, and may write what it has found."""
    unit = (ROOT / "systemd/pi-iot-agent-updates.service").read_text().splitlines()
    assert f"ConditionPathExists={sources.ETC / sources.SOURCE}" in unit
    assert f"StateDirectory={DIRECTORY.name}" in unit
    assert "ExecStart=/usr/bin/pi-iot-agent updates" in unit


def test_old_systemd_sees_no_setting_that_it_would_warn_of() -> None:
    """What is new in systemd 254 stands in the drop-in alone."""
    new = {"RestartSteps", "RestartMaxDelaySec"}
    assert not new & directives("Service").keys()
    dropin = (ROOT / "systemd/growing-delay.conf").read_text()
    assert all(f"{name}=" in dropin for name in new)


@pytest.mark.parametrize(
    ("module", "package"), [("boto3", "python3-boto3"), ("tenacity", "python3-tenacity")]
)
def test_a_missing_package_is_called_by_its_name_in_debian(
    tmp_path: Path, module: str, package: str
) -> None:
    """`provision` without boto3 says what to install."""
    (tmp_path / "agent.toml").touch()
    program = (
        f"import sys; sys.modules[{module!r}] = None; from agent.cli.main import main; "
        f"sys.exit(main(['provision', '--dry-run', '--config', '{tmp_path}/agent.toml']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the Python package {module} is missing" in done.stderr
    assert f"sudo apt install {package}" in done.stderr
