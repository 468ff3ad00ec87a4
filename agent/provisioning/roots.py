"""Roots of Amazon, from the system, else from the internet; checked by pins either way."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException

from agent.errors import TransientCloudError
from agent.identity import AMAZON_ROOTS, ROOT_CA_1, SYSTEM_BUNDLES, amazon_roots, certificates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

URL = "https://www.amazontrust.com/repository/AmazonRootCA1.pem"
TIMEOUT_S = 15
LONGEST = 65536


def fetch(bundles: Iterable[Path] = SYSTEM_BUNDLES, *, url: str = URL) -> Mapping[str, str]:
    """File name and PEM text of the roots, at least of root 1. Raises TransientCloudError."""
    found = amazon_roots(bundles)
    return found if ROOT_CA_1 in found else {**found, ROOT_CA_1: _download(url)}


def _download(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 -- a constant, https
            text = answer.read(LONGEST).decode("ascii", "replace")
    except (OSError, HTTPException) as error:
        raise TransientCloudError(
            f"{url}: cannot be downloaded ({type(error).__name__})",
            hint="or install the package ca-certificates",
        ) from error
    for pem, fingerprint in certificates(text):
        if fingerprint == AMAZON_ROOTS[ROOT_CA_1]:
            return pem
    raise TransientCloudError(
        f"{url}: not the certificate that it should be",
        hint="a login page may stand before the internet; or install the package ca-certificates",
    )
