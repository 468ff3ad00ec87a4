"""Wrapping of a key in hardware: the PEM text that stands for it where a file of a key is expected.

OpenSSL's PKCS #11 provider reads it: SEQUENCE { VisibleString "PKCS#11 Provider URI v1.0",
UTF8String URI }.
"""

from __future__ import annotations

import ssl
from base64 import b64decode

from agent.config import KeyUri
from agent.identity.x509 import elements

LABEL = "PKCS#11 PROVIDER URI"
VERSION = b"PKCS#11 Provider URI v1.0"

#: A length of DER from which on it is preceded by how many bytes it has.
LONG = 0x80

_VISIBLE_STRING, _UTF8_STRING, _SEQUENCE = 0x1A, 0x0C, 0x30


def wrapped_uri(uri: KeyUri) -> str:
    """The PEM text that stands for the key of that URI."""
    content = _element(_VISIBLE_STRING, VERSION) + _element(_UTF8_STRING, uri.encode())
    text = ssl.DER_cert_to_PEM_cert(_element(_SEQUENCE, content))
    return text.replace("CERTIFICATE", LABEL)


def unwrapped_uri(pem: bytes) -> KeyUri | None:
    """The URI in such a PEM text; None where it is another one. Raises ValueError if spoiled."""
    _, begun, rest = pem.partition(b"-----BEGIN " + LABEL.encode() + b"-----")
    if not begun:
        return None
    try:
        (outer,) = elements(b64decode(rest.partition(b"-----END")[0]), 1)
        _, inner = elements(outer.content, 2)
        uri = inner.content.decode("ascii")
    except ValueError:
        raise ValueError("has no URI") from None
    return KeyUri.parse(uri)


def _element(tag: int, content: bytes) -> bytes:
    """An element of DER."""
    size = len(content)
    length = size.to_bytes((size.bit_length() + 7) // 8 or 1)
    head = length if size < LONG else bytes([LONG | len(length)]) + length
    return bytes([tag]) + head + content
