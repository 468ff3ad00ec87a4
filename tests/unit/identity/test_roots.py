"""The roots that a device trusts are known by their fingerprints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.identity import AMAZON_ROOTS, ROOT_CA_1, amazon_roots, certificates
from tests.tools.cloud.authority import Authority, certificate_id

if TYPE_CHECKING:
    from pathlib import Path

AUTHORITY = Authority("A root")


def test_amazon_roots_are_found_by_fingerprint(tmp_path: Path) -> None:
    """Whatever else a bundle holds, and however it is broken, only the pinned ones are taken."""
    real = amazon_roots()
    assert ROOT_CA_1 in real
    assert real.keys() <= AMAZON_ROOTS.keys()
    bundle = tmp_path / "bundle.crt"
    broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"
    bundle.write_text(f"# a comment é\n{AUTHORITY.pem}{broken}{real[ROOT_CA_1]}")
    assert amazon_roots([tmp_path / "missing", bundle]) == {ROOT_CA_1: real[ROOT_CA_1]}
    assert amazon_roots([]) == {}


def test_a_certificates_fingerprint_is_its_id_at_aws() -> None:
    """SHA-256 of the DER."""
    ((_, fingerprint),) = certificates(AUTHORITY.pem)
    assert fingerprint == certificate_id(AUTHORITY.pem)
