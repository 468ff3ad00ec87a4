"""Account: the user of the service, whom every command of root's becomes before it does its work.

Whoever runs as the service's user is taken as hostile by root: a sensor's program, a plug-in, a
file in a directory of the service. So root forks; the child leaves the terminal, gives up every
right, and can tell its parent nothing but text, from which the terminal's controls are taken.
"""

from __future__ import annotations

import codecs
import grp
import os
import pwd
import re
import select
import signal
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from agent.errors import EXIT_FAILURE, NotPermittedError, OutputError
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Iterable
    from typing import TextIO

    from agent import files

NAME = "pi-iot-agent"
UNIT = "pi-iot-agent.service"

#: A directory that no account has, for programs that look for their settings at home.
HOME = "/nonexistent"

#: What a child needs of its parent's environment; nothing of it names a file of root's.
KEPT = r"(?i)LANG|LC_\w+|TZ|TERM|COLUMNS|PATH|(https?|no|all)_proxy|PI_IOT_AGENT_DEBUG|AWS_\w+"

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38

#: keyctl(2), which the C library does not have, by the machine's name and whether we have 64 bits.
KEYCTL = {
    ("x86", True): 250,
    ("x86", False): 288,
    ("aar", True): 219,
    ("aar", False): 311,
    ("arm", False): 311,
}
KEYCTL_JOIN_SESSION_KEYRING = 1
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What a pipe holds (pipe(7)): the last words of a process that has ended.
PIPE_SIZE = 65536
SIGNALLED = 128


class Account(Value):
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
    import subprocess  # noqa: PLC0415 -- 0.3 MiB that few machines need

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
    _prctl(PR_SET_DUMPABLE, 0)  # else others of that user read our memory, and what root gave us
    os.umask(0o077)
    for name in [name for name in os.environ if not re.fullmatch(KEPT, name)]:
        del os.environ[name]
    os.environ["HOME"] = HOME


def run_as(
    account: Account,
    work: Callable[[], int],
    *,
    out: Callable[[str], object] | None = None,
    ends: int | None = None,
) -> int:
    """The exit code of `work`, done by a child that has become `account`.

    What it prints goes to `out`, by default to stdout, and to stderr; SIGINT, SIGTERM and SIGHUP
    go to it, and a second of the first two ends it whatever it does; it ends with this process.
    What can be read from the descriptor `ends`, such as a line at a terminal, counts as SIGINT.
    Called in the main thread. What cannot be shown is lost, for its stream to tell.
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
    sent: list[int] = []

    def forward(number: int, _frame: object) -> None:
        # The service's user can stop its processes, but not keep root's kill from them.
        ends = sent.count(signal.SIGINT) + sent.count(signal.SIGTERM) > 0
        sent.append(number)
        os.kill(child, signal.SIGKILL if ends and number != signal.SIGHUP else number)
        os.kill(child, signal.SIGCONT)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        _relay(child, dict(zip((reader for reader, _ in pipes), shows, strict=True)), ends, forward)
    finally:
        _, status = os.waitpid(child, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and not sent:
        name = signal.Signals(-code).name
        sys.stderr.write(f"{NAME}: the work was ended by {name}; memory may have run out\n")
        sys.stderr.write("hint: see `journalctl -k`\n")
    return code if code >= 0 else SIGNALLED - code


def _leave(parent: int, writers: list[int], account: Account) -> None:
    """Leave root's terminal, open files and rights behind; what is printed goes to `writers`."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, writer in enumerate(writers, start=1):
        os.dup2(writer, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    _leave_keyring()
    become(account)
    end_with_parent(parent)


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process once the one that started it is gone (prctl(2))."""
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # it went before we could say so
        os._exit(EXIT_FAILURE)


class _Shown:
    """Text that arrives in pieces, shown as it comes."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def take(self, data: bytes) -> bool:
        """Show a piece; False at the end, or where nobody reads it any more."""
        with suppress(OutputError):
            self._show(self._decoder.decode(data, final=not data))
            return bool(data)
        return False


def _printer(stream: TextIO) -> Callable[[str], object]:
    def show(text: str) -> None:
        stream.write(text)
        stream.flush()

    return show


def _relay(
    child: int,
    shows: dict[int, _Shown],
    ends: int | None,
    forward: Callable[[int, object], None],
) -> None:
    """Show what comes until the child has ended, whoever else may still hold its pipes."""
    ended = os.pidfd_open(child)
    typed = [] if ends is None else [ends]
    ready: list[int] = []
    try:
        while shows and ended not in ready:
            ready, _, _ = select.select([ended, *shows, *typed], [], [])
            if typed and typed[0] in ready:
                os.read(typed.pop(), PIPE_SIZE)
                forward(signal.SIGINT, None)
            for pipe in [one for one in shows if one in ready]:
                if not shows[pipe].take(os.read(pipe, PIPE_SIZE)):
                    os.close(pipe)
                    del shows[pipe]
    finally:
        for pipe in (ended, *shows):
            os.close(pipe)


def _leave_keyring() -> None:
    """Join an empty session keyring: that of root's login may hold keys (session-keyring(7))."""
    system = (os.uname().machine[:3], sys.maxsize > 2**32)
    if number := KEYCTL.get(system):
        _system().syscall(number, KEYCTL_JOIN_SESSION_KEYRING, 0)


def _prctl(option: int, value: int) -> None:
    _system().prctl(option, value, 0, 0, 0)


def _system() -> ctypes.CDLL:
    """The C library."""
    import ctypes  # noqa: PLC0415 -- 0.3 MiB that a daemon of root's does not need

    return ctypes.CDLL(None, use_errno=True)
