"""Evidence for a support archive: what this device can tell of itself, each part a text.

Is collected as the service's user, who can read no more than the service could show anyhow. A part
that cannot be had says why. Nothing here is redacted yet.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sqlite3
import ssl
import stat
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

from agent import __version__, files
from agent.cli.harmless import variable
from agent.cli.status import read_status
from agent.clock import Clock
from agent.config import LEGACY_FILE
from agent.errors import AgentError
from agent.identity import decode_certificate, load
from agent.model import MIB
from agent.store.inspection import inspect
from agent.updates import DIRECTORY, looked_of, outcome_of, pending_of
from agent.value import asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Config
    from agent.model import Json

#: Packages from elsewhere, by their names for pip; none of them is loaded for this.
PACKAGES = ("paho-mqtt", "boto3", "botocore", "tenacity", "sdnotify", "tomlkit")

#: Directories of the unit and its drop-ins (systemd.unit(5)).
UNITS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")
UNIT = "pi-iot-agent.service"

#: More names than one of our directories has, unless something is wrong.
MOST_NAMES = 200

#: Variables that may be in the way of a connection.
VARIABLES = ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "TZ")

#: A part that cannot be had begins so.
MISSING = "cannot be had: "


def part(work: Callable[[], Json]) -> Json:
    """A part, or why it cannot be had."""
    try:
        return work()
    except AgentError as error:
        return f"{MISSING}{error.text}"
    except Exception as error:  # noqa: BLE001 -- of a spoiled device as much as can be is told
        return f"{MISSING}{error!r}"


def status(config: Config) -> Json:
    """The report of the agent; of one that does not run, the last. Raises AgentError, OSError."""
    found = read_status(config.paths)
    if found is not None:
        return found
    path = config.paths.status_file
    if not path.exists():
        return f"{MISSING}no agent runs, and there is no {path}"
    return {"running": False, "last": json.loads(files.read(path, limit=MIB))}


def identity(config: Config) -> Json:
    """Names of the device at AWS, and its certificate's facts. Raises AgentError, OSError."""
    found = load(config)
    pem = files.read(found.certificate, follow=True).decode("ascii", "replace")
    return {
        "identity": asdict(found.identity) if found.identity else None,
        "certificate": asdict(decode_certificate(pem)),
        "certificate_file": str(found.certificate),
        "key_file": str(found.key),
        "roots": [str(path) for path in found.roots],
    }


def updates(directory: Path = DIRECTORY) -> Json:
    """Root's notes on updates, null for each that is not there."""
    notes = {
        "looked": looked_of(directory),
        "pending": pending_of(directory),
        "outcome": outcome_of(directory),
    }
    return {name: asdict(note) if note else None for name, note in notes.items()}


def versions() -> Json:
    """Versions of all that works together, and the board's model."""
    packages: dict[str, Json] = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    system = os.uname()
    return {
        "agent": __version__,
        "python": platform.python_version(),
        "packages": packages,
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": f"{system.release} {system.machine}",
        "system": release.get("PRETTY_NAME", ""),
        "debian": _line("/etc/debian_version"),
        "board": _line("/proc/device-tree/model"),
    }


def system(config: Config) -> Json:
    """Clock, room on the card, the queue, memory, and what the environment says of proxies."""
    clock = Clock()
    return {
        "clock": {
            "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.wall_s())),
            "plausible": clock.plausible(),
            "set": clock.is_set(),
            "boot_s": round(clock.boot_s()),
        },
        "disk": {str(path): _room(path) for path in directories(config)},
        "queue": _queue(config),
        "memory": list(_text("/proc/meminfo").splitlines()[:3]),
        "load": _line("/proc/loadavg"),
        "environment": {
            name: variable(name, os.environ[name]).text for name in VARIABLES if name in os.environ
        },
    }


def modes(config: Config) -> str:
    """Mode, owner, size and name of all that is ours; of no file the content."""
    paths = config.paths
    alone = [config.path.absolute(), config.provisioning.credentials_file]
    store = config.store.path
    lines = [_described(path) for one in alone for path in (one.parent, one)]
    lines.append(_described(config.path.absolute().parent / LEGACY_FILE))
    lines += _few(map(_described, sorted(store.parent.glob(f"{store.name}*"))))
    for directory in (paths.certs, paths.state, paths.runtime, DIRECTORY):
        lines += _few(_listed(directory))
    return "\n".join(dict.fromkeys(lines)) + "\n"


def directories(config: Config) -> list[Path]:
    """The directories that are written to, each once."""
    paths = config.paths
    return list(dict.fromkeys((paths.certs, paths.state, config.store.path.parent, paths.runtime)))


def units(root: Path) -> dict[str, Json]:
    """The unit and its drop-ins, as they stand there, by their paths."""
    paths = [
        path
        for place in UNITS
        for path in (root / place / UNIT, *sorted((root / place / f"{UNIT}.d").glob("*.conf")))
        if path.exists()
    ]
    return {str(path): part(lambda path=path: _text(path)) for path in paths}  # type: ignore[misc]


def _few(lines: Iterator[str]) -> Iterator[str]:
    yield from islice(lines, MOST_NAMES)
    if more := sum(1 for _ in lines):
        yield f"  and {more} more"


def _listed(directory: Path) -> Iterator[str]:
    yield _described(directory)
    try:
        inside = sorted(directory.iterdir())
    except OSError as error:
        yield f"  {directory}: {error.strerror}"
        return
    for path in inside:
        if path.is_dir() and not path.is_symlink() and path.name.startswith("."):
            yield from _listed(path)  # a generation of certificate and key
        else:
            yield _described(path)


def _described(path: Path) -> str:
    try:
        found = path.lstat()
        target = f" -> {path.readlink()}" if path.is_symlink() else ""
    except OSError as error:
        return f"{path}: {error.strerror}"
    changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.st_mtime))
    mode = stat.filemode(found.st_mode)
    return f"{mode} {found.st_uid}:{found.st_gid} {found.st_size:>9} {changed} {path}{target}"


def _queue(config: Config) -> Json:
    try:
        waiting = inspect(config.store.path, 0)
        dead = inspect(config.store.path, 0, dead=True)
    except AgentError as error:
        return error.text
    return {"queued": waiting.queued, "dropped": waiting.dropped, "set_aside": dead.queued}


def _room(path: Path) -> Json:
    try:
        found = os.statvfs(path)
    except OSError as error:
        return error.strerror
    return {
        "mib": found.f_blocks * found.f_frsize // MIB,
        "free_mib": found.f_bavail * found.f_frsize // MIB,
        "free_inodes": found.f_favail,
        "read_only": bool(found.f_flag & os.ST_RDONLY),
    }


def _line(path: str) -> str:
    with suppress(OSError):
        return _text(path).strip("\0\n ")
    return ""


def _text(path: str | Path) -> str:
    """Text of a file, at most a MiB. Raises OSError."""
    return files.read(Path(path), follow=True).decode("utf-8", "replace")
