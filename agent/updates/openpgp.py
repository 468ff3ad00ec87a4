"""Public keys of OpenPGP (RFC 9580), looked at without gpg, to refuse what is none.

What comes out is bare packets, each of which was looked at: every other program that reads armour
takes something else in it for a key.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import re

from agent.errors import EXIT_USAGE, AgentError
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: More bytes than the public keys of any repository have.
SIZE_MAX = 1 << 20

BEGIN, END = (f"-----{one} PGP PUBLIC KEY BLOCK-----" for one in ("BEGIN", "END"))

#: Tags of packets (RFC 9580, section 5).
SIGNATURE, SECRET, PUBLIC, SECRET_PART = 2, 5, 6, 7

#: Those that belong to a key, and hold no other: signatures, trust, its names, parts, and padding.
OF_A_KEY = {SIGNATURE, PUBLIC, 12, 13, 14, 17, 21}

#: First bytes of a length, from which on it has two bytes, and comes in parts; and with four bytes.
TWO, PARTS, FOUR = 192, 224, 255

#: What other files begin with, and what they are then.
OTHERS = {
    "-----BEGIN PGP PRIVATE KEY": "the secret key",
    "-----BEGIN PGP": "a message or a signature",
    "-----BEGIN CERTIFICATE": "a certificate",
    "-----BEGIN OPENSSH PRIVATE KEY": "a secret key of ssh",
    "-----BEGIN PUBLIC KEY": "a key of openssl",
    "-----BEGIN": "a key or certificate of another kind",
    "ssh-": "a key of ssh",
    "ecdsa-": "a key of ssh",
    "sk-": "a key of ssh",
    "<": "a page of the web",
    "Types:": "a list of sources",
    "deb ": "a list of sources",
    "!<arch>": "a package",
}

SECRET_HINT = "give the public one: `gpg --armor --export KEY`; and keep this one off every device"  # noqa: S105
HINT = (
    "ask whoever keeps the repository for its public key, pi-iot-agent.asc; take it by a way that "
    "you trust, not from where the updates lie"
)


class KeyFileError(AgentError):
    """A file that has no public key to check a repository with."""

    exit_code = EXIT_USAGE


class PublicKey(Value):
    """Public keys: their packets without armour, and the fingerprint of each."""

    data: bytes
    fingerprints: tuple[str, ...]


def public_key(data: bytes) -> PublicKey:
    """The keys in the content of a file. Raises KeyFileError, which says what it is instead."""
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise KeyFileError("is empty", hint=HINT)
    if data[0] & 0x80:
        return PublicKey(data, _fingerprints(data))
    text = data.decode("utf-8", "replace")
    if BEGIN in text:
        packets = _bare(text)
        return PublicKey(packets, _fingerprints(packets))
    beginning = text.lstrip()
    kinds = (kind for start, kind in OTHERS.items() if beginning.startswith(start))
    kind = next(kinds, "no key of OpenPGP")
    if data[8:12] == b"KBXf":
        kind = "a keyring of gpg's own; `gpg --armor --export KEY` takes a key out of it"
    secret = kind.startswith("the secret")
    raise KeyFileError(f"is {kind}", hint=SECRET_HINT if secret else HINT)


def _bare(text: str) -> bytes:
    """The packets in the one block of armour (RFC 9580, section 6). Raises KeyFileError."""
    _, _, rest = text.partition(BEGIN)
    block, end, _ = rest.partition(END)
    if not end:
        raise KeyFileError("is cut off: its last line is missing", hint=HINT)
    if text.count("-----BEGIN ") > 1:
        text = "has more than one block; `gpg --armor --export KEY...` makes one of several keys"
        raise KeyFileError(text, hint=HINT)
    lines = [line.strip() for line in block.splitlines()[1:]]
    body = lines[lines.index("") + 1 :] if "" in lines else lines
    joined = "".join(line for line in body if not re.fullmatch(r"=[A-Za-z0-9+/]{4}", line))
    try:
        return base64.b64decode(joined, validate=True)
    except binascii.Error:
        raise KeyFileError("is damaged: a line of it is no base64", hint=HINT) from None


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet. Raises KeyFileError."""
    at = 0
    while at < len(data):
        tag, body, at = _packet(data, at)
        yield tag, body


def _fingerprints(data: bytes) -> tuple[str, ...]:
    """The fingerprint of each key in the packets. Raises KeyFileError."""
    found: list[str] = []
    signed = False
    for tag, body in packets(data):
        if tag in {SECRET, SECRET_PART}:
            raise KeyFileError("is the secret key", hint=SECRET_HINT)
        signed = signed or (tag == SIGNATURE and bool(found))
        if tag == PUBLIC:
            found.append(fingerprint(body))
        elif not found:
            kind = "a signature" if tag == SIGNATURE else "no key of OpenPGP"
            raise KeyFileError(f"is {kind}", hint=HINT)
        elif tag not in OF_A_KEY:
            raise KeyFileError("has something else than keys in it", hint=HINT)
    if not signed:
        raise KeyFileError("is cut off: no key is whole", hint=HINT)
    return tuple(found)


def fingerprint(body: bytes) -> str:
    """The fingerprint of a public key's packet (RFC 9580, section 5.5.4). Raises KeyFileError."""
    if body[:1] == b"\x04":
        head = b"\x99" + len(body).to_bytes(2, "big")
        return hashlib.sha1(head + body, usedforsecurity=False).hexdigest().upper()
    if body[:1] == b"\x06":
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise KeyFileError("has a key of a version that apt does not know", hint=HINT)


def _packet(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and body of the packet at `at`, and where the next begins. Raises KeyFileError."""
    head = data[at]
    tag = head & 0x3F if head & 0x40 else head >> 2 & 0x0F
    try:
        length, start = _new_length(data, at + 1) if head & 0x40 else _old_length(data, at)
    except IndexError:
        length, start = len(data) + 1, at
    end = start + length
    if end > len(data) or not head & 0x80:
        raise KeyFileError("is cut off, or damaged", hint=HINT)
    return tag, data[start:end], end


def _old_length(data: bytes, at: int) -> tuple[int, int]:
    """Length of a body, and where it begins (RFC 9580, section 4.2.2). Raises IndexError."""
    start = at + 1 + (1, 2, 4)[data[at] & 3]
    return int.from_bytes(data[at + 1 : start], "big"), start


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Length of a body, and where it begins (RFC 9580, section 4.2.1). Raises IndexError."""
    first = data[at]
    if first < TWO:
        return first, at + 1
    if first < PARTS:
        return (first - TWO << 8) + data[at + 1] + TWO, at + 2
    if first == FOUR:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise IndexError  # in parts, which no key is
