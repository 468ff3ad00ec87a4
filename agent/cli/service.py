"""Service's part of a command: what is done as its user, where root runs the command."""

from __future__ import annotations

import grp
import io
import os
import select
import sys
import termios
import time
from contextlib import suppress
from functools import partial

from agent import account, files, ownership
from agent.cli.output import guarded
from agent.errors import NotPermittedError, explained
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

#: Longest answer that is taken from the service's user, in characters.
ANSWER_MAX = 65536


def as_service(
    work: Callable[[], int],
    *,
    out: Callable[[str], object] | None = None,
    groups: Iterable[str] = (),
) -> None:
    """Have `work` done as the service's user; SystemExit with its exit code unless that is 0.

    What goes wrong there has been told already. For anybody but root it is done right here, and
    raises what it raises. `groups` are the service's then too, as far as this machine has them.
    """
    service = _with(groups)
    if service:
        code = account.run_as(service, lambda: guarded(work, to_the_end=True), out=out)
    else:
        code = work()
    if code:
        raise SystemExit(code)


def ask_service(
    question: Callable[[], str], *, groups: Iterable[str] = (), longest: int = ANSWER_MAX
) -> str:
    """The answer to `question`, asked as the service's user; to be taken as anybody's word.

    What is longer than `longest` characters is cut.
    """
    if account.of_service() is None:
        return question()
    told = io.StringIO()

    def take(piece: str) -> None:
        told.write(piece[: longest - told.tell()])

    as_service(lambda: _tell(question()), out=take, groups=groups)
    return told.getvalue().rstrip("\n")


def watch_as_service(
    work: Callable[[Callable[[float], bool]], int], *, groups: Iterable[str] = ()
) -> int:
    """The exit code of `work(ended)`, done as the service's user until the person presses a key.

    Enter and Ctrl-C end it: as KeyboardInterrupt, or by `ended`, which waits for some seconds.
    What else is typed meanwhile at a terminal answers nothing.
    """
    keyboard = sys.stdin.fileno()
    service = _with(groups)
    try:
        if service:  # its process has no terminal
            lone = partial(guarded, partial(work, _pause))
            return account.run_as(service, lone, ends=keyboard)
        return guarded(partial(work, partial(_typed, keyboard)))
    finally:
        with suppress(termios.error):  # it is none
            termios.tcflush(keyboard, termios.TCIFLUSH)


def is_read_only(directory: Path) -> bool:
    """True if the file system there takes no change, of root's neither (statvfs(3))."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def check_writable(path: Path, *, read_only: Callable[[Path], bool] = is_read_only) -> None:
    """Raise NotPermittedError if this user could not replace `path`, or root should not.

    Root writes and removes nothing where the service, or anybody else, could put something else in
    its way.
    """
    service = account.of_service()
    led = service and ownership.is_led_by(service.uid, path)
    with explained():
        directory = files.real(path).parent
    while not directory.exists():
        directory = directory.parent
    if led or (service and not ownership.only_root_writes(directory)):
        raise NotPermittedError(
            f"{path}: others than root can write on the way there; root changes nothing there",
            hint="put it where only root can write, as /etc/pi-iot-agent is",
        )
    if read_only(directory):
        raise NotPermittedError(
            f"{path}: lies on a read-only file system",
            hint="make it writable for this, such as with `sudo mount -o remount,rw /`",
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise NotPermittedError(f"{path}: this user may not write it", hint="run this with sudo")


def make_certs(certs: Path) -> None:
    """Make the directory of certificates for the service where only root can make it."""
    service = account.of_service()
    if service and not certs.exists():
        ownership.make_directory_for(service.owner, certs)


def key_owner() -> files.Owner | None:
    """Owner of the AWS key that root writes: root, with the service's group; None for others."""
    service = account.of_service()
    return (0, service.gid) if service else None


def _with(groups: Iterable[str]) -> account.Account | None:
    service = account.of_service()
    if service is None:
        return None
    more = set(service.groups)
    for name in groups:
        with suppress(KeyError):
            more.add(grp.getgrnam(name).gr_gid)
    return replace(service, groups=tuple(sorted(more)))


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _typed(keyboard: int, seconds: float) -> bool:
    """Wait for a line, at most so long; True if it, or the end of the input, has come."""
    ready, _, _ = select.select([keyboard], [], [], seconds)
    return bool(ready and (os.read(keyboard, account.PIPE_SIZE) or True))


def _tell(answer: str) -> int:
    print(answer, file=sys.stdout)
    return 0
