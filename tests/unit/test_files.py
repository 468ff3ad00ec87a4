"""Files are whole or absent, and private from their first byte."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def mode(path: Path) -> int:
    """The permission bits of `path`."""
    return stat.S_IMODE(path.stat().st_mode)


def names(path: Path) -> list[str]:
    """What lies in the directory `path`."""
    return sorted(one.name for one in path.iterdir())


def test_missing_directories_are_made_private(tmp_path: Path) -> None:
    """All that is missing above is made too, with the same mode."""
    files.make_directory(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == 0o700
    assert mode(tmp_path / "a" / "b") == 0o700


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    """An owner's choice is left alone."""
    (tmp_path / "a").mkdir(mode=0o750)
    files.make_directory(tmp_path / "a")
    assert mode(tmp_path / "a") == 0o750


def test_a_link_to_a_directory_is_a_directory(tmp_path: Path) -> None:
    """A state folder may lie on another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to("disk")
    files.make_directory(tmp_path / "state" / "a")
    assert (tmp_path / "disk" / "a").is_dir()


@pytest.mark.parametrize("name", ["file", "dangling"])
def test_what_is_no_directory_is_refused(tmp_path: Path, name: str) -> None:
    """A file or a dead link in the way is an error, and stays as it is."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError):
        files.make_directory(tmp_path / name)
    with pytest.raises(NotADirectoryError):
        files.make_directory(tmp_path / name / "below")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_new_file_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    """A generous umask opens nothing."""
    before = os.umask(0)
    try:
        files.write_new(tmp_path / "key", b"secret")
        files.write_new(tmp_path / "certificate", b"public", mode=files.PUBLIC_FILE)
        files.replace(tmp_path / "durable", b"secret")
        files.replace(tmp_path / "status", b"facts", durable=False)
    finally:
        os.umask(before)
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert mode(tmp_path / "key") == 0o600
    assert mode(tmp_path / "certificate") == 0o644
    assert mode(tmp_path / "durable") == 0o600
    assert mode(tmp_path / "status") == 0o600


def test_a_strict_umask_closes_nothing_that_is_public(tmp_path: Path) -> None:
    """Under systemd's UMask=0077 everybody may still read the status."""
    before = os.umask(0o077)
    try:
        files.write_new(tmp_path / "certificate", b"public", mode=files.PUBLIC_FILE)
        files.replace(tmp_path / "status", b"facts", mode=files.PUBLIC_FILE, durable=False)
    finally:
        os.umask(before)
    assert mode(tmp_path / "certificate") == 0o644
    assert mode(tmp_path / "status") == 0o644


def test_a_new_file_never_replaces_another(tmp_path: Path) -> None:
    """A name that is taken, if only by a link, is an error and its content is untouched."""
    (tmp_path / "key").write_bytes(b"first")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("key", "link"):
        with pytest.raises(FileExistsError):
            files.write_new(tmp_path / name, b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert not (tmp_path / "elsewhere").exists()


# In a process of its own, because a limit on file sizes cannot be taken back.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from agent import files

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
here = Path(sys.argv[1])
for write in (files.write_new, files.replace, lambda *a: files.replace(*a, durable=False)):
    try:
        write(here / ("new" if write is files.write_new else "old"), b"more than ten bytes")
    except OSError as error:
        if write is not files.write_new:
            assert error.filename == str(here / "old"), error.filename
        continue
    sys.exit("the disk was not full")
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A write that fails half-way leaves no half file and no file beside."""
    (tmp_path / "old").write_bytes(b"kept")
    subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], cwd=ROOT, check=True)
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"kept"


@pytest.mark.parametrize("durable", [True, False])
def test_a_reader_sees_the_old_file_or_the_new_never_a_part(
    tmp_path: Path, *, durable: bool
) -> None:
    """While a file is replaced again and again every read gives one whole content."""
    path = tmp_path / "status.json"
    contents = [b"a" * 100_000, b"b" * 50_000]
    files.replace(path, contents[0], durable=durable)
    seen = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(50):
        files.replace(path, contents[turn % 2], durable=durable)
    stop.set()
    reader.join()
    assert seen <= set(contents)
    assert names(tmp_path) == ["status.json"]


@pytest.mark.parametrize("durable", [True, False])
def test_a_directory_is_not_replaced(tmp_path: Path, *, durable: bool) -> None:
    """Replacing a directory by a file is an error that leaves no trace."""
    (tmp_path / "certs").mkdir()
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        files.replace(tmp_path / "certs", b"data", durable=durable)
    assert names(tmp_path) == ["certs"]


def test_a_link_is_switched_in_one_step(tmp_path: Path) -> None:
    """The link is made, and later points elsewhere; no reader finds it missing."""
    link = tmp_path / "current"
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    files.switch_link(link, "one")
    missing = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            if not link.is_dir():
                missing.append(1)

    looker = threading.Thread(target=look)
    looker.start()
    for turn in range(50):
        files.switch_link(link, ("two", "one")[turn % 2])
    files.switch_link(link, "two")
    stop.set()
    looker.join()
    assert not missing
    assert link.readlink() == Path("two")
    assert names(tmp_path) == ["current", "one", "two"]


def test_a_link_does_not_replace_a_directory(tmp_path: Path) -> None:
    """A real directory of that name is an error, and stays."""
    (tmp_path / "current").mkdir()
    with pytest.raises(IsADirectoryError):
        files.switch_link(tmp_path / "current", "one")
    assert names(tmp_path) == ["current"]


def test_a_tree_a_link_or_nothing_is_removed(tmp_path: Path) -> None:
    """A link goes, not what it points to; what is not there is fine."""
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    for name in ("tree", "link", "absent"):
        files.remove_tree(tmp_path / name)
    assert names(tmp_path) == ["kept"]


def test_a_tree_that_is_swapped_for_a_link_while_it_is_removed_leads_nowhere(
    tmp_path: Path,
) -> None:
    """Whatever is put in its place at any moment, what it points to stays."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree, aside = tmp_path / "tree", tmp_path / "aside"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):
                (tree / "below").rename(aside)
                (tree / "below").symlink_to(kept)
            with suppress(OSError):
                (tree / "below").unlink()
                aside.rename(tree / "below")

    swapper = threading.Thread(target=swap)
    swapper.start()
    for _ in range(100):
        with suppress(OSError):
            (tree / "below").mkdir(parents=True)
            (tree / "below" / "file").touch()
        with suppress(OSError):
            files.remove_tree(tree)
    stop.set()
    swapper.join()
    assert names(kept) == ["file"]


@pytest.mark.parametrize("what", ["link", "dangling", "fifo", "directory", "missing", "long"])
def test_only_a_file_is_read_or_locked_or_given_a_mode(tmp_path: Path, what: str) -> None:
    """No link is followed, nothing is waited for, nothing is made where a link points to."""
    secret, path = tmp_path / "secret", tmp_path / what
    secret.write_text("secret")
    secret.chmod(0o644)
    makes: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(secret),
        "dangling": lambda: path.symlink_to(tmp_path / "nowhere"),
        "fifo": lambda: os.mkfifo(path),
        "directory": path.mkdir,
        "missing": lambda: None,
        "long": lambda: path.write_text("x" * 11),
    }
    makes[what]()
    with pytest.raises(OSError, match=str(path)):
        files.read(path, limit=10)
    if "link" in what or what in {"dangling", "fifo", "directory"}:
        with pytest.raises(OSError, match=str(path)):
            files.lock(path, "it").__enter__()
        with pytest.raises(OSError, match=str(path)):
            files.wipe(path)
    if what in {"link", "dangling"}:
        with pytest.raises(OSError, match=str(path)):
            files.set_mode(path, 0o600)
    assert not (tmp_path / "nowhere").exists()
    assert (secret.read_text(), mode(secret)) == ("secret", 0o644)


def test_a_lock_that_anybody_could_hold_is_made_anew(tmp_path: Path) -> None:
    """Who may read a file may lock it: an older version's 0644 would keep the service down."""
    path = tmp_path / "lock"
    path.touch(0o644)
    with path.open() as held_by_a_stranger:
        fcntl.flock(held_by_a_stranger, fcntl.LOCK_EX)
        with files.lock(path, "the agent"):
            assert mode(path) == 0o600
            assert files.is_locked(path)


ASK_AS = """
import os, sys
from pathlib import Path
from agent import files
os.setgroups([])
os.setresgid(64321, 64321, 64321)
os.setresuid(64321, 64321, 64321)
print(files.is_locked(Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_whoever_may_not_open_a_lock_still_sees_whether_it_is_held() -> None:
    """`status` works for every user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        path = Path(directory) / "lock"
        ask = [sys.executable, "-c", ASK_AS, str(path)]
        told = []
        for _ in range(2):
            with files.lock(path, "the agent"):
                told.append(subprocess.check_output(ask, cwd=ROOT, text=True).strip())
            told.append(subprocess.check_output(ask, cwd=ROOT, text=True).strip())
    assert told == ["True", "False"] * 2


HOLD = """
import sys
from pathlib import Path
from agent import files

with files.lock(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process_and_ends_with_it(tmp_path: Path) -> None:
    """A second taker is told who holds it; even SIGKILL frees it."""
    path = tmp_path / "lock"
    assert not files.is_locked(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert files.is_locked(path)
        with pytest.raises(BusyError, match="lock: the agent is running") as caught:
            files.lock(path, "the agent").__enter__()
        assert caught.value.hint
        holder.kill()
        holder.wait()
    assert not files.is_locked(path)
    with files.lock(path, "the agent"):
        assert files.is_locked(path)
    assert not files.is_locked(path)


ASK = """
import sys
from pathlib import Path
from agent import files

print("asking", flush=True)
while True:
    files.is_locked(Path(sys.argv[1]))
"""


def test_who_only_asks_does_not_keep_anybody_from_the_lock(tmp_path: Path) -> None:
    """A `status` at the very moment of the daemon's start is no reason not to start."""
    path = tmp_path / "lock"
    path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", ASK, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as asker:
        try:
            assert asker.stdout
            assert asker.stdout.readline() == b"asking\n"
            for _ in range(300):
                with files.lock(path, "the agent"):
                    pass
        finally:
            asker.kill()
