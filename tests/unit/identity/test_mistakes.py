"""A mistake with a certificate's files is told by what it is, and what is advised mends it."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs7, pkcs12
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import CredentialsError
from agent.identity import ROOT_CA_1, amazon_roots
from agent.identity.contents import CERTIFICATE, PRIVATE, content_of
from agent.identity.mistakes import in_pair, in_roots
from agent.identity.tls import load_pair, trust
from agent.identity.unusable import OWN, PROVISION, RootsError
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[bytes, bytes], tuple[Path, Path]]

AUTHORITY = Authority("A root")
OPEN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"secret")


class Pair(NamedTuple):
    """A key and its certificate, as objects and as texts."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    key_pem: bytes
    certificate_pem: bytes

    def private(
        self,
        form: PrivateFormat = PrivateFormat.PKCS8,
        encoding: Encoding = Encoding.PEM,
        locked: serialization.KeySerializationEncryption = OPEN,
    ) -> bytes:
        """The private key in another form."""
        return self.key.private_bytes(encoding, form, locked)

    def public(self) -> bytes:
        """The public key."""
        return self.key.public_key().public_bytes(
            Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def request(self) -> bytes:
        """A request for a certificate."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cat")])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def archive(self) -> bytes:
        """Both in PKCS#12, with an empty password."""
        return pkcs12.serialize_key_and_certificates(b"", self.key, self.certificate, None, OPEN)


def new_pair() -> Pair:
    """A key, and a certificate for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = AUTHORITY.issue_device(key.public_key()).encode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, OPEN)
    return Pair(key, x509.load_pem_x509_certificate(pem), private, pem)


PAIR, OTHER = new_pair(), new_pair()
SHOWN = PAIR.certificate_pem
CA = AUTHORITY.pem.encode()
HTML = b"<!DOCTYPE html>\n<html><body>404</body></html>"
LINES = PAIR.certificate_pem.splitlines(keepends=True)
KEY_LINES = PAIR.key_pem.splitlines(keepends=True)
DEK = PAIR.private(PrivateFormat.TraditionalOpenSSL, locked=LOCKED)
#: What AWS CLI prints.
ANSWER = (
    b'{"certificatePem": "-----BEGIN CERTIFICATE-----\\nMII...\\n-----END CERTIFICATE-----\\n"}'
)

#: Certificate, key, what is told, and of which of the two.
PAIRS: dict[str, tuple[bytes, bytes, str, str]] = {
    "swapped": (PAIR.key_pem, PAIR.certificate_pem, "are swapped", "mine.crt"),
    "public for private": (PAIR.certificate_pem, PAIR.public(), "is a public key", "mine.key"),
    "public for certificate": (PAIR.public(), PAIR.key_pem, "is a public key", "mine.crt"),
    "private for certificate": (PAIR.key_pem, PAIR.key_pem, "is a private key", "mine.crt"),
    "certificate for key": (SHOWN, SHOWN, "is a certificate", "mine.key"),
    "passphrase": (
        PAIR.certificate_pem,
        PAIR.private(locked=LOCKED),
        "is a private key with a passphrase",
        "mine.key",
    ),
    "old passphrase": (SHOWN, DEK, "is a private key with a passphrase", "mine.key"),
    "binary passphrase": (
        PAIR.certificate_pem,
        PAIR.private(encoding=Encoding.DER, locked=LOCKED),
        "is a private key with a passphrase",
        "mine.key",
    ),
    "request": (PAIR.request(), PAIR.key_pem, "is a request for a certificate", "mine.crt"),
    "binary request": (
        ssl.PEM_cert_to_DER_cert(
            PAIR.request().decode().replace("CERTIFICATE REQUEST", "CERTIFICATE")
        ),
        PAIR.key_pem,
        "is a request for a certificate",
        "mine.crt",
    ),
    "OpenSSH": (
        PAIR.certificate_pem,
        PAIR.private(PrivateFormat.OpenSSH),
        "is a private key in OpenSSH's own format",
        "mine.key",
    ),
    "OpenSSH public": (
        PAIR.certificate_pem,
        b"ecdsa-sha2-nistp256 AAAA cat@home\n",
        "is a public key of OpenSSH",
        "mine.key",
    ),
    "archive": (PAIR.archive(), PAIR.key_pem, "is a PKCS#12 archive", "mine.crt"),
    "archive for key": (PAIR.certificate_pem, PAIR.archive(), "is a PKCS#12 archive", "mine.key"),
    "bundle": (
        pkcs7.serialize_certificates([PAIR.certificate], Encoding.DER),
        PAIR.key_pem,
        "is a PKCS#7 bundle",
        "mine.crt",
    ),
    "binary certificate": (
        PAIR.certificate.public_bytes(Encoding.DER),
        PAIR.key_pem,
        "is binary (DER), not PEM text",
        "mine.crt",
    ),
    "binary key": (
        PAIR.certificate_pem,
        PAIR.private(encoding=Encoding.DER),
        "is binary (DER), not PEM text",
        "mine.key",
    ),
    "binary key of OpenSSL": (
        PAIR.certificate_pem,
        PAIR.private(PrivateFormat.TraditionalOpenSSL, Encoding.DER),
        "is binary (DER), not PEM text",
        "mine.key",
    ),
    "no end": (b"".join(LINES[:-1]), PAIR.key_pem, "is cut off", "mine.crt"),
    "no middle": (b"".join(LINES[:3] + LINES[5:]), PAIR.key_pem, "is damaged", "mine.crt"),
    "no base64": (
        PAIR.certificate_pem,
        KEY_LINES[0] + b"!" + b"".join(KEY_LINES[1:]),
        "is damaged",
        "mine.key",
    ),
    "half a chain": (PAIR.certificate_pem + CA[:300], PAIR.key_pem, "is cut off", "mine.crt"),
    "empty": (PAIR.certificate_pem, b"", "is empty", "mine.key"),
    "blank": (b" \r\n", PAIR.key_pem, "is empty", "mine.crt"),
    "zeros": (PAIR.certificate_pem, bytes(512), "holds nothing but zeros", "mine.key"),
    "web page": (b"\xef\xbb\xbf" + HTML, PAIR.key_pem, "is a web page", "mine.crt"),
    "JSON": (ANSWER, PAIR.key_pem, "is JSON", "mine.crt"),
    "prose": (PAIR.certificate_pem, b"see the safe\n", "is neither", "mine.key"),
    "UTF-16": (
        PAIR.certificate_pem.decode().encode("utf-16"),
        PAIR.key_pem,
        "is text in UTF-16",
        "mine.crt",
    ),
    "escaped": (
        PAIR.certificate_pem.replace(b"\n", b"\\n"),
        PAIR.key_pem,
        r"has \n in letters",
        "mine.crt",
    ),
    "indented": (
        b"".join(b"  " + line for line in LINES),
        PAIR.key_pem,
        "BEGIN line indented",
        "mine.crt",
    ),
    "returns": (
        PAIR.certificate_pem.replace(b"\n", b"\r"),
        PAIR.key_pem,
        "has the line ends of an old Mac",
        "mine.crt",
    ),
    "one line": (PAIR.certificate_pem.replace(b"\n", b" "), PAIR.key_pem, "indented", "mine.crt"),
    "dashes": (
        PAIR.certificate_pem.replace(b"-----", "\u2014".encode()),
        PAIR.key_pem,
        "has other dashes",
        "mine.crt",
    ),
    "bare": (b"".join(LINES[1:-1]), PAIR.key_pem, "lacks its lines", "mine.crt"),
    "authority": (
        CA,
        PAIR.key_pem,
        "is the certificate of an authority, C=US, O=Local cloud, CN=A root",
        "mine.crt",
    ),
    "Amazon's": (
        amazon_roots()[ROOT_CA_1].encode(),
        PAIR.key_pem,
        "is the certificate of an authority, C=US, O=Amazon, CN=Amazon Root CA 1",
        "mine.crt",
    ),
    "chain upside down": (
        CA + PAIR.certificate_pem,
        PAIR.key_pem,
        "has the device's certificate as number 2 of 2",
        "mine.crt",
    ),
    "foreign key": (
        PAIR.certificate_pem,
        OTHER.key_pem,
        "is not the key of mine.crt, which is CN=device-",
        "mine.key",
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> Write:
    """Writes a certificate and a key."""

    def write(certificate: bytes, key: bytes) -> tuple[Path, Path]:
        paths = tmp_path / "mine.crt", tmp_path / "mine.key"
        paths[0].write_bytes(certificate)
        paths[1].write_bytes(key)
        return paths

    return write


@pytest.mark.parametrize("name", PAIRS)
def test_a_mistake_is_told_by_what_it_is(files: Write, name: str) -> None:
    """It names the file, says what to do, and shows nothing of what is in it."""
    certificate, key, text, blamed = PAIRS[name]
    paths = files(certificate, key)
    (mistake,) = in_pair(*paths)
    assert mistake.path.name == blamed
    assert text in mistake.text
    assert mistake.hint
    for line in [*KEY_LINES[1:-1], *OTHER.key_pem.splitlines()[1:-1]]:
        assert line.strip().decode() not in f"{mistake}"


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (PAIR.certificate_pem.replace(b"\n", b"\r\n"), PAIR.key_pem.replace(b"\n", b"\r\n")),
        (b"Certificate:\n  Data: 1\n" + PAIR.certificate_pem, b"a note\n" + PAIR.key_pem),
        (PAIR.certificate_pem + CA, PAIR.private(PrivateFormat.TraditionalOpenSSL)),
        (PAIR.certificate_pem + PAIR.key_pem, PAIR.key_pem + PAIR.certificate_pem),
        (b"\xef\xbb\xbf" + PAIR.certificate_pem, b"\xef\xbb\xbf" + PAIR.key_pem),
    ],
    ids=["Windows", "text before", "chain", "both in one", "byte order mark"],
)
def test_what_works_is_no_mistake(files: Write, certificate: bytes, key: bytes) -> None:
    """Line ends of Windows, text before it, a chain with the device's first."""
    assert in_pair(*files(certificate, key)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("binary certificate", "binary key", "binary key of OpenSSL", "archive"),
        *("archive for key", "bundle", "passphrase", "old passphrase", "UTF-16", "escaped"),
    ],
)
def test_the_command_that_is_advised_mends_it(files: Write, tmp_path: Path, name: str) -> None:
    """As it stands there, with what a person types for a passphrase."""
    paths = dict(zip(("mine.crt", "mine.key"), files(*PAIRS[name][:2]), strict=True))
    (mistake,) = in_pair(*paths.values())
    (command,) = re.findall(r"`(.*)`", mistake.hint)
    word = "secret" if "passphrase" in name else ""
    if command.startswith("openssl pk"):
        asks = "-passin pass:" + word
        command += f" {asks}" if "pkcs7" not in command else ""
    before = set(tmp_path.iterdir())
    subprocess.run(["/bin/sh", "-c", command], check=True, timeout=30, capture_output=True)
    (paths[mistake.path.name],) = set(tmp_path.iterdir()) - before or {mistake.path}
    assert in_pair(*paths.values()) == []


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="there is no ssh-keygen")
def test_a_key_of_openssh_can_be_converted(files: Write) -> None:
    """By the command that is advised."""
    paths = files(*PAIRS["OpenSSH"][:2])
    paths[1].chmod(0o600)
    (command,) = re.findall(r"`(.*)`", in_pair(*paths)[0].hint)
    subprocess.run(
        ["/bin/sh", "-c", f"{command} -N ''"], check=True, timeout=30, capture_output=True
    )
    assert in_pair(*paths) == []


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x30", b"-----BEGIN ", PAIR.key_pem]))
def test_any_bytes_are_something(rest: bytes, start: bytes) -> None:
    """Nothing is raised, and no garbage is taken for what is wanted."""
    for wanted in (CERTIFICATE, PRIVATE):
        for data in (start + rest, rest + start):
            assert content_of(data, wanted).kind
    assert content_of(rest, CERTIFICATE) != (CERTIFICATE, "")


def test_both_files_may_be_wrong(files: Write) -> None:
    """Both are told at once."""
    paths = files(PAIR.request(), PAIR.public())
    assert [one.path for one in in_pair(*paths)] == list(paths)


def test_it_is_told_whose_a_foreign_key_is(files: Write, tmp_path: Path) -> None:
    """By what lies beside the two: the certificate of the key, or the key of the certificate."""
    paths = files(PAIR.certificate_pem, OTHER.key_pem)
    (tmp_path / "other.crt").write_bytes(OTHER.certificate_pem)
    (mistake,) = in_pair(*paths)
    assert mistake.text == f"does not match mine.crt: it is the key of {tmp_path / 'other.crt'}"
    (tmp_path / "other.crt").write_bytes(PAIR.key_pem)
    (mistake,) = in_pair(*paths)
    assert mistake.text == f"does not match mine.crt: {tmp_path / 'other.crt'} is its key"


def test_an_authority_is_told_from_the_devices_certificate_beside_it(
    files: Write, tmp_path: Path
) -> None:
    """The right file is named."""
    paths = files(CA, PAIR.key_pem)
    (tmp_path / "right.crt").write_bytes(PAIR.certificate_pem)
    assert in_pair(*paths)[0].hint == f"name {tmp_path / 'right.crt'}"


def test_an_error_advises_where_a_person_made_the_files(files: Write) -> None:
    """Files that the agent made are made anew."""
    paths = files(PAIR.certificate_pem, PAIR.public())
    for hint in (OWN, PROVISION):
        with pytest.raises(CredentialsError, match=f"{paths[1]}: is a public key") as caught:
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), *paths, hint=hint)
        assert caught.value.hint.endswith(hint)
        assert ("the private key is needed" in caught.value.hint) == (hint == OWN)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PAIR.certificate_pem, "has no certificate of an authority: CN=device-"),
        (PAIR.key_pem, "is a private key"),
        (AUTHORITY.pem.encode("utf-16"), "is text in UTF-16"),
        (ssl.PEM_cert_to_DER_cert(AUTHORITY.pem), "is binary (DER)"),
        (CA[:400], "is cut off"),
        (HTML, "is a web page"),
        (b"", "is empty"),
    ],
    ids=["the device's", "key", "UTF-16", "DER", "cut off", "web page", "empty"],
)
def test_a_mistake_with_roots_is_told(tmp_path: Path, content: bytes, text: str) -> None:
    """With its file and what to do."""
    (path := tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(RootsError, match=f"{path}: ") as caught:
        trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
    assert text in caught.value.text
    assert caught.value.hint.endswith("ca_file of [mqtt]")
    assert in_roots(path)


def test_a_certificate_that_vouches_for_itself_may_be_a_root(tmp_path: Path) -> None:
    """As that of a small broker at home."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    own = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(PAIR.certificate.not_valid_before_utc)
        .not_valid_after(PAIR.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (path := tmp_path / "ca.pem").write_bytes(own.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context, path)
    assert context.cert_store_stats()["x509"] == 1
