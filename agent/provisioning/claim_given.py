"""Claim as a person gives it: files as AWS's console and command line make them, by any names."""

from __future__ import annotations

import codecs
import json
import re
import stat
from contextlib import suppress

from agent import files
from agent.errors import ConfigError
from agent.identity import certificates, decode_certificate
from agent.provisioning import openssl
from agent.value import Value, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

#: More files, and larger ones, are not looked into; more of what is in them is no claim.
MOST_FILES = 100
LONGEST = 65536
MOST_FOUND = 10

#: What stands for the date in AWS's JSON of a temporary claim.
EXPIRES = '"expiration"'

#: A claim that ends so soon after its begin is a temporary one.
TEMPORARY_S = 3600.0

PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----[^-]+-----END \1-----", re.DOTALL
)
LOCKED = re.compile(r"ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
YAML = re.compile(r"^certificatePem:", re.MULTILINE)
HINT = (
    "give a directory with the certificate and the private key of one claim, as PEM files, or with"
    " what `aws iot create-provisioning-claim` printed"
)


class ClaimGiven(Value):
    """A claim's certificate and key (PEM); whether it lives for minutes. The repr has no key."""

    certificate: str
    key: str = field(secret=True)
    temporary: bool


def read(path: Path, *, owners: Container[int] | None = None) -> ClaimGiven:
    """The one claim in a directory, or in a file. Raises ConfigError, OSError.

    No link in it is followed. With `owners` (numbers of users), what anybody else owns is not read
    either, nor a file that has other names: root reads what it is led to, and hands it on.
    """
    texts, passed_over = _texts(path, owners)
    keys = {f"{match[0]}\n": None for text in texts for match in PRIVATE_KEY.finditer(text)}
    pems = {pem: None for text in texts for pem, _ in certificates(text)}
    counts = f"{len(pems)} certificates and {len(keys)} private keys"
    if max(len(keys), len(pems)) > MOST_FOUND:
        raise ConfigError([f"{path}: has {counts}"], hint=HINT)
    pairs = [(pem, key) for key in keys for pem in pems if openssl.belongs(key, pem)]
    if len(pairs) == 1:
        ((certificate, key),) = pairs
        printed = any(key in text and EXPIRES in text for text in texts)
        return ClaimGiven(certificate, key, printed or _is_short(certificate))
    if pairs:
        raise ConfigError([f"{path}: has {len(pairs)} claims"], hint="leave one of them there")
    if any(LOCKED.search(text) for text in texts):
        raise ConfigError(
            [f"{path}: the private key has a passphrase, which nobody can type in at a start"],
            hint="take it away: `openssl pkey -in KEY -out NEW-KEY`",
        )
    if any(YAML.search(text) for text in texts):
        raise ConfigError(
            [f"{path}: has what AWS printed as YAML"], hint="print it with `--output json`"
        )
    more = f"; not read: {', '.join(passed_over)}" if passed_over else ""
    raise ConfigError([f"{path}: has no claim: of {counts}, none go together{more}"], hint=HINT)


def _texts(path: Path, owners: Container[int] | None) -> tuple[list[str], list[str]]:
    """The texts in a directory, or in a file; and what was passed over there, with the reason."""
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    if len(found) > MOST_FILES:
        raise ConfigError([f"{path}: has {len(found)} files"], hint=HINT)
    texts, passed_over = [], []
    for one in found:
        about = one.stat(follow_symlinks=False)
        if stat.S_ISLNK(about.st_mode):
            passed_over.append(f"{one.name} (a link)")
        elif owners is not None and (about.st_uid not in owners or about.st_nlink > 1):
            passed_over.append(f"{one.name} (others may have put it there)")
        elif stat.S_ISREG(about.st_mode) and about.st_size <= LONGEST:
            texts.append(_text(files.read(one, limit=LONGEST)))
    return texts, passed_over


def _text(data: bytes) -> str:
    """The text of a file; of AWS's JSON, with its line ends as they are meant."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes
    text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        found = json.loads(text)
        pair = [str(found["certificatePem"]), str(found["keyPair"]["PrivateKey"])]
        text = "\n".join([*pair, EXPIRES if "expiration" in found else ""])
    return text.replace("\r\n", "\n")


def _is_short(certificate: str) -> bool:
    """True for a certificate that was made for minutes."""
    try:
        dates = decode_certificate(certificate)
    except ValueError as error:
        raise ConfigError([f"the claim's certificate: {error}"], hint=HINT) from None
    return dates.not_after_s - dates.not_before_s <= TEMPORARY_S
