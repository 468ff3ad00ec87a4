"""A disk that loses its power: what may be on it at any instant, from a trace of system calls.

Nothing is taken for durable that was not asked for: a write that was not followed by fsync(2) of
its file may be there, in part or not at all, each sector by itself and in any order; a name that
was not followed by an fsync of its directory may be there or not, in the order of the calls.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

SECTOR = 512
CALLS = (
    "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,unlink,unlinkat,mkdir,lseek"
)

_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<(.*)>)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")

#: A path, behind the open directory that it starts at where the call takes one.
_PATH = re.compile(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"')


def traced(program: str, directory: Path, log: Path) -> list[Call]:
    """What `program`, in one thread, does to `directory`, its argument, and what it says."""
    strace = shutil.which("strace")
    if not strace:
        raise FileNotFoundError("strace is not installed")
    command = [strace, "-qq", "-xx", "-y", "-s", "2000000", "-e", f"trace={CALLS}", "-o", str(log)]
    command += [sys.executable, "-c", program, str(directory)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    reader = _Reader(directory)
    found = (reader.read(line) for line in log.read_text().splitlines())
    return [call for call in found if call]


@dataclass(frozen=True, slots=True)
class Call:
    """One successful call: on the file `name` in the directory ("" for the directory itself)."""

    what: str
    name: str
    data: bytes = b""
    offset: int = 0
    to: str = ""


@dataclass(slots=True)
class _Inode:
    durable: bytes = b""
    pending: list[Call] = field(default_factory=list)


class Disk:
    """The directory as the kernel's cache has it, and what of it is on the disk for certain."""

    def __init__(self) -> None:
        self._names: dict[str, _Inode] = {}
        self._durable: dict[str, _Inode] = {}
        self._changes: list[tuple[str, _Inode | None]] = []  # name, and what it is from then on

    def apply(self, call: Call) -> None:
        """Do what the process did."""
        if call.what == "create":
            self._change(call.name, _Inode())
        elif call.what == "rename":
            self._change(call.to, self._names[call.name])
            self._change(call.name, None)
        elif call.what == "unlink":
            self._change(call.name, None)
        elif call.what == "sync" and not call.name:
            self._durable = dict(self._names)
            self._changes.clear()
        elif call.what == "sync":
            inode = self._names[call.name]
            for change in inode.pending:
                inode.durable = _changed(inode.durable, change)
            inode.pending.clear()
        elif call.what in {"write", "truncate"}:
            self._names[call.name].pending.append(call)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """One of the states that the disk may be in if the power fails now."""
        names = dict(self._durable)
        for name, inode in self._changes[: chance.randint(0, len(self._changes))]:
            if inode:
                names[name] = inode
            else:
                names.pop(name, None)
        return {name: _remains(inode, chance) for name, inode in names.items()}

    def killed(self) -> dict[str, bytes]:
        """What the directory is like if only the process ends: all that it did has happened."""
        found = {}
        for name, inode in self._names.items():
            content = inode.durable
            for change in inode.pending:
                content = _changed(content, change)
            found[name] = content
        return found

    def _change(self, name: str, inode: _Inode | None) -> None:
        self._changes.append((name, inode))
        if inode:
            self._names[name] = inode
        else:
            self._names.pop(name, None)


def _changed(content: bytes, change: Call) -> bytes:
    if change.what == "truncate":
        return content[: change.offset].ljust(change.offset, b"\0")
    end = change.offset + len(change.data)
    padded = content.ljust(change.offset, b"\0")
    return padded[: change.offset] + change.data + padded[end:]


def _remains(inode: _Inode, chance: random.Random) -> bytes:
    """The durable content, and of what is pending some sectors of some writes."""
    content = inode.durable
    luck = chance.choice([0.0, 0.5, 1.0])  # all is lost, some, nothing
    for change in inode.pending:
        if change.what == "truncate":
            if chance.random() < luck:
                content = _changed(content, change)
            continue
        for part in _sectors(change):
            if chance.random() < luck:
                content = _changed(content, part)
    return content


def _sectors(change: Call) -> Iterator[Call]:
    start = change.offset
    end = start + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        data = change.data[start - change.offset : stop - change.offset]
        yield Call("write", change.name, data, start)
        start = stop


class _Reader:
    """Turns lines of the trace into calls; knows how far each descriptor has been written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._positions: dict[int, int] = {}

    def read(self, line: str) -> Call | None:
        """The call in a line, if it succeeded and is about the directory or says something."""
        found = _CALL.search(line)
        if not found or int(found[3]) < 0:
            return None
        what, arguments, result = found[1], found[2], int(found[3])
        texts = [_plain(text) for text in _TEXT.findall(arguments)]
        if what in {"openat", "renameat", "unlinkat"}:
            paths = [_joined(*map(_plain, found)) for found in _PATH.findall(arguments)]
            return self._named(what.removesuffix("at"), paths, result, arguments)
        if descriptor := _DESCRIPTOR.match(arguments):
            number, path = int(descriptor[1]), _plain(descriptor[2])
            if what == "write" and number == 1:
                return Call("say", "", texts[0])
            last = str(result) if what == "lseek" else arguments.rpartition(", ")[2]
            data = texts[0][:result] if texts else b""
            name = self._name(path)
            return self._on(what, number, name, last=last, data=data) if name is not None else None
        return self._named(what, texts, result, arguments)

    def _named(self, what: str, paths: list[bytes], result: int, arguments: str) -> Call | None:
        """A call on one name or two."""
        name = self._name(paths[0])
        if name is None or (what == "open" and "O_CREAT" not in arguments):
            return None
        if what == "open":
            self._positions[result] = 0
            return Call("open", name)
        to = self._name(paths[1]) if what == "rename" else ""
        return Call(what, name, to=to or "")

    def _on(self, what: str, number: int, name: str, *, last: str, data: bytes) -> Call | None:
        """A call on an open file; `last` is its last argument, or for lseek its result."""
        if what == "lseek":
            self._positions[number] = int(last)
            return None
        if what in {"write", "pwrite64"}:
            at = self._positions.get(number, 0) if what == "write" else int(last)
            self._positions[number] = at + len(data)
            return Call("write", name, data, at)
        if what == "ftruncate":
            return Call("truncate", name, offset=int(last))
        return Call("sync", name) if what in {"fsync", "fdatasync"} else None

    def _name(self, path: bytes) -> str | None:
        """Its name in the directory, "" for the directory itself."""
        full = Path(path.decode())
        if not full.is_relative_to(self._directory):
            return None
        return "" if full == self._directory else full.relative_to(self._directory).as_posix()


def _joined(start: bytes, end: bytes) -> bytes:
    return end if end.startswith(b"/") else start + b"/" + end


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def cuts(calls: list[Call]) -> Iterator[tuple[Disk, list[str]]]:
    """The disk after each call that changes it, and all that the program had said by then."""
    disk, said, known = Disk(), [], set[str]()
    for call in calls:
        if call.what == "say":
            said += call.data.decode().split("\n")[:-1]
            continue
        if call.what == "open":
            if call.name in known:
                continue
            known.add(call.name)
            disk.apply(Call("create", call.name))
        else:
            if call.what == "unlink":
                known.discard(call.name)
            if call.what == "rename":
                known.discard(call.name)
                known.add(call.to)
            disk.apply(call)
        yield disk, said
