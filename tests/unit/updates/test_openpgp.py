"""Public keys: those of OpenPGP are taken as they are, and what is none is said what it is."""

from __future__ import annotations

import base64

import pytest

from agent.updates.openpgp import KeyFileError, public_key
from tests.unit.updates.keys import ARMOURED, BINARY, FINGERPRINT, SECRET

HEAD = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
TAIL = b"\n-----END PGP PUBLIC KEY BLOCK-----\n"


#: Another key, which somebody would have apt trust unseen; `ARMOURED` is the owner's.
EVIL = BINARY.replace(b"good", b"evil")
EVIL_LINES = base64.encodebytes(EVIL).decode()


def armour(begin: str, end: str) -> bytes:
    """Another key in what some programs take for armour, before the owner's."""
    return f"Key:\n{begin}\n\n{EVIL_LINES}{end}\n".encode() + ARMOURED


@pytest.mark.parametrize(
    ("data", "packets"),
    [
        (ARMOURED, BINARY),
        (b"of the updates\n\n" + ARMOURED, BINARY),
        (b"\xef\xbb\xbf" + ARMOURED, BINARY),
        (ARMOURED.replace(b"\n", b"\r\n"), BINARY),
        (ARMOURED.replace(b"-----\n\n", b"-----\nComment: ours\n\n", 1), BINARY),
        (BINARY, BINARY),
        (BINARY * 2, BINARY * 2),
        (HEAD + base64.b64encode(BINARY + EVIL) + TAIL, BINARY + EVIL),
    ],
)
def test_a_public_key_is_taken(data: bytes, packets: bytes) -> None:
    """Armoured, binary, one or several, as packets; each fingerprint is gpg's."""
    key = public_key(data)

    assert key.data == packets
    assert key.fingerprints == (FINGERPRINT,) * (len(packets) // len(BINARY))


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("-----BEGINX", "-----ENDX"),
        ("-----BEGIN", "-----END"),
        ("-----BEGIN-PGP PUBLIC KEY BLOCK-----", "-----END-PGP PUBLIC KEY BLOCK-----"),
        ("-----BEGIN\tPGP PUBLIC KEY BLOCK-----", "-----END\tPGP PUBLIC KEY BLOCK-----"),
        *(
            (f"{dash}BEGIN PGP PUBLIC KEY BLOCK{dash}", f"{dash}END PGP PUBLIC KEY BLOCK{dash}")
            for dash in ("-", "----", "\u2010" * 5, "\u2012" * 5, "\u2013" * 5, "\u2014" * 5)
        ),
        ("", ""),
    ],
)
def test_what_else_lies_around_the_armour_is_not_taken(begin: str, end: str) -> None:
    """Apt of Debian 12 would read the first of them, that of 13 the others."""
    for data in (armour(begin, end), ARMOURED + armour(begin, end).removesuffix(ARMOURED)):
        key = public_key(data)

        assert key.data == BINARY


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\n<!DOCTYPE html><html>", "is a page of the web"),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==", "is the secret key"),
        (SECRET, "is the secret key"),
        (BINARY + SECRET, "is the secret key"),
        (HEAD + base64.b64encode(SECRET) + TAIL, "is the secret key"),
        (b"-----BEGIN PGP SIGNED MESSAGE-----\n", "is a message or a signature"),
        (b"\x88\x02ab", "is a signature"),
        (b"-----BEGIN CERTIFICATE-----\nMII", "is a certificate"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nMII", "is a key or certificate of another kind"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "is a secret key of ssh"),
        (b"ssh-ed25519 AAAA me", "is a key of ssh"),
        (b"deb http://deb.debian.org/debian trixie main", "is a list of sources"),
        (b"!<arch>\ndebian-binary", "is a package"),
        (b"\0\0\0\x20\1\1\0\2KBXf\0", "a keyring of gpg's own"),
        (b"\x7fELF\x02\x01\x01", "is no key of OpenPGP"),
        (b"\xff\xd8\xff\xe0 a picture", "damaged"),
        (b"\xd4\0", "is no key of OpenPGP"),
        (b"\xca\x03PGP" + BINARY, "is no key of OpenPGP"),
        (BINARY + b"\xc8\x05\x01" + b"abcd", "something else than keys"),
        (BINARY + b"\xca\x03PGP", "something else than keys"),
        (BINARY + b"\xcb\x07b\0\0\0\0\0a", "something else than keys"),
        (BINARY + b"\xfc\x00", "something else than keys"),
        (b"\x9b\x04abc", "is cut off, or damaged"),
        (b"\x98\x04\x03abc", "a version that apt does not know"),
        (ARMOURED + ARMOURED, "more than one block"),
        (ARMOURED[:200], "is cut off"),
        (ARMOURED.replace(b"eReE", b"e%eE"), "is damaged"),
        (HEAD + TAIL, "is cut off"),
    ],
)
def test_what_is_none_is_said_what_it_is(data: bytes, said: str) -> None:
    """With what to give instead."""
    with pytest.raises(KeyFileError, match=said) as raised:
        public_key(data)
    assert raised.value.exit_code == 2
    assert raised.value.hint


def test_a_part_of_a_key_is_none() -> None:
    """Wherever it is cut off, and whatever follows it."""
    for length in range(len(BINARY)):
        with pytest.raises(KeyFileError):
            public_key(BINARY[:length])
    with pytest.raises(KeyFileError):
        public_key(BINARY + b"rubbish")


@pytest.mark.parametrize("length", [5, 300, 9000])
def test_a_key_of_the_new_format_is_read_too(length: int) -> None:
    """Each kind of length that a packet may have."""
    body = b"\x04" + bytes(length - 1)
    short, long = bytes([length & 0xFF]), b"\xff" + length.to_bytes(4, "big")
    two = (length - 192 + (192 << 8)).to_bytes(2, "big") if length < 8384 else long
    spelled = short if length < 192 else two

    key = public_key(b"\xc6" + spelled + body + b"\xc2\x01\x04")

    assert len(key.fingerprints) == 1


def test_a_key_of_version_six_has_its_longer_fingerprint() -> None:
    """As RFC 9580 has it."""
    (fingerprint,) = public_key(b"\xc6\x05\x06abcd\xc2\x01\x06").fingerprints

    assert len(fingerprint) == 64
