"""Keys of the device, and requests for certificates, by the command `openssl`.

A private key passes through pipes alone: no argument has it, and no file but our own. See
openssl-genpkey(1), openssl-pkey(1) and openssl-req(1).
"""

from __future__ import annotations

import base64
import os
import ssl
import subprocess

from agent.errors import RefusedError
from agent.identity import HardwareKeyError, unwrapped_uri
from agent.identity.hardware import run_openssl

#: Algorithm and its parameter, by the name of [provisioning] key_type.
KEY_TYPES = {
    "ec-p256": ("EC", "ec_paramgen_curve:P-256"),
    "rsa-2048": ("RSA", "rsa_keygen_bits:2048"),
}

#: The subject that AWS gives to the certificates that it makes keys for.
SUBJECT = "/CN=AWS IoT Certificate"

#: A Pi Zero may take a minute to find the primes of an RSA key.
LONGEST_S = 300.0


def new_key(key_type: str) -> str:
    """A new private key of that type, PEM (PKCS #8). Raises RefusedError without `openssl`."""
    algorithm, parameter = KEY_TYPES[key_type]
    return _openssl("genpkey", "-algorithm", algorithm, "-pkeyopt", parameter)


def public_key(key: str) -> str:
    """The public half of a private key, PEM. Raises ValueError where `key` is none."""
    return _openssl("pkey", "-pubout", given=key)


def signing_request(key: str) -> str:
    """A request for a certificate (CSR) of a private key, PEM. Raises ValueError as above."""
    whose = ("-key", "/dev/stdin", "-subj", SUBJECT)
    return _openssl("req", "-new", "-sha256", *whose, "-config", os.devnull, given=key)


def belongs(key: str, certificate: str) -> bool:
    """True if a certificate, PEM, is for that key: it has the public half in it (RFC 5280)."""
    try:
        lines = public_key(key).splitlines()
        public = base64.b64decode("".join(one for one in lines if not one.startswith("-----")))
        return public in ssl.PEM_cert_to_DER_cert(certificate)
    except ValueError:
        return False


def _openssl(*words: str, given: str = "") -> str:
    """The output of the command; `given` is its input, which may stand for a key in hardware."""
    try:
        if uri := unwrapped_uri(given.encode()):
            return run_openssl(uri, *words)
        done = subprocess.run(
            ["openssl", *words],  # noqa: S607 -- wherever the system has it
            input=given.encode(),
            capture_output=True,
            check=False,
            timeout=LONGEST_S,
        )
    except FileNotFoundError:
        raise RefusedError(
            "the command openssl is missing", hint="`sudo apt install openssl` brings it"
        ) from None
    except HardwareKeyError as error:
        raise RefusedError(error.text, hint=error.hint) from error
    if done.returncode:
        raise ValueError(f"openssl {words[0]} ended with exit code {done.returncode}")
    return done.stdout.decode("ascii")
