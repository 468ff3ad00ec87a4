"""Dossier of this device: evidence and findings, redacted; made as the service's user."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import suppress
from functools import partial

from agent import board, config, files
from agent.cli import evidence, shown_files, shown_units
from agent.cli.evidence import part
from agent.cli.examination import examine
from agent.cli.harmless import Shown, is_telling, variable
from agent.cli.identity_findings import certificate_id
from agent.cli.main import settings
from agent.cli.redaction import AWS_KEY, MAC, MACHINE_ID, SERIAL, VALUE, WIFI, Known, Redaction
from agent.cli.verdict import FAIL, Finding, document
from agent.errors import AgentError, ConfigError
from agent.identity import load
from agent.model import MIB
from agent.programs import public

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from agent.config import Config
    from agent.model import Json

#: Keys that are looked for in a configuration that is spoiled elsewhere, and their tables.
PATHS = {
    "name": "thing",
    "credentials_file": "provisioning",
    **dict.fromkeys(("certs", "state", "runtime"), "paths"),
}

#: What parts the words of a credentials file, and words that are no secret there.
KEY_LENGTH = 8
BETWEEN = re.compile(r"""[\s"'`=,;:{}\[\]]+""")
REGION = re.compile(r"[a-z]{2,8}(-[a-z0-9]+)+-\d")

#: Where the machine's number stands (machine-id(5)).
MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id")

#: Programs that tell the names of Wi-Fi networks, each on a line, where they are installed.
WIFI_NAMES = (
    ["/usr/sbin/iwgetid", "--raw"],
    ["/usr/bin/nmcli", "--terse", "--fields=NAME", "connection", "show"],
)

#: What netplan puts before such a name.
NETPLAN = re.compile(r"netplan-\w+-")


def dossier(
    arguments: argparse.Namespace, journal: str, *, root: Path = board.ROOT
) -> dict[str, str]:
    """The parts by their names in the archive, redacted; `journal` is what the caller has read.

    `root` is where the unit, and what tells this board from others, are looked for.
    """
    known, problems = _settings(arguments)
    shown: dict[str, Shown] = {}
    for path, show in (
        (known.path, partial(shown_files.toml, base=known.path.parent)),
        (known.path.parent / config.LEGACY_FILE, shown_files.legacy),
    ):
        with suppress(FileNotFoundError):
            shown[path.name] = _shown(arguments, path, show)
    for name, text in evidence.units(root).items():
        shown[name] = shown_units.unit(str(text))
    redaction = Redaction(
        [
            *(Known(value, VALUE) for one in shown.values() for value in one.kept_back),
            *of_board(known, root),
            *of_keys(known),
        ],
        public=_public(known),
        directories=[known.path.parent, known.paths.certs, known.paths.state, known.paths.runtime],
        with_serial=arguments.with_serial,
    )
    parts: dict[str, Json] = {
        "doctor.json": part(lambda: _findings(known, problems)),
        "status.json": part(partial(evidence.status, known)),
        "identity.json": part(partial(evidence.identity, known)),
        "versions.json": part(evidence.versions),
        "updates.json": part(evidence.updates),
        "system.json": part(partial(evidence.system, known)),
        "files.txt": part(partial(evidence.modes, known)),
        "configuration.txt": "\n".join(f"# {name}\n{one.text}" for name, one in shown.items()),
        "journal.txt": journal,
    }
    return {name: _text(redaction.value(one)) for name, one in parts.items()}


def of_board(
    known: Config, root: Path, *, wifi: Iterable[list[str]] = WIFI_NAMES
) -> Iterator[Known]:
    """The numbers and names that tell this board, and its network, from all others."""
    machine = {text for path in MACHINE_IDS if (text := _line(root / path))}
    serials = {board.serial(root) or ""}
    with suppress(AgentError):
        found = load(known)
        serials.add(found.identity.serial if found.identity else "")
    yield from (Known(one, MACHINE_ID) for one in machine)
    yield from (Known(one, SERIAL) for one in serials - machine)
    for path in root.glob("sys/class/net/*/address"):
        if (address := _line(path)).strip("0:"):
            yield from (Known(address.replace(":", dash), MAC) for dash in (":", "-", ""))
    for program in wifi:
        with suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
            told = subprocess.run(
                program, capture_output=True, text=True, timeout=5, check=False, env=public()
            )
            names = {
                part for one in told.stdout.splitlines() for part in (one, NETPLAN.sub("", one))
            }
            yield from (Known(name.strip(), WIFI) for name in names)


def of_keys(known: Config) -> Iterator[Known]:
    """The AWS keys that this device can read, and the passwords of its proxies.

    Of the credentials file each word, since one with a mistake in it has a secret all the same.
    """
    with suppress(OSError):
        data = files.read(known.provisioning.credentials_file, limit=MIB, follow=True)
        for word in BETWEEN.split(data.replace(b"\0", b"").decode("utf-8", "replace")):
            if len(word) >= KEY_LENGTH and is_telling(word) and not REGION.fullmatch(word):
                yield Known(word, AWS_KEY)
    for name, value in os.environ.items():
        if name.startswith("AWS_") and ("KEY" in name or "TOKEN" in name):
            yield Known(value, AWS_KEY)
        elif name.lower().endswith("_proxy"):
            kept = filter(is_telling, variable(name, value).kept_back)
            yield from (Known(one, "user and password") for one in kept)


def _settings(arguments: argparse.Namespace) -> tuple[Config, list[str]]:
    """The configuration and no problem, or its problems and all defaults."""
    try:
        return settings(arguments), []
    except ConfigError as error:
        path: Path = arguments.config
        problems = error.problems
    nothing: dict[str, object] = {"thing": {"name": "unknown"}}
    for left in (_salvaged(arguments, path), nothing):
        with suppress(ConfigError):
            beside = {path.parent / config.LEGACY_FILE: b""}
            known = config.interpret(left, path, options_of=lambda _: dict, content=beside)
            return known, problems
    raise AgentError("no configuration can be made", hint="report this as a fault")


def _salvaged(arguments: argparse.Namespace, path: Path) -> dict[str, object]:
    """The paths in a configuration that is spoiled elsewhere."""
    tables: dict[str, dict[str, object]] = {}
    with suppress(OSError):
        data: bytes = arguments.content.get(path) or files.read(path, follow=True)
        for line in shown_files.lines(data.decode("utf-8", "replace")):
            for key, value in (line.found or {}).items():
                if PATHS.get(key) == line.table and isinstance(value, str):
                    tables.setdefault(line.table, {})[key] = value
    return {**tables}


def _findings(known: Config, problems: list[str]) -> dict[str, Json]:
    if problems:
        return document("", [Finding(FAIL, "configuration", one) for one in problems])
    return document(known.thing.name, examine(known))


def _shown(arguments: argparse.Namespace, path: Path, show: Callable[[str], Shown]) -> Shown:
    """A file as it may be shown. Raises FileNotFoundError."""
    try:
        data: bytes = arguments.content.get(path) or files.read(path, follow=True)
    except FileNotFoundError:
        raise
    except OSError as error:
        return Shown(f"cannot be read: {error.strerror}\n")
    return show(data.replace(b"\0", b"").decode("utf-8", "replace"))  # it may be UTF-16


def _public(known: Config) -> list[str]:
    """Names that are shown, and the ids of the device's certificate."""
    names = [known.thing.name, known.mqtt.endpoint, *(one.name for one in known.sensors)]
    with suppress(AgentError):
        found = load(known)
        own = [found.identity.certificate_id] if found.identity else []
        return [*names, *own, certificate_id(found)]
    return names


def _line(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace").strip()
    return ""


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2) + "\n"


def encoded(arguments: argparse.Namespace, journal: str) -> str:
    """The dossier on its way to the caller."""
    return json.dumps(dossier(arguments, journal))
