"""Root file systems of minimal Debians, made from this machine's own apt sources and cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

#: What every box has; nothing of it is there for the agent's sake.
BASE = ("systemd", "systemd-sysv", "dbus")

APT = Path("/etc/apt")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_TIMEOUT_S = 1800


class RootError(Exception):
    """No root file system can be made here; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One archive and suite of apt's."""

    uri: str
    suite: str


def host_sources(directory: Path = APT) -> list[Source]:
    """What this machine's apt installs from, one-line and deb822 style (sources.list(5))."""
    lists = [directory / "sources.list", *sorted(directory.glob("sources.list.d/*"))]
    found: list[Source] = []
    for path in lists:
        if path.suffix == ".list" and path.is_file():
            found += _one_line(path.read_text())
        elif path.suffix == ".sources":
            found += _deb822(path.read_text())
    return found


def _one_line(text: str) -> list[Source]:
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        if words[1].startswith("["):
            end = next(i for i, word in enumerate(words) if word.endswith("]"))
            del words[1 : end + 1]
        found.append(Source(words[1], words[2]))
    return found


def _deb822(text: str) -> list[Source]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = []
    for stanza in "\n".join(lines).split("\n\n"):
        fields = {
            key.lower(): value.split()
            for key, _, value in (line.partition(":") for line in stanza.splitlines())
        }
        if "deb" in fields.get("types", ["deb"]) and "no" not in fields.get("enabled", []):
            found += [
                Source(uri, suite) for uri in fields.get("uris", []) for suite in fields["suites"]
            ]
    return found


def sources_list(suite: str, sources: list[Source] | None = None) -> str:
    """A sources.list of `suite` at this machine's mirrors; RootError if it knows no Debian."""
    known = host_sources() if sources is None else sources
    security = {each.suite: each.uri for each in known if each.suite.endswith("-security")}
    releases = [name.removesuffix("-security") for name in security]
    main = [each.uri for each in known if each.suite in {*releases, "stable", "bookworm", "trixie"}]
    if not main:
        raise RootError("this machine's apt sources name no Debian mirror")
    lines = [f"deb {main[0]} {suite} main", f"deb {main[0]} {suite}-updates main"]
    lines += [f"deb {uri} {suite}-security main" for uri in list(security.values())[:1]]
    return "\n".join([*lines, ""])


def tarball(suite: str, packages: tuple[str, ...] = (), architecture: str = "") -> Path:
    """The cached tarball of a minimal `suite` with `packages`; made now if there is none.

    Making it takes about a minute; five for an `architecture` (Debian's name) that is not this
    machine's, whose programs must be emulated. Its name changes with all that it is made of.
    RootError when it cannot be made.
    """
    sources = sources_list(suite)
    if architecture:  # some mirrors lag behind with the updates of others than amd64 and arm64
        sources = sources.splitlines(keepends=True)[0]
    content = repr((sources, BASE, packages))
    key = hashlib.sha256(content.encode()).hexdigest()[:10]
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "pi-iot-agent"
    cache.mkdir(parents=True, exist_ok=True)
    name = "-".join(filter(None, (suite, architecture, key)))
    cached = cache / f"{name}.tar.zst"
    with (cache / f"{name}.lock").open("w") as lock:  # two test runs may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cached.exists():
            with tempfile.TemporaryDirectory() as directory:
                unfinished = Path(directory) / "root.tar.zst"
                _build(suite, packages, architecture, sources, unfinished)
                beside = cached.with_suffix(".new")
                shutil.copyfile(unfinished, beside)
                beside.rename(cached)
    return cached


def _build(
    suite: str, packages: tuple[str, ...], architecture: str, sources: str, target: Path
) -> None:
    lists = target.with_name("sources.list")
    lists.write_text(sources)
    hooks = [  # the box is told its name by systemd-nspawn, and its network is this machine's
        'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
        "printf '127.0.0.1 localhost\\n::1 localhost\\n' >\"$1/etc/hosts\"",
    ]
    if "https://" in sources and CERTIFICATES.exists():
        trust = 'Acquire::https::CaInfo "/etc/apt/mirror.crt";'
        hooks += [
            f'cp {CERTIFICATES} "$1/etc/apt/mirror.crt"',
            f"echo '{trust}' >\"$1/etc/apt/apt.conf.d/mirror\"",
        ]
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(BASE + packages)}",
        '--aptopt=Acquire::Check-Valid-Until "false"',  # for a mirror that is a snapshot
        *(f"--customize-hook={hook}" for hook in hooks),
        # The kernel has the emulator open, so that it need not lie in the root (flag F).
        *([f"--architectures={architecture}", "--skip=check/qemu"] if architecture else []),
        suite,
        str(target),
        str(lists),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise RootError(f"mmdebstrap cannot make a {suite}: {done.stderr[-2000:].strip()}")
