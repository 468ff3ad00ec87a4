"""Generations of key and certificate below `<certs>`, and the links that point at them.

    <thing>            -> .<thing>.0123456789ab   what the device uses (older: a directory)
    .<thing>.pending   -> .<thing>.ba9876543210   what a run in progress is making ready
    .<thing>.0123456789ab/                        a generation; the digits begin its id at AWS
    .<thing>.new-1a2b3c4d/                        one being written; of no use to anybody
    .<thing>.moved-1a2b3c4d                       what had the name <thing> and was no link of ours
    .<thing>.key                                  a key that has no certificate yet: see `note_key`
    .<thing>.unproven                             what may be left at AWS: see `note`
    .<thing>.replaced                             what was, and its key destroyed: ids, JSON

What lies there says what to do next; there is no journal. A generation that no link points at is
stale: its certificate is to be removed at AWS, then it. A thing's name holds no dot, so that one
thing's files are never taken for another's. Imports neither boto3 nor anything else that is large.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from contextlib import ExitStack, contextmanager, suppress

from agent import files
from agent.errors import BusyError, CredentialsError
from agent.identity.credentials import Files, read_identity
from agent.identity.roots import certificates
from agent.identity.tls import load_pair
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.identity.credentials import Identity

ID_DIGITS = 12
HEX = "[0-9a-f]{8}"
GENERATION = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}|moved-{HEX}")

HOLDER = "a registration or removal, the agent's own or another command's,"

#: The file that a person's command holds besides, and how long it waits for a daemon's own attempt.
BY_HAND = ".by-hand"
BY_HAND_S = 15

#: More calls than this are not noted: the oldest are forgotten.
MOST_CALLS = 100


class NewCertificate(Value):
    """A certificate that AWS has just made: PEM texts, and its names there."""

    arn: str
    id: str
    certificate: str
    key: str
    public_key: str


def by_hand(certs: Path) -> bool:
    """True while a person's command registers or removes this device. Never raises."""
    with suppress(OSError):
        return files.is_locked(certs / BY_HAND)
    return False


class Generations:
    """The generations of one thing; its methods raise OSError. Change them only while `locked`."""

    def __init__(self, certs: Path, thing: str) -> None:
        self.certs = certs
        self.thing = thing
        self.current = certs / thing
        self.pending = certs / f".{thing}.pending"
        self.unproven = certs / f".{thing}.unproven"
        self.replaced = certs / f".{thing}.replaced"
        self.key = certs / f".{thing}.key"

    @contextmanager
    def locked(
        self, *, by_hand: bool = False, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[None]:
        """Hold `<certs>`, made if need be, while inside: all that changes it, and the proof.

        What a person does goes first: `by_hand` has a daemon end its own attempt, which takes some
        seconds, and not connect meanwhile. Raises BusyError if another process holds it.
        """
        files.make_directory(self.certs)
        with ExitStack() as stack:
            if by_hand:
                stack.enter_context(files.lock(self.certs / BY_HAND, HOLDER))
            for patience_s in range(BY_HAND_S if by_hand else 0, -1, -1):
                try:
                    stack.enter_context(files.lock(self.certs / ".lock", HOLDER))
                    break
                except BusyError:
                    if not patience_s:
                        raise
                    sleep(1.0)
            yield

    @property
    def waits(self) -> bool:
        """True if something is pending; what is in use too is what a killed `switch` has left."""
        return self.pending.is_symlink() and self.pending.resolve() != self.current.resolve()

    def prepare(self) -> None:
        """Remove what an interrupted run was still writing."""
        beside = rf"\.\.({self.thing}\.(pending|unproven|key|replaced)|name|claimed)\.{HEX}"
        half_made = re.compile(rf"\.{self.thing}\.(new-)?{HEX}|{beside}")
        for path in self.certs.iterdir():
            if half_made.fullmatch(path.name):
                files.remove_tree(path)

    def identity(self, path: Path) -> Identity | None:
        """The identity that a generation names, whole or not; None if it names none."""
        with suppress(CredentialsError):
            return read_identity(Files(path, self.thing).identity)
        return None

    def sound(self, link: Path) -> Identity | None:
        """The identity behind `current` or `pending` if its key and certificate are good.

        The roots do not count: they can be had again.
        """
        found = Files(link, self.thing)
        try:
            identity = read_identity(found.identity)
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), found.certificate, found.key)
        except CredentialsError:
            return None
        whole = identity.thing == self.thing and found.public_key.is_file()
        return identity if whole else None

    def fingerprint(self, link: Path) -> str:
        """The SHA-256 of the certificate in `link`, which is its id at AWS; "" if there is none."""
        with suppress(OSError, ValueError):
            pem = files.read(Files(link, self.thing).certificate, follow=True)
            text = pem.decode("ascii")
            return next((found for _, found in certificates(text)), "")
        return ""

    def certificate_ids(self, path: Path) -> set[str]:
        """Ids of the certificate in a generation, whole or not; else the first digits of one."""
        identity = self.identity(path)
        ids = {self.fingerprint(path), identity.certificate_id if identity else ""} - {""}
        name = (path.readlink() if self._ours(path) else path).name
        digits = re.fullmatch(rf"\.{self.thing}\.([0-9a-f]{{{ID_DIGITS}}})", name)
        return ids or ({digits[1]} if digits else set())

    def save(self, new: NewCertificate, identity: Identity) -> None:
        """Write a new generation and have `pending` point at it; it is whole or absent."""
        beside = self.certs / f".{self.thing}.new-{os.urandom(4).hex()}"
        final = self.certs / f".{self.thing}.{new.id[:ID_DIGITS]}"
        beside.mkdir(mode=files.PRIVATE_DIRECTORY)
        made = Files(beside, self.thing)
        files.write_new(made.key, new.key.encode())
        files.write_new(made.public_key, new.public_key.encode(), mode=files.PUBLIC_FILE)
        files.write_new(made.certificate, new.certificate.encode(), mode=files.PUBLIC_FILE)
        files.write_new(made.identity, identity.encode(), mode=files.PUBLIC_FILE)
        files.sync_directory(beside)
        beside.rename(final)
        files.sync_directory(self.certs)
        files.switch_link(self.pending, final.name)

    def next_key(self) -> str:
        """The private key that was made for the next certificate, PEM; "" if there is none.

        One that a generation has already is none, or a certificate would be replaced by another of
        the same key.
        """
        with suppress(OSError, ValueError):
            key = files.read(self.key)
            used = (
                Files(path, self.thing).key for path in (self.pending, self.current, *self.stale())
            )
            if not any(path.is_file() and files.read(path, follow=True) == key for path in used):
                return key.decode("ascii")
        return ""

    def has_key(self, link: Path, key: str) -> bool:
        """True if the generation behind `link` has that private key, PEM."""
        with suppress(OSError):
            return files.read(Files(link, self.thing).key, follow=True) == key.encode()
        return False

    def note_key(self, key: str) -> None:
        """Have the key on disk before a certificate is asked for: no crash then loses it."""
        files.replace(self.key, key.encode())

    def complete(self, link: Path, identity: Identity, roots: Mapping[str, str]) -> None:
        """Bring the rest of a generation up to date: identity, roots, and modes."""
        directory = link.resolve()
        found = Files(directory, self.thing)
        for path in directory.glob(".*"):  # what a killed run was replacing
            files.remove_tree(path)
        for name, pem in roots.items():
            _update(directory / name, pem.encode())
        _update(found.identity, identity.encode())
        files.set_mode(directory, files.PRIVATE_DIRECTORY)
        files.set_mode(found.key, files.PRIVATE_FILE)

    def switch(self) -> None:
        """Have the device use what is pending, and then call it pending no more.

        The name changes in one step; where a directory of an older kind has it, that is moved away
        first, and a run that is killed in between is finished by the next.
        """
        target = self.pending.readlink().name
        if not self._ours(self.current) and (self.current.exists() or self.current.is_symlink()):
            self.current.rename(self.certs / f".{self.thing}.moved-{os.urandom(4).hex()}")
        files.switch_link(self.current, target)
        self.drop_pending()

    def drop_pending(self) -> None:
        """Call what is pending stale."""
        files.remove_tree(self.pending)
        files.sync_directory(self.certs)

    def stale(self) -> list[Path]:
        """The generations that nothing points at, without those that are being written."""
        used = {link.readlink().name for link in (self.current, self.pending) if self._ours(link)}
        return sorted(
            path
            for path in self.certs.glob(f".{self.thing}.*")
            if GENERATION.fullmatch(path.name.rpartition(".")[2]) and path.name not in used
        )

    def note(self, calls_s: Sequence[float]) -> None:
        """Note that the thing may have certificates at AWS that the disk has not.

        `calls_s` is when, by AWS's clock, a certificate was asked for whose answer may be lost.
        """
        data = json.dumps(calls_s[-MOST_CALLS:]).encode()
        files.replace(self.unproven, data)

    def noted_s(self) -> list[float]:
        """The times in that note; none where it cannot be read."""
        with suppress(OSError, ValueError, TypeError, RecursionError):
            return [float(call_s) for call_s in json.loads(files.read(self.unproven))]
        return []

    def note_replaced(self, certificate_id: str) -> None:
        """Note that a certificate is left at AWS whose key is destroyed."""
        ids = [one for one in self.replaced_ids() if one != certificate_id]
        files.replace(self.replaced, json.dumps([*ids, certificate_id][-MOST_CALLS:]).encode())

    def replaced_ids(self) -> list[str]:
        """The ids in that note; none where it cannot be read."""
        with suppress(OSError, ValueError, TypeError, RecursionError):
            found = [str(one) for one in json.loads(files.read(self.replaced))]
            return [one for one in found if re.fullmatch("[0-9a-f]{64}", one)]
        return []

    def remove(self, path: Path) -> None:
        """Remove one stale generation, the note, or the key, if it is there."""
        files.remove_tree(path)
        files.sync_directory(self.certs)

    def everything(self) -> list[Path]:
        """All paths of this thing, `current` last."""
        found = sorted(self.certs.glob(f".{self.thing}.*"))
        named = self.current.exists() or self.current.is_symlink()
        return [*found, self.current] if named else found

    def _ours(self, link: Path) -> bool:
        """True if `link` is one that points at a generation beside it."""
        return link.is_symlink() and link.readlink().name.startswith(f".{self.thing}.")


def _update(path: Path, data: bytes) -> None:
    """Write `data` unless it is there."""
    if not path.is_file() or files.read(path, follow=True) != data:
        files.replace(path, data, mode=files.PUBLIC_FILE)
