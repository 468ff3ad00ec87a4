"""Flags of `setup` for updates: where they come from, and the key that they are signed with."""

from __future__ import annotations

import time
from pathlib import Path

from agent import files
from agent.cli import updates
from agent.cli.output import complain, tell
from agent.cli.questions import UsageError
from agent.errors import EXIT_CONFIG, EXIT_OK, AgentError, NotPermittedError, explained
from agent.updates import DIRECTORY, Looked, looked_of, notes
from agent.updates.apt import forget, is_here, look, refresh, run
from agent.updates.openpgp import HINT, KeyFileError
from agent.updates.sources import ETC, current, normal_url, read_key, remove, write
from agent.updates.trouble import FOREIGN
from agent.updates.validity import fault
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agent.updates.apt import Run
    from agent.updates.openpgp import PublicKey
    from agent.updates.sources import Source

OFF = "off"

#: What is in the arguments of every command.
COMMON = {"command", "config", "content"}


class Wanted(Value):
    """A place of updates that is asked for, with its key; no URL for none any more."""

    url: str
    key: PublicKey | None


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--updates",
        metavar="URL",
        help="take newer versions of this package from there, by themselves; `off`: no longer",
    )
    parser.add_argument(
        "--updates-key", type=Path, metavar="FILE", help="the public key that they are signed with"
    )


def alone(arguments: argparse.Namespace) -> bool:
    """True if `setup` was asked for nothing but this."""
    own = COMMON | {"updates", "updates_key"}
    asked = {name for name, value in vars(arguments).items() if value}
    return bool(asked & {"updates", "updates_key"}) and asked <= own


def wanted(
    arguments: argparse.Namespace,
    *,
    etc: Path = ETC,
    is_root: Callable[[], bool] = updates.is_root,
    has_apt: Callable[[], bool] = is_here,
    wall_s: Callable[[], float] = time.time,
) -> Wanted | None:
    """The place that the flags ask for, None without them; nothing is changed.

    Raises UsageError, KeyFileError, SourceError, NotPermittedError, and AgentError without apt.
    """
    url, key = arguments.updates, arguments.updates_key
    if url is None and key is None:
        return None
    if arguments.allow:
        raise UsageError("--allow does one thing alone", hint="give --updates without it")
    if url == OFF and key is not None:
        raise UsageError("--updates off takes no key", hint="leave out --updates-key")
    before = current(etc)
    new_url = url if url in {None, OFF} else normal_url(url)
    if before is None and url != OFF and not (url and key):
        missing = "--updates-key FILE" if url else "--updates URL"
        raise UsageError(
            f"updates are not taken up yet, and this is missing: {missing}",
            hint="give both: where updates come from, and the public key they are signed with",
        )
    if not is_root():
        raise NotPermittedError("only root may say where updates come from", hint=updates.SUDO)
    if not has_apt():
        raise AgentError(updates.NO_APT, hint=updates.NO_APT_HINT)
    if url == OFF:
        return Wanted("", None)
    with explained():
        public = _read_key(key, wall_s()) if key else _kept(before)
    if public is None:
        raise UsageError(
            "the key that updates were signed with is missing here, or spoiled",
            hint="give it once more: --updates-key FILE",
        )
    return Wanted(new_url or (before.url if before else ""), public)


def take_up(place: Wanted, *, etc: Path = ETC, directory: Path = DIRECTORY, run: Run = run) -> int:
    """Have updates come from there, look once, and tell; the exit code.

    That is 0 also where the network is what failed: what was wanted is written, and each day looks
    again. A place that is a wrong one gives way to the one before. Raises AgentError.
    """
    if place.key is None:
        return _end(etc, directory, run)
    with explained():
        before, note = current(etc), looked_of(directory)
        known_key = _kept(before) == place.key
        source = _write(place.url, place.key, known_key=known_key, etc=etc, run=run)
        files.make_directory(directory, 0o755)
        if not (before and before.url == place.url and note):
            notes.write(Looked(time.time()), directory)
        tell(updates.place(source))
        tell("Looking for updates ...")
        trouble = look(etc=etc, directory=directory, run=run)
        stays = ""
        if trouble and trouble.exit_code == EXIT_CONFIG:
            if before and before.url != place.url and (known_key or trouble.is_of_the_place):
                write(before.url, place.key, etc)
                notes.write(note or Looked(time.time()), directory)
                refresh(etc=etc, directory=directory, run=run)
                stays = f"Updates stay with {before.url}" + (
                    "." if known_key else ", and this key."
                )
            elif trouble.kind == FOREIGN:  # pins of ours do not hold what comes from there
                remove(etc)
                notes.remove(Looked, directory)
                stays = "It is taken away again: updates are not taken up."
    updates.show(etc=etc, directory=directory, run=run)
    if trouble is None:
        return EXIT_OK
    error = updates.LookError(trouble)
    if trouble.passes:
        tell(f"Not yet looked: {error.text}.\nIt is tried again each day; {error.hint}.")
        return EXIT_OK
    complain(error)
    tell(stays or "It stays set up as given, and each day looks again.")
    return error.exit_code


def _end(etc: Path, directory: Path, run: Run) -> int:
    """Take up no updates any more."""
    with explained():
        if current(etc):
            forget(etc, run)
        gone = remove(etc)
        if directory.is_dir():
            notes.remove(Looked, directory)
    tell(f"Updates {'are no longer taken up.' if gone else 'were not taken up.'}")
    return EXIT_OK


def _write(url: str, key: PublicKey, *, known_key: bool, etc: Path, run: Run) -> Source:
    """The source, with nothing of what another key has vouched for."""
    if not known_key and current(etc):
        forget(etc, run)
    source = write(url, key, etc)
    if not known_key:  # of the new place, where it was one before
        forget(etc, run)
    return source


def _read_key(path: Path, now_s: float) -> PublicKey:
    """The key in a file, one that can sign. Raises KeyFileError, and OSError."""
    key = read_key(path)
    if why := fault(key.data, now_s):
        raise KeyFileError(f"{path}: {why}", hint=HINT)
    return key


def _kept(source: Source | None) -> PublicKey | None:
    """The key that the source is taken up with; None where it is missing or spoiled."""
    try:
        return read_key(source.key) if source else None
    except (KeyFileError, OSError):
        return None
