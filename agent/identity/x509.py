"""Certificate's own words: until when it is good, its key, whose it is (X.509, RFC 5280).

A small walk through its DER, since Python's ssl does not tell these of a file, and cryptography
costs the daemon too much. Nothing is verified here: that is OpenSSL's business.
"""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime

from agent.value import Value

#: A certificate in PEM; in OpenSSL's own two other forms, too.
PEM = re.compile(
    r"-----BEGIN (X509 |TRUSTED |)CERTIFICATE-----(.+?)-----END \1CERTIFICATE-----", re.DOTALL
)

#: Tags of DER (X.690) that are asked for.
BIT_STRING, OBJECT_ID, UTC_TIME, GENERALIZED_TIME, SEQUENCE, VERSION = 3, 6, 23, 24, 48, 0xA0

#: Kinds of keys by the DER of their object identifiers (RFC 3279, RFC 5480, RFC 8410).
RSA = bytes.fromhex("2a864886f70d010101")
EC = bytes.fromhex("2a8648ce3d0201")
CURVES = {
    bytes.fromhex("2a8648ce3d030107"): "P-256",
    bytes.fromhex("2b81040022"): "P-384",
    bytes.fromhex("2b81040023"): "P-521",
}
OTHERS = {bytes.fromhex("2b6570"): "Ed25519", bytes.fromhex("2b6571"): "Ed448"}

#: Parts of a name, and how they are called for short (RFC 4514).
PARTS = {b"U\x04\x03": "CN", b"U\x04\x0a": "O", b"U\x04\x0b": "OU", b"U\x04\x06": "C"}
ENCODINGS = {28: "utf-32-be", 30: "utf-16-be"}

TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")

#: Bytes before the content: tag and length; so many more for a long one.
HEAD = 2
LENGTH_MAX = 4

#: Parts of what is signed, up to the key: number, algorithm, issuer, dates, subject, key.
SIGNED = 6


class Certificate(Value):
    """Facts of a certificate: times in epoch seconds, its key such as "EC P-256" or "RSA 2048".

    `subject` and `issuer` are such as "CN=AWS IoT Certificate"; "" for names without a known part.
    """

    not_before_s: float
    not_after_s: float
    key: str
    subject: str
    issuer: str


class Element(Value):
    """An element of DER; `content` without its tag and length."""

    tag: int
    content: bytes


def decode_certificate(pem: str) -> Certificate:
    """The facts of the first certificate in a PEM text: the one that a device shows.

    Raises ValueError where there is none, or one that cannot be read.
    """
    match = PEM.search(pem)
    if not match:
        raise ValueError("no certificate in PEM format")
    (certificate,) = _some(b64decode(match[2]), 1)
    (signed,) = _some(_inside(certificate, SEQUENCE), 1)
    parts = elements(_inside(signed, SEQUENCE), SIGNED + 1)
    fields = [one for one in parts if one.tag != VERSION]  # the first does not have it
    if len(fields) < SIGNED:
        raise ValueError("a part of the certificate is missing")
    issuer, dates, subject, key = fields[2:SIGNED]
    before, after = _some(_inside(dates, SEQUENCE), 2)
    return Certificate(_time_s(before), _time_s(after), _kind(key), _name(subject), _name(issuer))


def elements(data: bytes, most: int) -> list[Element]:
    """The first elements in `data`, at most so many. Raises ValueError."""
    found: list[Element] = []
    while data and len(found) < most:
        if len(data) < HEAD:
            raise ValueError("an element of the certificate is cut off")
        start, length = HEAD, data[1]
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[HEAD:start])
            if not HEAD < start <= HEAD + LENGTH_MAX:
                raise ValueError("an element of the certificate has no length that can be")
        content = data[start : start + length]
        if len(content) < length:
            raise ValueError("an element of the certificate is cut off")
        found.append(Element(data[0], content))
        data = data[start + length :]
    return found


def _some(data: bytes, number: int) -> list[Element]:
    """The first elements in `data`, just so many. Raises ValueError."""
    found = elements(data, number)
    if len(found) < number:
        raise ValueError("a part of the certificate is missing")
    return found


def _inside(element: Element, tag: int) -> bytes:
    if element.tag != tag:
        raise ValueError("the certificate has something else than it should")
    return element.content


def _time_s(element: Element) -> float:
    """The time in epoch seconds; a year of two digits is of 1950 to 2049 (RFC 5280, 4.1.2.5)."""
    text = element.content.decode("ascii")
    if element.tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != GENERALIZED_TIME:
        raise ValueError("the certificate has something else than a time")
    if not (found := TIME.fullmatch(text)):
        raise ValueError("the certificate has a time that is none")
    year, month, day, hour, minute, second = map(int, found.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _kind(element: Element) -> str:
    """The kind of key in a SubjectPublicKeyInfo."""
    algorithm, key = _some(_inside(element, SEQUENCE), 2)
    parts = elements(_inside(algorithm, SEQUENCE), 2)
    identifier, *more = [one.content for one in parts] or [b""]
    if identifier == RSA:
        (numbers,) = _some(_inside(key, BIT_STRING)[1:], 1)
        (modulus,) = _some(_inside(numbers, SEQUENCE), 1)
        return f"RSA {int.from_bytes(modulus.content).bit_length()}"
    if identifier == EC:
        return f"EC {CURVES.get(b''.join(more), 'of another curve')}"
    return OTHERS.get(identifier, "of another kind")


def _name(element: Element) -> str:
    """The known parts of a name, in their order; what cannot be shown is replaced."""
    parts = []
    for group in elements(_inside(element, SEQUENCE), 64):
        for pair in elements(group.content, 64):
            kind, value = _some(_inside(pair, SEQUENCE), 2)
            if name := PARTS.get(_inside(kind, OBJECT_ID)):
                text = value.content.decode(ENCODINGS.get(value.tag, "utf-8"), "replace")
                shown = "".join(one if one.isprintable() else "\ufffd" for one in text)
                parts.append(f"{name}={shown}")
    return ", ".join(parts)
