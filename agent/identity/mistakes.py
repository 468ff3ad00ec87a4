"""Mistakes with the files of a certificate, told by what they are; loaded only where there is one.

A pair that OpenSSL refuses is looked at here, and a file of roots. Nothing of a key is ever shown.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from agent import files
from agent.identity import contents
from agent.identity.contents import CERTIFICATE, PRIVATE, Content, certificates_in, content_of
from agent.identity.wrapping import unwrapped_uri
from agent.identity.x509 import decode_certificate
from agent.model import KIB
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Words of what is needed instead.
NEEDED = {
    CERTIFICATE: "the certificate is needed, a text that begins with -----BEGIN CERTIFICATE-----",
    PRIVATE: "the private key is needed, a text that begins with -----BEGIN PRIVATE KEY----- "
    "(or RSA or EC PRIVATE KEY)",
}

#: What to do about a form, and about a kind where another is wanted; {0} is the
#: file, quoted, {1} says that it is binary.
FORMS = {
    contents.WIDE: "`iconv -f UTF-16 -t ASCII {0} -o {0}.pem` converts it",
    contents.ESCAPED: "`printf '%b' \"$(cat {0})\" > {0}.pem` converts it",
    contents.RETURNS: "`tr '\\r' '\\n' < {0} > {0}.pem` converts it",
    contents.INDENTED: "-----BEGIN and -----END stand on lines of their own, from the first column",
    contents.CUT_OFF: "copy it anew, to its last line",
    contents.DAMAGED: "copy it anew, and change nothing in it",
}
KINDS = {
    (contents.LOCKED, PRIVATE): "nobody is there to type it: `openssl pkey -in {0} -out {0}.open` "
    "writes the key without it",
    (contents.OPENSSH, PRIVATE): "if it is the certificate's, `ssh-keygen -p -m PEM -f {0}` "
    "converts it",
    (contents.ARCHIVE, PRIVATE): "`openssl pkcs12 -in {0} -nocerts -noenc -out {0}.key` takes the "
    "key out",
    (contents.ARCHIVE, CERTIFICATE): "`openssl pkcs12 -in {0} -clcerts -nokeys -out {0}.crt` takes "
    "the certificate out",
    (
        contents.BUNDLE,
        CERTIFICATE,
    ): "`openssl pkcs7 {1}-in {0} -print_certs -out {0}.pem` takes the certificates out",
    (contents.JSON_TEXT, PRIVATE): "of what the AWS CLI answers, PrivateKey alone belongs here: "
    "--private-key-outfile writes it",
    (contents.JSON_TEXT, CERTIFICATE): "of what the AWS CLI answers, certificatePem alone belongs "
    "here: --certificate-pem-outfile writes it",
    (CERTIFICATE, CERTIFICATE): "`openssl x509 -inform DER -in {0} -out {0}.pem` converts it",
    (PRIVATE, PRIVATE): "`openssl pkey -inform DER -in {0} -out {0}.pem` converts it",
}

#: OpenSSL's reasons where the two are sound and not of one pair; the last where their kinds differ.
FOREIGN = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")

#: OpenSSL's reason for RSA keys that it takes for broken, and what to do.
SHORT = "EE_KEY_TOO_SMALL"
LONGER = "make a key of EC P-256 or RSA 2048, and have a certificate made for it"

#: Files beside the two that are looked at for whose they are: so many, and so large.
BESIDE_MAX = 100
SIZE_MAX = 64 * KIB


class Mistake(Value):
    """Mistake with a file: its path, what is wrong, and what to do."""

    path: Path
    text: str
    hint: str


def in_pair(certificate: Path, key: Path) -> list[Mistake]:
    """The mistakes with a certificate and its key, none if they can be used together.

    A key that a PEM text stands for, and that is elsewhere, is not asked for. May take the time
    that some dozens of small files take. Raises OSError for one that is no file, is very large, or
    may not be read.
    """
    shown, secret = files.read(certificate, follow=True), files.read(key, follow=True)
    try:
        refused = "" if unwrapped_uri(secret) else _refusal(certificate, key)
    except ValueError as error:
        text = f"stands for a key in hardware, and is spoiled: it {error}"
        return [Mistake(key, text, "write the key's URI itself as key_file")]
    return _reasons(certificate, shown, key, secret, refused) if refused else []


def _reasons(
    certificate: Path, shown: bytes, key: Path, secret: bytes, refused: str
) -> list[Mistake]:
    """The mistakes with a pair that OpenSSL has `refused` with that reason."""
    kinds = content_of(shown, CERTIFICATE).kind, content_of(secret, PRIVATE).kind
    if kinds == (PRIVATE, CERTIFICATE):
        text = f"is the private key, and {key.name} the certificate: the two are swapped"
        return [Mistake(certificate, text, "exchange the two names")]
    both = ((certificate, shown, CERTIFICATE), (key, secret, PRIVATE))
    if found := [wrong for one in both if (wrong := _wrong(*one))]:
        return found
    if refused in FOREIGN:
        return [_foreign(certificate, shown, key)]
    if refused == SHORT:
        kind = decode_certificate(shown.decode("ascii", "replace")).key
        return [Mistake(certificate, f"is for a key that is too short: {kind}", LONGER)]
    words = refused.replace("_", " ").lower()
    return [Mistake(certificate, f"not usable with {key.name}: {words}", "")]


def with_pair(certificate: Path, key: Path, advice: str) -> tuple[str, str]:
    """The mistakes with a pair that was refused, in one text, and what to do before `advice`.

    Nothing to do where there is no `advice`: the files are not of a person's making.
    """
    try:
        found = in_pair(certificate, key)
    except OSError as error:
        found = [Mistake(Path(error.filename or certificate), error.strerror or str(error), "")]
    texts = [f"{one.path}: {one.text}" for one in found]
    hints = [one.hint for one in found if one.hint] if advice else []
    changed = f"{certificate} and {key.name} were changed just now"
    return "; ".join(texts) or changed, "; ".join([*hints, advice])


def in_roots(path: Path) -> Mistake | None:
    """The mistake with a file of trusted roots; None if none is known. Raises OSError."""
    data = files.read(path, follow=True)
    if wrong := _wrong(path, data, CERTIFICATE):
        return wrong
    if any(_is_authority(one) or _is_by_itself(one) for one in certificates_in(data)):
        return None
    text = f"has no certificate of an authority: {_whose(data)} can vouch for nobody"
    return Mistake(path, text, "name the certificate of the authority that signed the broker's")


def _wrong(path: Path, data: bytes, wanted: str) -> Mistake | None:
    """The mistake with what a file holds; None if it holds what is `wanted`, as it should."""
    found = content_of(data, wanted)
    if found == Content(wanted, ""):
        return None
    told = found.flaw if found.kind in (wanted, contents.UNKNOWN) else ""
    remedy = FORMS.get(told) or KINDS.get((found.kind, wanted)) or NEEDED[wanted]
    binary = "-inform DER " if found.flaw == contents.BINARY else ""
    return Mistake(path, told or f"is {found.kind}", remedy.format(quote(str(path)), binary))


def _foreign(certificate: Path, shown: bytes, key: Path) -> Mistake:
    """The mistake of two that are sound, and no pair."""
    first, *others = certificates_in(shown)
    for number, one in enumerate(others, 2):
        with _in_memory(one) as file:
            if _is_pair(file, key):
                text = f"has the device's certificate as number {number} of {len(others) + 1}"
                return Mistake(certificate, text, "put it first; those of authorities come behind")
    beside = _partner(key, certificate)
    if _is_authority(first):
        text = f"is the certificate of an authority, {_whose(shown)}, not the device's"
        return Mistake(certificate, text, f"name {beside}" if beside else NEEDED[CERTIFICATE])
    if beside:
        text = f"does not match {certificate.name}: it is the key of {beside}"
        return Mistake(key, text, "name a certificate and the key that was made for it")
    if beside := _partner(certificate, key):
        text = f"does not match {certificate.name}: {beside} is its key"
        return Mistake(key, text, f"name {beside}")
    text = f"is not the key of {certificate.name}, which is {_whose(shown)}"
    return Mistake(key, text, "name a certificate and the key that was made for it")


def _partner(one: Path, refused: Path) -> Path | None:
    """The file beside the two, other than `refused`, that is a pair with `one`, if any is."""
    for path in _beside(one, refused):
        if _is_pair(path, one) or _is_pair(one, path):
            return path
    return None


def _beside(*paths: Path) -> Iterator[Path]:
    """The small files in the directories of `paths`, but for these."""
    for directory in dict.fromkeys(path.parent for path in paths):
        with suppress(OSError):
            for path in sorted(directory.iterdir())[:BESIDE_MAX]:
                if path not in paths and path.is_file() and path.stat().st_size <= SIZE_MAX:
                    yield path


def _is_pair(certificate: Path, key: Path) -> bool:
    return not _refusal(certificate, key)


def _refusal(certificate: Path, key: Path) -> str:
    """The reason why OpenSSL refuses a pair; "" where it does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # An encrypted key would have OpenSSL ask at the terminal; no password is an error instead.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        return error.reason or "not in PEM format"
    except (OSError, ValueError) as error:
        return str(error)
    return ""


@contextmanager
def _in_memory(pem: bytes) -> Iterator[Path]:
    """The path of a file that lies in memory alone, for OpenSSL to open."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, pem)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _is_authority(pem: bytes) -> bool:
    """True for the certificate of an authority, as OpenSSL judges it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
    except (OSError, ValueError):
        return False
    return context.cert_store_stats()["x509_ca"] > 0


def _is_by_itself(pem: bytes) -> bool:
    """True for a certificate that vouches for itself, as a small broker's may."""
    try:
        found = decode_certificate(pem.decode("ascii", "replace"))
    except ValueError:
        return False
    return found.subject == found.issuer


def _whose(data: bytes) -> str:
    """Words for whose the first certificate is."""
    try:
        found = decode_certificate(data.decode("ascii", "replace"))
    except ValueError:
        return "a certificate that cannot be read"
    return found.subject or "without a name"
