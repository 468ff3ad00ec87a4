"""Content of a file that should hold a certificate or a key: what it is, by its PEM or its DER.

PEM is RFC 7468, DER X.690. Only the outermost shape is looked at: it tells one kind from another.
"""

from __future__ import annotations

import binascii
import re

from agent.identity.x509 import BIT_STRING, GENERALIZED_TIME, SEQUENCE, UTC_TIME, VERSION, elements
from agent.value import Value

#: Kinds of content, as they stand behind "is".
CERTIFICATE = "a certificate"
REQUEST = "a request for a certificate (CSR)"
REVOKED = "a list of revoked certificates"
BUNDLE = "a PKCS#7 bundle"
ARCHIVE = "a PKCS#12 archive (.pfx, .p12)"
PRIVATE = "a private key"
LOCKED = "a private key with a passphrase"
PUBLIC = "a public key"
OPENSSH = "a private key in OpenSSH's own format"
JSON_TEXT = "JSON"
UNKNOWN = "neither a certificate nor a key"

#: Flaws of the form, as they stand behind the file's name.
EMPTY = "is empty"
ZEROS = "holds nothing but zeros, as after a power cut"
BINARY = "is binary (DER), not PEM text"
WIDE = "is text in UTF-16, as Windows writes it"
ESCAPED = r"has \n in letters where its lines should end"
RETURNS = "has the line ends of an old Mac, which are none to others"
INDENTED = "has its -----BEGIN line indented, or in the middle of a line"
DASHES = "has other dashes than the five - around BEGIN and END"
BARE = "lacks its lines -----BEGIN and -----END"
CUT_OFF = "is cut off: a line -----END is missing"
DAMAGED = "is damaged: the text between BEGIN and END is not whole"

#: Kinds by the label of PEM; two of keys that are elsewhere, and of which the file only tells.
LABELS = {
    **dict.fromkeys(("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"), CERTIFICATE),
    **dict.fromkeys(("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), REQUEST),
    **dict.fromkeys(("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"), PRIVATE),
    **dict.fromkeys(("PKCS#11 PROVIDER URI", "TSS2 PRIVATE KEY"), PRIVATE),
    **dict.fromkeys(("PUBLIC KEY", "RSA PUBLIC KEY"), PUBLIC),
    "ENCRYPTED PRIVATE KEY": LOCKED,
    "OPENSSH PRIVATE KEY": OPENSSH,
    "PKCS7": BUNDLE,
    "X509 CRL": REVOKED,
}

#: Kinds by how a file begins.
BEGINNINGS = (
    (b"\xfe\xed\xfe\xed", "a Java key store"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PuTTY-User-Key-File", "a key of PuTTY"),
    (b"ssh-", "a public key of OpenSSH"),
    (b"ecdsa-sha2-", "a public key of OpenSSH"),
    (b"{", JSON_TEXT),
    (b"<", "a web page, or another answer of a server"),
)

#: The byte order mark of UTF-8.
MARK = b"\xef\xbb\xbf"

INTEGER, OCTETS, OBJECT = 2, 4, 6

#: Tags at the beginning of a DER's outer sequence; what is signed is told apart by its inside.
SHAPES = (
    ((INTEGER, SEQUENCE, OCTETS), PRIVATE),  # PKCS#8
    ((INTEGER, OCTETS), PRIVATE),  # RFC 5915
    ((INTEGER, INTEGER, INTEGER), PRIVATE),  # PKCS#1
    ((INTEGER, INTEGER), PUBLIC),
    ((INTEGER, SEQUENCE), ARCHIVE),
    ((SEQUENCE, BIT_STRING), PUBLIC),
    ((SEQUENCE, OCTETS), LOCKED),
    ((OBJECT, VERSION), BUNDLE),
)

#: Parts of what is signed of a request; a certificate has more.
REQUEST_PARTS = 4

_BLOCK = re.compile(
    rb"^-----BEGIN ([^\r\n-]+)-----[ \t\r]*\n(.*?)^-----END \1-----", re.MULTILINE | re.DOTALL
)
_BEGIN = re.compile(rb"^-----BEGIN [^\r\n-]+-----[ \t\r]*$", re.MULTILINE)


class Content(Value):
    """Kind of a content, and the `flaw` of its form that keeps it from being used, "" for none."""

    kind: str
    flaw: str = ""


def content_of(data: bytes, wanted: str) -> Content:
    """The content, above all that of the kind `wanted`, if it has any of that."""
    data = data.removeprefix(MARK)  # which OpenSSL skips
    if data[:1] == bytes([SEQUENCE]) and (kind := _kind_of_der(data)) != UNKNOWN:
        return Content(kind, BINARY)
    if flaw := _flaw_of_encoding(data):
        return Content(UNKNOWN, flaw)
    if found := [_content_of_block(*block) for block in blocks(data)]:
        whole = len(found) == len(_BEGIN.findall(data))
        best = next((one for one in found if one.kind == wanted), found[0])
        return best if best.flaw or whole else Content(best.kind, CUT_OFF)
    text = data.lstrip()
    kind = next((kind for start, kind in BEGINNINGS if text.startswith(start)), UNKNOWN)
    return Content(kind, _flaw_of_text(data) if kind == UNKNOWN else "")


def blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Label and text of each PEM block that is whole; lines may end as on Windows."""
    return [(match[1], match[2]) for match in _BLOCK.finditer(data.removeprefix(MARK))]


def certificates_in(data: bytes) -> list[bytes]:
    """The PEM text of each certificate in a file, in its order."""
    return [
        b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % text
        for label, text in blocks(data)
        if LABELS.get(label.decode("ascii", "replace")) == CERTIFICATE
    ]


def _content_of_block(label: bytes, text: bytes) -> Content:
    name = label.decode("ascii", "replace")
    kind = LABELS.get(name, UNKNOWN)
    if kind == PRIVATE and b"ENCRYPTED" in text:  # RFC 1421, as OpenSSL wrote it before PKCS#8
        kind = LOCKED
    if kind in (CERTIFICATE, PRIVATE) and (flaw := _flaw_of_base64(text)):
        return Content(kind, flaw)
    return Content(kind)


def _flaw_of_base64(text: bytes) -> str:
    try:
        der = binascii.a2b_base64(b"".join(text.split()), strict_mode=True)
        return "" if elements(der, 1) else DAMAGED
    except ValueError:
        return DAMAGED


def _flaw_of_encoding(data: bytes) -> str:
    if not data.strip(b"\0"):
        return ZEROS if data else EMPTY
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"-\0", b"\0-")):
        return WIDE
    return "" if data.strip() else EMPTY


def _flaw_of_text(text: bytes) -> str:
    """The flaw of a text without a PEM block that is whole, "" where it has nothing of one."""
    if b"-----BEGIN " in text:
        if b"\r" in text and b"\n" not in text:
            return RETURNS
        if b"\\n" in text:
            return ESCAPED
        return CUT_OFF if _BEGIN.search(text) else INDENTED
    if b"BEGIN " in text:
        return DASHES
    return "" if _flaw_of_base64(text) else BARE


def _kind_of_der(der: bytes) -> str:
    try:
        (outer,) = elements(der, 1)
        parts = elements(outer.content, 3)
        tags = tuple(part.tag for part in parts)
        if tags == (SEQUENCE, SEQUENCE, BIT_STRING):
            inner = [part.tag for part in elements(parts[0].content, REQUEST_PARTS + 1)]
            if {UTC_TIME, GENERALIZED_TIME} & set(inner):
                return REVOKED
            return REQUEST if len(inner) <= REQUEST_PARTS else CERTIFICATE
    except ValueError:
        return UNKNOWN
    return next((kind for shape, kind in SHAPES if tags[: len(shape)] == shape), UNKNOWN)
