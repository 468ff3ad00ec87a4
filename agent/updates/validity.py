"""Validity of public keys (RFC 9580, section 5.2): whether one of them could sign today.

Nothing is proven here: apt does that. It only saves a person a look that could not succeed.
"""

from __future__ import annotations

import time

from agent.updates.openpgp import FOUR, PUBLIC, SIGNATURE, TWO, fingerprint, packets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Kinds of signatures (section 5.2.1): on a name or the key itself, on a part of it, and its end.
ON_ITSELF, ON_A_PART, REVOKED = {0x10, 0x11, 0x12, 0x13, 0x1F}, 0x18, 0x20

#: Bytes before what a signature says, and the version that has longer lengths.
HEAD, V6 = 4, 6

#: What a signature says (section 5.2.3.7), and the flag of a key that may sign data.
MADE, ENDS_AFTER, ISSUER, FLAGS, ISSUER_FINGERPRINT = 2, 9, 16, 27, 33
MAY_SIGN = 0x02


class Key:
    """A public key, with what it says of itself in its own signatures."""

    def __init__(self, body: bytes) -> None:
        self._begins_s = int.from_bytes(body[1:5], "big")
        self._name = bytes.fromhex(fingerprint(body))
        self._revoked = self._signs = False
        self._made_s = self._ends_after_s = 0

    def take(self, signature: bytes) -> None:
        """Take in a signature that follows the key; of others none counts."""
        if len(signature) < HEAD or signature[0] not in {4, V6}:
            return
        said = dict(_said(signature))
        name, number = said.get(ISSUER_FINGERPRINT, b"")[1:], said.get(ISSUER, b"")
        if name != self._name and number != self._name[-8:]:
            return
        kind, may_sign = signature[1], bool((said.get(FLAGS) or b"\x02")[0] & MAY_SIGN)
        made_s = int.from_bytes(said.get(MADE, b""), "big")
        self._revoked |= kind == REVOKED
        if kind == ON_A_PART:
            self._signs |= may_sign
        elif kind in ON_ITSELF and made_s >= self._made_s:
            self._made_s, self._signs = made_s, self._signs or may_sign
            self._ends_after_s = int.from_bytes(said.get(ENDS_AFTER, b""), "big")

    def fault(self, now_s: float) -> str:
        """The reason why it signs nothing; "" for none."""
        if self._revoked:
            return "was revoked"
        ends_s = self._begins_s + self._ends_after_s
        if self._ends_after_s and ends_s <= now_s:
            return f"ended on {time.strftime('%Y-%m-%d', time.gmtime(ends_s))}"
        return "" if self._signs or not self._made_s else "is for encryption, and signs nothing"


def fault(data: bytes, now_s: float) -> str:
    """The reason why no key in the packets can sign; "" for none. Raises KeyFileError."""
    keys: list[Key] = []
    for tag, body in packets(data):
        if tag == PUBLIC:
            keys.append(Key(body))
        elif tag == SIGNATURE and keys:
            keys[-1].take(body)
    faults = [key.fault(now_s) for key in keys]
    return faults[0] if faults and all(faults) else ""


def _said(signature: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each thing that a signature says; what is damaged says nothing more."""
    size = 4 if signature[0] == V6 else 2
    rest = signature[HEAD:]
    for _ in range(2):  # those that are signed, and those that are not
        end = size + int.from_bytes(rest[:size], "big")
        part, rest = rest[size:end], rest[end:]
        while part:
            length, start = _length(part)
            if not 0 < length <= len(part) - start:
                return
            yield part[start] & 0x7F, part[start + 1 : start + length]
            part = part[start + length :]


def _length(part: bytes) -> tuple[int, int]:
    """Length of what is said, and where it begins (section 5.2.3.7)."""
    if part[0] < TWO:
        return part[0], 1
    if part[0] < FOUR:
        return (part[0] - TWO << 8) + int.from_bytes(part[1:2], "big") + TWO, 2
    return int.from_bytes(part[1:5], "big"), 5
