"""Account: the user of the service, whom every command of root's becomes before it does its work.

Whoever runs as the service's user is taken as hostile by root: a sensor's program, a plug-in, a
file in a directory of the service. So root forks; the child leaves the terminal, gives up every
right, and can tell its parent nothing but text, from which the terminal's controls are taken.
"""

from __future__ import annotations

import codecs
import ctypes
import grp
import os
import pwd
import re
import select
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from agent import files
from agent.errors import EXIT_FAILURE, NotPermittedError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAME = "pi-iot-agent"
UNIT = "pi-iot-agent.service"

#: A directory that no account has, for programs that look for their settings at home.
HOME = "/nonexistent"

#: What a child needs of its parent's environment; nothing of it names a file of root's.
KEPT = re.compile(
    r"LANG|LC_\w+|TZ|TERM|COLUMNS|PATH|(https?|no|all)_proxy|PI_IOT_AGENT_DEBUG|AWS_\w+",
    re.IGNORECASE,
)

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What a pipe holds (pipe(7)): the last words of a process that has ended.
PIPE_SIZE = 65536
SIGNALLED = 128


class Account(NamedTuple):
    """A user with the group and the other groups that the service runs with."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @property
    def owner(self) -> files.Owner:
        """User and group, for chown(2)."""
        return self.uid, self.gid


@cache
def of_service(name: str = NAME) -> Account | None:
    """The account that a process of root's is to become; None for another user, or without one."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = {*os.getgrouplist(name, user.pw_gid), *_unit_groups()}
    return Account(user.pw_uid, user.pw_gid, tuple(sorted(groups - {0})))


def _unit_groups() -> Iterable[int]:
    """The groups that drop-ins of the unit add, such as that of the pins (systemd.exec(5))."""
    if not Path("/run/systemd/system").is_dir():
        return
    ask = ["/usr/bin/systemctl", "show", "--value", "--property=SupplementaryGroups", UNIT]
    with suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run(ask, capture_output=True, text=True, timeout=5, check=False)
        for group in told.stdout.split():
            with suppress(KeyError):
                yield grp.getgrnam(group).gr_gid


def become(account: Account) -> None:
    """Give up being root for good. Raises NotPermittedError if anything of root is left."""
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    kept = os.getresuid() != (account.uid,) * 3 or os.getresgid() != (account.gid,) * 3
    with suppress(PermissionError):
        os.setuid(0)
        kept = True
    if kept or 0 in os.getgroups():
        raise NotPermittedError("this process is still root", hint="report this as a fault")
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    os.umask(0o077)
    for name in [name for name in os.environ if not KEPT.fullmatch(name)]:
        del os.environ[name]
    os.environ["HOME"] = HOME


def run_as(
    account: Account, work: Callable[[], int], *, out: Callable[[str], object] | None = None
) -> int:
    """The exit code of `work`, done by a child that has become `account`.

    What it prints goes to `out`, by default to stdout, and to stderr; SIGINT, SIGTERM and SIGHUP
    go to it; it ends with this process. Called in the main thread.
    """
    shows = (_Shown(out or _printer(sys.stdout)), _Shown(_printer(sys.stderr)))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pipes = (os.pipe(), os.pipe())
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        code = EXIT_FAILURE
        try:
            _leave(parent, [writer for _, writer in pipes], account)
            code = work()
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 -- the child must not go on as its parent
            sys.stderr.write(f"{error!r}\n")
        finally:
            os._exit(code)
    for _, writer in pipes:
        os.close(writer)
    before = {number: signal.signal(number, lambda n, _: os.kill(child, n)) for number in FORWARDED}
    try:
        _relay(child, dict(zip((reader for reader, _ in pipes), shows, strict=True)))
    finally:
        _, status = os.waitpid(child, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNALLED - code


def _leave(parent: int, writers: list[int], account: Account) -> None:
    """Leave root's terminal, open files and rights behind; what is printed goes to `writers`."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, writer in enumerate(writers, start=1):
        os.dup2(writer, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    become(account)
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        os._exit(EXIT_FAILURE)


class _Shown:
    """Text that arrives in pieces, shown as it comes."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def take(self, data: bytes) -> bool:
        """Show a piece; False at the end, or where nobody reads it any more."""
        with suppress(OSError, OutputError):
            self._show(self._decoder.decode(data, final=not data))
            return bool(data)
        return False


def _printer(stream: TextIO) -> Callable[[str], object]:
    def show(text: str) -> None:
        stream.write(text)
        stream.flush()

    return show


def _relay(child: int, shows: dict[int, _Shown]) -> None:
    """Show what comes until the child has ended, whoever else may still hold its pipes."""
    ended = os.pidfd_open(child)
    ready: list[int] = []
    try:
        while shows and ended not in ready:
            ready, _, _ = select.select([ended, *shows], [], [])
            for pipe in [one for one in shows if one in ready]:
                if not shows[pipe].take(os.read(pipe, PIPE_SIZE)):
                    os.close(pipe)
                    del shows[pipe]
    finally:
        for pipe in (ended, *shows):
            os.close(pipe)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def make_directory_for(account: Account, path: Path) -> bool:
    """Make `path` for another user, as root; False where others than root could interfere.

    What is missing above it becomes root's own. Raises OSError.
    """
    existing = next(one for one in path.parents if one.exists())
    if not only_root_writes(existing.resolve()):
        return False
    files.make_directory(path.parent, 0o755)
    path.mkdir(mode=files.PRIVATE_DIRECTORY)
    os.chown(path, *account.owner, follow_symlinks=False)
    files.sync_directory(path.parent)
    return True


def only_root_writes(directory: Path) -> bool:
    """True if nobody but root can change what lies in `directory`, or put another in its place.

    `directory` is a real path, without links. One that all may write to but that keeps each his own
    (/tmp) may lie on the way, since what is below it is looked at too. Raises OSError.
    """
    for path in (directory, *directory.parents):
        found = path.stat()
        open_to_others = bool(found.st_mode & stat.S_IWOTH) or (
            bool(found.st_mode & stat.S_IWGRP) and found.st_gid != 0
        )
        keeps = path != directory and bool(found.st_mode & stat.S_ISVTX)
        if found.st_uid != 0 or (open_to_others and not keeps):
            return False
    return True


def lend(account: Account, path: Path) -> bytes | None:
    """Content of a file that `account` may not be able to read; None where it has to try itself.

    A path that leads through what belongs to the account is its own to read, since it could lead
    root anywhere; so is a file of root's where others than root could have put it.
    """
    try:
        way = (path.absolute(), *path.absolute().parents)
        if any(one.stat(follow_symlinks=False).st_uid == account.uid for one in way):
            return None
        real = path.resolve()
        if real.stat().st_uid == 0 and not only_root_writes(real.parent):
            return None
        return files.read(real)
    except OSError:
        return None
