"""dpkg: how our package stands, a package built and unpacked, and one put in place of another.

Programs are run by their whole path, with no terminal, a language of their own, and a bound in
time. What they print goes where this process's output does, or is returned.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from agent import programs
from agent.errors import SERVICE as NAME
from agent.errors import AgentError
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Run = Callable[..., subprocess.CompletedProcess[str]]

#: Set in the environment, it tells the package's scripts that a version is taken back; "runs", that
#: the one that is installed again runs still.
TAKING_BACK = "PI_IOT_AGENT_ROLLBACK"

#: States of a package whose files and settings are all in place, and of one that is not there
#: (dpkg-query(1), db:Status-Status). All others are those of work that was cut short.
SOUND = frozenset({"installed", "triggers-awaited", "triggers-pending"})
GONE = frozenset({"", "not-installed", "config-files"})

#: One whose files may be partly replaced: it cannot be configured. So dpkg has it with the flag,
#: whatever the state is; the last state, with that flag, is of one that is about to be replaced.
TORN, REINSTALL, BEGUN = "half-installed", "reinstreq", "half-configured"

#: Exit code of dpkg-query for a package that it does not know; others are failures.
UNKNOWN = 1

#: Longest question, and longest work with its scripts, on a slow card.
ASK_S, WORK_S = 60.0, 900.0

#: Programs that dpkg itself looks for.
SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"

#: Locks of dpkg's database; whoever holds one, such as apt, is at work (apt's FrontendLocking).
LOCKS = ("lock-frontend", "lock")

NOTHING: Mapping[str, str] = {}

#: Order of the fields of struct flock (fcntl(2)), as Python passes it.
FLOCK = "hhqqi0q"


class Package(Value):
    """A package's version, empty for one that is not there, and its state in dpkg's words.

    One is `begun` where dpkg was cut off before it has replaced any file of this version.
    """

    version: str
    state: str
    begun: bool = False

    @property
    def is_sound(self) -> bool:
        """True if all of it is in place."""
        return self.state in SOUND


class Dpkg:
    """Programs of dpkg, for the system whose database is `admin`; each raises AgentError."""

    def __init__(self, admin: Path = Path("/var/lib/dpkg"), *, run: Run = subprocess.run) -> None:
        self.admin = admin
        self._run = run

    def package(self, name: str = NAME) -> Package:
        """State of the package; one that dpkg does not know has neither version nor state."""
        form = "--showformat=${db:Status-Status}\t${db:Status-Eflag}\t${Version}"
        said = self._checked(*self._query, "--show", form, name, unknown=UNKNOWN)
        state, flag, version = said.split("\t") if said else ("", "", "")
        if flag == REINSTALL:
            return Package(version, TORN, begun=state == BEGUN)
        return Package(version, state)

    def stanza(self, name: str = NAME) -> str:
        """All that dpkg's database says of the package (deb822(5))."""
        return self._checked(*self._query, "--status", name)

    def is_newer(self, version: str, than: str) -> bool:
        """True if a version is the newer one (deb-version(7))."""
        compared = ("/usr/bin/dpkg", "--compare-versions", version, "gt", than)
        return self._do(*compared).returncode == 0

    def is_busy(self) -> bool:
        """True while some process, of dpkg or apt, works with the database."""
        return any(_is_held(self.admin / name) for name in LOCKS)

    def build(self, tree: Path, target: Path) -> None:
        """Make a package of what is in `tree`, whoever owns it; soon rather than small."""
        how = ("--root-owner-group", "-Zgzip", "-z1", "--build")
        self._checked("/usr/bin/dpkg-deb", *how, str(tree), str(target))

    def unpack(self, package: Path, directory: Path) -> None:
        """Unpack the files of a package, and nothing else of it, into a directory."""
        self._checked("/usr/bin/dpkg-deb", "--extract", str(package), str(directory))

    def configure(self) -> bool:
        """Finish what is unpacked, of all packages, as far as it can be; True if all was."""
        return self._work("--configure", "--pending")

    def take_back(self, package: Path, *, runs: bool) -> bool:
        """Put this package in place of whichever version is there; True if it could be.

        With `runs` its scripts leave the service alone, which runs this version still.
        """
        how = ("--force-downgrade", "--install", str(package))
        return self._work(*how, more={TAKING_BACK: "runs" if runs else "1"})

    @property
    def _query(self) -> tuple[str, ...]:
        return "/usr/bin/dpkg-query", f"--admindir={self.admin}"

    def _work(self, *what: str, more: Mapping[str, str] = NOTHING) -> bool:
        # An owner's change of a conffile stays, as with apt; nobody is asked.
        keep = ("--force-confdef", "--force-confold", f"--admindir={self.admin}")
        done = self._do("/usr/bin/dpkg", *keep, *what, told=False, bound_s=WORK_S, more=more)
        return done.returncode == 0

    def _checked(self, *command: str, unknown: int = 0) -> str:
        """Words of a program; "" where it has ended with the code `unknown`."""
        done = self._do(*command)
        if done.returncode not in {0, unknown}:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise AgentError(f"{Path(command[0]).name}: {said}", hint="see `dpkg --audit`")
        return done.stdout

    def _do(
        self,
        *command: str,
        told: bool = True,
        bound_s: float = ASK_S,
        more: Mapping[str, str] = NOTHING,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program; what it says is returned with `told`, else shown."""
        given = {"PATH": SEARCHED, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            return self._run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=told,
                text=True,
                errors="replace",
                timeout=bound_s,
                env={**programs.public(), **given, **more},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            text = f"{Path(command[0]).name} cannot be run to its end: {error}"
            raise AgentError(text, hint="see `dpkg --audit`") from error


def _is_held(lock: Path) -> bool:
    """True if another process holds a lock on the file (F_GETLK of fcntl(2))."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found = struct.unpack_from("h", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[0]
    finally:
        os.close(descriptor)
    return bool(found != fcntl.F_UNLCK)
