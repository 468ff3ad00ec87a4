"""Claim as a person gives it: files as AWS's console and command line make them, by any names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from agent import files
from agent.errors import ConfigError
from agent.identity import certificates, decode_certificate
from agent.provisioning import openssl

if TYPE_CHECKING:
    from pathlib import Path

#: More files, and larger ones, are not looked into.
MOST_FILES = 100
LONGEST = 65536

#: A claim that ends so soon after its begin is a temporary one.
TEMPORARY_S = 3600.0

PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----[^-]+-----END \1-----", re.DOTALL
)
LOCKED = "ENCRYPTED PRIVATE KEY"
HINT = (
    "give a directory with the certificate and the private key of one claim, as PEM files, or with"
    " what `aws iot create-provisioning-claim` printed"
)


@dataclass(frozen=True, slots=True)
class ClaimGiven:
    """A claim's certificate and key (PEM); whether it lives for minutes. The repr has no key."""

    certificate: str
    key: str = field(repr=False)
    temporary: bool


def read(path: Path) -> ClaimGiven:
    """The one claim in a directory, or in a file. Raises ConfigError, OSError."""
    texts = [_text(one) for one in _files(path)]
    keys = {f"{match[0]}\n": None for text in texts for match in PRIVATE_KEY.finditer(text)}
    pems = {pem: None for text in texts for pem, _ in certificates(text)}
    pairs = [(pem, key) for pem, key in product(pems, keys) if openssl.belongs(key, pem)]
    if len(pairs) == 1:
        ((certificate, key),) = pairs
        printed = any(key in text and '"expiration"' in text for text in texts)
        return ClaimGiven(certificate, key, printed or _is_short(certificate))
    if pairs:
        raise ConfigError([f"{path}: has {len(pairs)} claims"], hint="leave one of them there")
    if any(LOCKED in text for text in texts):
        raise ConfigError(
            [f"{path}: the private key has a passphrase, which nobody can type in at a start"],
            hint="take it away: `openssl pkey -in KEY -out NEW-KEY`",
        )
    counts = f"{len(pems)} certificates and {len(keys)} private keys"
    raise ConfigError([f"{path}: has no claim: of {counts}, none go together"], hint=HINT)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.is_file())
    if len(found) > MOST_FILES:
        raise ConfigError([f"{path}: has {len(found)} files"], hint=HINT)
    return [one for one in found if one.stat().st_size <= LONGEST]


def _text(path: Path) -> str:
    """The text of a file; of AWS's JSON, with its line ends as they are meant."""
    text = files.read(path, limit=LONGEST, follow=True).decode("utf-8-sig", "replace")
    try:
        found = json.loads(text)
        pair = [found["certificatePem"], found["keyPair"]["PrivateKey"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return text.replace("\r\n", "\n")
    kept = ['"expiration"'] if "expiration" in found else []
    return "\n".join([*map(str, pair), *kept])


def _is_short(certificate: str) -> bool:
    """True for a certificate that was made for minutes."""
    try:
        dates = decode_certificate(certificate)
    except ValueError as error:
        raise ConfigError([f"the claim's certificate: {error}"], hint=HINT) from None
    return dates.not_after_s - dates.not_before_s <= TEMPORARY_S
