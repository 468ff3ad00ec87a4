"""Apt, asked for updates from our source alone, and for the versions that it knows.

Its exit code is no proof: a look has succeeded once apt has told of a signed index, and has it.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from agent.clock import kernel_synchronized
from agent.programs import public
from agent.updates.notes import DIRECTORY, Looked, looked_of, write
from agent.updates.openpgp import KeyFileError
from agent.updates.sources import ETC, SOURCE, current, read_key
from agent.updates.trouble import Trouble, foreign, kind_of, trouble
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from agent.updates.sources import Source
else:
    Protocol = object

APT_GET, APT_CACHE, DPKG = "/usr/bin/apt-get", "/usr/bin/apt-cache", "/usr/bin/dpkg"
PACKAGE = "pi-iot-agent"

#: No device has taken up updates before 2026: its clock was wrong.
FIRST_S = 1_767_225_600

#: Time that a look may take, an answer of one phase of the network, and any other question to apt.
LOOK_S, PHASE_S, ASK_S = 600.0, 30, 120.0

#: How often, and after which time, a look is tried again while another program looks.
LOCKED_TRIES, LOCKED_S = 12, 10.0

#: Exit code of a program that did not end in time, as timeout(1) has it.
TIMED_OUT = 124


class Said(Value):
    """Output of a program, and its exit code."""

    code: int
    text: str


class Run(Protocol):
    """Function that runs a program to its end, or for `limit_s`."""

    def __call__(self, command: Sequence[str], limit_s: float, /) -> Said:
        """Output of the program."""


class Versions(Value):
    """Versions of the package: the one that is installed, and a newer one that apt would install.

    Each is "" where there is none.
    """

    installed: str
    waiting: str


def run(command: Sequence[str], limit_s: float) -> Said:
    """Run a program of Debian's to its end, in English, and without input."""
    environment = public() | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Said(TIMED_OUT, "")
    except OSError as error:
        return Said(127, f"E: {command[0]}: {error.strerror}")
    return Said(done.returncode, done.stdout.decode("utf-8", "replace"))


def is_here() -> bool:
    """True on a machine with apt."""
    return all(os.access(one, os.X_OK) for one in (APT_GET, APT_CACHE, DPKG))


def look(
    *,
    etc: Path = ETC,
    directory: Path = DIRECTORY,
    run: Run = run,
    wall_s: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    synchronized: Callable[[], bool] = kernel_synchronized,
) -> Trouble | None:
    """Look for updates now, and note it; the trouble with that, None where it succeeded.

    Nothing is done where updates are not taken up. Raises OSError where nothing can be noted.
    """
    if (source := current(etc)) is None:
        return None
    said = _fetched(source, etc, run, sleep)
    now_s = wall_s()
    found: Trouble | None = None
    if said.code == TIMED_OUT:
        again = "see network and server; `sudo pi-iot-agent updates` looks again"
        found = Trouble("timeout", f"{source.url} did not come to an end", again)
    elif not _is_signed(said) or not (origins := {*_indexes(etc, run).values()}):
        found = trouble(said.text, source, now_s=now_s, synchronized=synchronized)
    elif origins != {PACKAGE}:
        found = foreign(source)
    if found and found.spoils:
        forget(etc, run)
    before = looked_of(directory) or Looked(now_s)
    told = replace(
        before,
        looked_s=now_s,
        trouble=found.text if found else "",
        hint=found.hint if found else "",
    )
    if not found or found.kind != "clock":  # what is noted may be right where the clock is wrong
        was_right = FIRST_S <= before.since_s <= now_s
        since_s = before.since_s if was_right else now_s
        succeeded_s = min(before.succeeded_s, now_s) if found else now_s
        told = replace(told, since_s=since_s, succeeded_s=succeeded_s)
    write(_counted(told, versions(etc, run), now_s), directory)
    return found


def refresh(
    *,
    etc: Path = ETC,
    directory: Path = DIRECTORY,
    run: Run = run,
    wall_s: Callable[[], float] = time.time,
) -> None:
    """Note which version is installed and which waits, by what was looked for last; no network.

    Nothing is done where updates are not taken up. Raises OSError.
    """
    before = looked_of(directory)
    if before is None or current(etc) is None:
        return
    after = _counted(before, versions(etc, run), wall_s())
    if after != before:
        write(after, directory)


def forget(etc: Path = ETC, run: Run = run) -> None:
    """Remove what apt keeps of our source's index, so that nothing more is installed by that.

    It was checked when it came, and never is again: not by another key, nor for its date. Raises
    OSError.
    """
    for index in _indexes(etc, run):
        place, suite, _ = index.name.partition("_dists_stable_")
        for path in index.parent.iterdir() if suite else ():
            if path.name.startswith(f"{place}{suite}"):
                path.unlink(missing_ok=True)


def versions(etc: Path = ETC, run: Run = run) -> Versions | None:
    """The version that is installed, and the newer one that apt would install from our source.

    None where apt does not tell, as for settings that it cannot read. What is pinned away, such as
    a version that failed here, does not wait.
    """
    said = run([APT_CACHE, "policy", *_only(etc), PACKAGE], ASK_S)
    if said.code:
        return None
    found = {
        name: "" if version == "(none)" else version
        for name, version in re.findall(
            r"^  (Installed|Candidate): (\S+)$", said.text, re.MULTILINE
        )
    }
    installed, candidate = found.get("Installed", ""), found.get("Candidate", "")
    newer = [DPKG, "--compare-versions", candidate, "gt", installed]
    waits = installed and candidate and run(newer, ASK_S).code == 0
    return Versions(installed, candidate if waits else "")


def _counted(note: Looked, now: Versions | None, now_s: float) -> Looked:
    """The note with these versions; one that waited before has waited since then."""
    if now is None:
        return note
    since_s = note.waiting_since_s if now.waiting == note.waiting else now_s
    return replace(
        note,
        installed=now.installed,
        waiting=now.waiting,
        waiting_since_s=since_s if now.waiting else 0.0,
    )


def _only(etc: Path) -> list[str]:
    """Options by which apt knows our source alone, and leaves its own caches as they are."""
    options = {
        "Dir::Etc::sourcelist": str(etc / SOURCE),
        "Dir::Etc::sourceparts": "-",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _fetched(source: Source, etc: Path, run: Run, sleep: Callable[[float], None]) -> Said:
    """Words of apt as it fetched the index; tried again while another program does that."""
    try:
        read_key(source.key)
    except (KeyFileError, OSError):
        return Said(100, f"E: Failed to parse keyring {source.key}")
    options = {
        "APT::Get::List-Cleanup": "0",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": str(PHASE_S),
        "Acquire::https::Timeout": str(PHASE_S),
        "Acquire::Retries": "1",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    said = Said(100, "")
    for _ in range(LOCKED_TRIES):
        said = run([APT_GET, "--quiet", "update", *_only(etc), *words], LOOK_S)
        if said.code == 0 or kind_of(said.text) != "locked":
            break
        sleep(LOCKED_S)
    return said


def _is_signed(said: Said) -> bool:
    """True if apt has told of a signed index, and has complained of nothing that counts.

    Programs of others that run after a look may fail; that is no trouble with ours.
    """
    if not re.search(r"^(?:Get|Hit):\d+ .* (?:InRelease|Release)\b", said.text, re.MULTILINE):
        return False
    errors = [line for line in said.text.splitlines() if line.startswith("E:")]
    hooks = ("E: Problem executing scripts APT::Update::", "E: Sub-process returned an error code")
    if kind_of(said.text) or not all(line.startswith(hooks) for line in errors):
        return False
    return said.code == 0 or bool(errors)


def _indexes(etc: Path, run: Run) -> dict[Path, str]:
    """Each index of our source that is on the disk, and the origin that it says of itself."""
    wanted = ["--format", "$(FILENAME) $(ORIGIN)", "Created-By: Packages"]
    told = run([APT_GET, "indextargets", *_only(etc), *wanted], ASK_S)
    lines = told.text.splitlines() if told.code == 0 else []
    found = (line.partition(" ") for line in lines)
    return {Path(path): origin for path, _, origin in found if Path(path).is_file()}
