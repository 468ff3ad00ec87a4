"""Roots that a device trusts: Amazon's, known by their fingerprints."""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


#: The roots that AWS asks devices to trust ("Server authentication", AWS IoT developer guide): file
#: name and SHA-256 of the DER. The first is the tutorial's, the last a cross-signer of the others.
AMAZON_ROOTS = {
    "AmazonRootCA1.pem": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "AmazonRootCA2.pem": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "AmazonRootCA3.pem": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "AmazonRootCA4.pem": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "StarfieldServicesRootCertificateAuthority-G2.pem": (
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5"
    ),
}
ROOT_CA_1 = "AmazonRootCA1.pem"

#: Files of the roots that a system trusts: Debian's, then the one that OpenSSL was built with.
SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/cert.pem"),
)

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def amazon_roots(bundles: Iterable[Path] = SYSTEM_BUNDLES) -> dict[str, str]:
    """The pinned Amazon roots found in the system's bundles: file name to PEM text."""
    by_fingerprint = {fingerprint: name for name, fingerprint in AMAZON_ROOTS.items()}
    found = {}
    for bundle in bundles:
        try:
            text = bundle.read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        for pem, fingerprint in certificates(text):
            if fingerprint in by_fingerprint:
                found[by_fingerprint[fingerprint]] = pem
    return found


def pinned(text: str) -> str:
    """The certificates in a PEM text, all of them Amazon's. Raises ValueError if one is not."""
    found = list(certificates(text))
    whole = len(found) == text.count("-----BEGIN ") > 0
    if not whole or not {one for _, one in found} <= set(AMAZON_ROOTS.values()):
        raise ValueError("not the Amazon root that it should be")
    return "".join(pem for pem, _ in found)


def certificates(text: str) -> Iterator[tuple[str, str]]:
    """Each certificate in a PEM text with the SHA-256 of its DER (AWS's certificate id), in hex."""
    for match in CERTIFICATE.finditer(text):
        try:
            der = ssl.PEM_cert_to_DER_cert(match[0])
        except ValueError:
            continue
        yield match[0] + "\n", hashlib.sha256(der).hexdigest()
