"""A certificate's dates, key and names are read without OpenSSL, and as cryptography reads them."""

from __future__ import annotations

import base64
import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from agent.identity import amazon_roots, decode_certificate

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

KEYS: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey] = {
    "EC P-256": ec.generate_private_key(ec.SECP256R1()),
    "EC P-384": ec.generate_private_key(ec.SECP384R1()),
    "EC of another curve": ec.generate_private_key(ec.SECP256K1()),
    "RSA 2048": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
#: Any second of the years 1950 to 9999.
MOMENTS = st.integers(-631152000, 253402300799).map(lambda s: EPOCH + dt.timedelta(seconds=s))


def signed(
    key: str,
    name: str,
    before: dt.datetime,
    after: dt.datetime,
) -> str:
    """A certificate in PEM, as an authority of our own issues it."""
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "An authority")])
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "of no interest"),
        ]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(KEYS[key].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(before)
        .not_valid_after(after)
        .sign(KEYS["EC P-256"], hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@given(
    key=st.sampled_from(sorted(KEYS)),
    name=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=64),
    moments=st.tuples(MOMENTS, MOMENTS).map(sorted),
)
def test_what_was_signed_is_read(key: str, name: str, moments: list[dt.datetime]) -> None:
    """Of any year, kind of key and name, with whatever stands around it in the file."""
    pem = signed(key, name, *moments)
    found = decode_certificate(f"é {pem}{signed('Ed25519', 'the next', *moments)}")
    assert [found.not_before_s, found.not_after_s] == [
        (moment - EPOCH).total_seconds() for moment in moments
    ]
    assert found.key == key
    assert found.subject == f"CN={name}"
    assert found.issuer == "O=An authority"


@pytest.mark.parametrize("label", ["X509 ", "TRUSTED "])
def test_openssl_has_two_other_forms_of_the_same(label: str) -> None:
    """The second may have more behind the certificate."""
    pem = signed("RSA 2048", "old", EPOCH, EPOCH)
    other = armoured(ssl.PEM_cert_to_DER_cert(pem) + b"\x30\x00")
    assert decode_certificate(other.replace("CERT", f"{label}CERT")) == decode_certificate(pem)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # Starfield's is 0
@pytest.mark.parametrize("pem", amazon_roots().values())
def test_real_certificates_are_read(pem: str) -> None:
    """Amazon's own roots, of RSA and EC."""
    found, real = decode_certificate(pem), x509.load_pem_x509_certificate(pem.encode())
    public = real.public_key()
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    assert found.key.rpartition(" ")[2].removeprefix("P-") == str(public.key_size)
    (name,) = real.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert found.subject.endswith(f"CN={name.value!s}")


DER = ssl.PEM_cert_to_DER_cert(signed("RSA 2048", "spoiled", EPOCH, EPOCH + dt.timedelta(days=1)))


def armoured(der: bytes) -> str:
    """DER in PEM."""
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def read_or_refuse(pem: str) -> None:
    """Have the facts, or a ValueError, and nothing else."""
    try:
        decode_certificate(pem)
    except ValueError:
        return


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_spoiled_byte_is_a_value_error_or_another_certificate(at: int, byte: int) -> None:
    """Wherever it stands."""
    read_or_refuse(armoured(DER[:at] + bytes([byte]) + DER[at + 1 :]))


@given(st.integers(0, 400))
def test_a_certificate_that_is_cut_off_is_a_value_error(length: int) -> None:
    """However little of it is there."""
    with pytest.raises(ValueError, match=r"."):
        decode_certificate(armoured(DER[:length]))


@given(st.binary() | st.text())
@example(b"\x30\x02\x30\x00")
def test_garbage_is_a_value_error(garbage: bytes | str) -> None:
    """Whether it looks like a file of certificates or not."""
    text = garbage if isinstance(garbage, str) else armoured(garbage)
    with pytest.raises(ValueError, match=r"."):
        decode_certificate(text)
    with pytest.raises(ValueError, match=r"."):
        decode_certificate(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")


def test_a_name_cannot_write_to_a_terminal() -> None:
    """Its control characters are replaced."""
    pem = signed("Ed25519", "a\x1b[2Jb", EPOCH, EPOCH)
    assert decode_certificate(pem).subject == "CN=a\ufffd[2Jb"
