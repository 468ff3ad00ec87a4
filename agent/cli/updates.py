"""`updates`: looks for a newer version of this package now, and tells what is installed and waits.

The package's timer runs it each day. Only root can: apt looks as root.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent import files
from agent.cli.main import COMMANDS, settings
from agent.cli.output import tell
from agent.cli.service import as_service
from agent.cli.status import span, trial_of
from agent.config import DEFAULT_PATH
from agent.errors import EXIT_CONFIG, EXIT_OK, AgentError, NotPermittedError, explained
from agent.model import DAY_S
from agent.updates import DIRECTORY, Looked, looked_of, notes
from agent.updates.apt import PACKAGE, is_here, look, refresh
from agent.updates.apt import run as run_program
from agent.updates.held import HELD, held
from agent.updates.openpgp import KeyFileError
from agent.updates.sources import ETC, current, read_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agent.cli.main import Subparsers
    from agent.updates.apt import Run
    from agent.updates.sources import Source
    from agent.updates.trouble import Trouble

SUDO = "run this with sudo"
HOW = "`sudo pi-iot-agent setup --updates URL --updates-key FILE` takes them up"

NO_APT = "this machine has no apt, by which updates come"
NO_APT_HINT = "install newer versions by hand; updates by themselves need a Debian"

#: What installs updates by itself, and what has it do so each day.
INSTALLER = Path("/usr/bin/unattended-upgrade")
TIMER = "apt-daily-upgrade.timer"

NO_INSTALLER, MEND_INSTALLER = (
    "Nothing installs updates by itself",
    "sudo apt install unattended-upgrades",
)

#: Settings of apt by which it does, unless somebody has set them to 0 elsewhere.
PERIODIC = ("APT::Periodic::Enable", "APT::Periodic::Unattended-Upgrade")

#: Finds the file that has set one.
GREP = "see what sets it with: grep -r /etc/apt/apt.conf.d -e"

LOG = "/var/log/unattended-upgrades/unattended-upgrades.log"

#: A version that waits for longer is not installed, for a reason that is not known here.
SOON_S = 2 * DAY_S

#: A moment that is younger is called now.
NOW_S = 60.0


class LookError(AgentError):
    """A look for updates that failed; its exit code tells if it may pass by itself."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.text, hint=trouble.hint)
        self.exit_code = trouble.exit_code


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("updates", help=COMMANDS["updates"], description=__doc__)
    parser.add_argument(
        "--no-look", action="store_true", help="tell what the last look has found, without network"
    )


def run(arguments: argparse.Namespace) -> int:
    """Look and tell. Raises LookError, NotPermittedError, ConfigError, and AgentError without apt.

    No configuration is needed, so that a wrong one keeps no device from its updates; one that is
    named has to be right, as for every command, and is read as the service reads it.
    """
    if arguments.config != DEFAULT_PATH:
        as_service(lambda: EXIT_OK if settings(arguments) else EXIT_CONFIG)
    return work(look_now=not arguments.no_look)


def is_root() -> bool:
    """True in a process of root's."""
    return os.geteuid() == 0


def work(
    *,
    look_now: bool,
    etc: Path = ETC,
    directory: Path = DIRECTORY,
    run: Run = run_program,
    is_root: Callable[[], bool] = is_root,
    has_apt: Callable[[], bool] = is_here,
) -> int:
    """The command, with the places of its files. Raises AgentError."""
    if not is_root():
        raise NotPermittedError("only root may look for updates", hint=SUDO)
    source = current(etc)
    if source is None:
        with explained():
            if directory.is_dir():  # what was taken away by hand
                notes.remove(Looked, directory)
        tell(f"Updates are not taken up: {HOW}.")
        _tell_trial(directory)
        return EXIT_OK
    if not has_apt():
        raise AgentError(NO_APT, hint=NO_APT_HINT)
    tell(place(source))
    with explained():
        files.make_directory(directory, 0o755)
        trouble = None
        if look_now:
            trouble = look(etc=etc, directory=directory, run=run)
        else:
            refresh(etc=etc, directory=directory, run=run)
    show(etc=etc, directory=directory, run=run)
    if trouble:
        raise LookError(trouble)
    return EXIT_OK


def place(source: Source) -> str:
    """The place of updates and the key, for a person who compares it."""
    try:
        keys = read_key(source.key).fingerprints
    except (KeyFileError, OSError):
        return f"Updates come from {source.url}; the key {source.key} is missing or spoiled."
    apart = (" ".join(one[at : at + 4] for at in range(0, len(one), 4)) for one in keys)
    return f"Updates come from {source.url}, signed with the key {', or '.join(apart)}."


def show(
    *,
    etc: Path = ETC,
    directory: Path = DIRECTORY,
    run: Run = run_program,
    installer: Path = INSTALLER,
) -> None:
    """Tell what is installed and what waits, and why a version would wait for ever."""
    note = looked_of(directory)
    if note is None or current(etc) is None:
        return
    tell(versions(note, time.time()))
    _tell_trial(directory)
    pins = etc / HELD.relative_to(ETC)
    for version in held(pins):
        tell(f"{version} failed here, and is held back by {pins}.")
    found = obstacles(run, installer)
    if note.waiting and not (found or note.trouble):
        late = time.time() - note.waiting_since_s > SOON_S
        why = f"Why it is not installed: see {LOG}" if late else "It is installed within a day"
        found = [f"{why}, or now with: sudo apt-get install {PACKAGE}"]
    for line in found:
        tell(line)


def _tell_trial(directory: Path) -> None:
    if trial := trial_of(directory):
        tell(f"{trial[0].upper()}{trial[1:]}.")


def versions(note: Looked, now_s: float) -> str:
    """The versions, and when they were looked for, in sentences."""
    installed = f"Version {note.installed} is installed" if note.installed else "None is installed"
    waits = f"{note.waiting} waits" if note.waiting else "nothing newer is known"
    if note.waiting and now_s - note.waiting_since_s >= NOW_S:
        waits += f" for {span(note.waiting_since_s, now_s)}"
    ago = f"{span(note.succeeded_s, now_s)} ago"
    ago = "just now" if now_s - note.succeeded_s < NOW_S else ago
    looked = f"The last look that succeeded was {ago}." if note.trouble else f"Looked for {ago}."
    if not note.succeeded_s:
        looked = "No look for updates has succeeded yet."
    return f"{installed}; {waits}. {looked}"


def obstacles(run: Run, installer: Path = INSTALLER) -> list[str]:
    """Reasons why nothing is installed by itself, each with the command that mends it."""
    found = []
    if not installer.exists():
        found.append(f"{NO_INSTALLER} here: {MEND_INSTALLER}")
    elif run(["/usr/bin/systemctl", "is-enabled", TIMER], 10.0).text.strip() != "enabled":
        mend = f"sudo systemctl unmask {TIMER}; sudo systemctl enable --now {TIMER}"
        found.append(f"{NO_INSTALLER} here, as {TIMER} is off: {mend}")
    found += [
        f"{NO_INSTALLER} here, as {name} is 0: {GREP} {name}"
        for name in PERIODIC
        if run(["/usr/bin/apt-config", "shell", "it", name], 60.0).text.strip() == "it='0'"
    ]
    if run(["/usr/bin/apt-mark", "showhold", PACKAGE], 60.0).text.strip() == PACKAGE:
        found.append(f"The version is held (apt-mark): sudo apt-mark unhold {PACKAGE}")
    return found
