"""Keys of the device, and requests for certificates, by the command `openssl`.

A private key passes through pipes alone: no argument has it, and no file but our own. Where the
command fails, that is TransientCloudError: memory may be short. See openssl-genpkey(1),
openssl-pkey(1) and openssl-req(1).
"""

from __future__ import annotations

import base64
import os
import signal
import ssl
import subprocess

from agent.errors import RefusedError, TransientCloudError
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

#: So much of its last line is shown.
SHOWN = 120

HINT = "memory may be short (see `journalctl -k`), or the package openssl damaged"


class SpoiledKeyError(TransientCloudError, ValueError):
    """A text that should be a private key, and that `openssl` cannot use."""


def new_key(key_type: str) -> str:
    """A new private key of that type, PEM (PKCS #8). Raises RefusedError without `openssl`."""
    algorithm, parameter = KEY_TYPES[key_type]
    return _openssl("genpkey", "-algorithm", algorithm, "-pkeyopt", parameter)


def public_key(key: str) -> str:
    """The public half of a private key, PEM. Raises SpoiledKeyError where `key` is none."""
    return _openssl("pkey", "-pubout", given=key)


def signing_request(key: str) -> str:
    """A request for a certificate (CSR) of a private key, PEM. Raises as above."""
    whose = ("-key", "/proc/self/fd/0", "-subj", SUBJECT)
    return _openssl("req", "-new", "-sha256", *whose, "-config", os.devnull, given=key)


def belongs(key: str, certificate: str) -> bool:
    """True if a certificate, PEM, is for that key: it has the public half in it (RFC 5280)."""
    try:
        lines = public_key(key).splitlines()
        public = base64.b64decode("".join(one for one in lines if not one.startswith("-----")))
        return public in ssl.PEM_cert_to_DER_cert(certificate)
    except ValueError:
        return False


def _openssl(*words: str, given: str | None = None) -> str:
    """The output of the command; `given` is its input, which may stand for a key in hardware."""
    pem = (given or "").encode()
    try:
        if uri := unwrapped_uri(pem):
            return run_openssl(uri, *words)
        done = subprocess.run(
            ["openssl", *words],  # noqa: S607 -- wherever the system has it
            input=pem,
            capture_output=True,
            check=False,
            timeout=LONGEST_S,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
    except FileNotFoundError:
        raise RefusedError(
            "the command openssl is missing", hint="`sudo apt install openssl` brings it"
        ) from None
    except HardwareKeyError as error:
        raise RefusedError(error.text, hint=error.hint) from error
    except subprocess.TimeoutExpired:
        told = f"openssl {words[0]} has not ended for {LONGEST_S:.0f} s"
        raise TransientCloudError(told, hint=HINT) from None
    except OSError as error:
        raise TransientCloudError(f"openssl: {error.strerror}", hint=HINT) from error
    if done.returncode:
        raise _failure(words[0], done, TransientCloudError if given is None else SpoiledKeyError)
    return done.stdout.decode("ascii")


def _failure(
    what: str, done: subprocess.CompletedProcess[bytes], kind: type[TransientCloudError]
) -> TransientCloudError:
    """The failure of the command, with its last line, which quotes no key."""
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return TransientCloudError(f"openssl {what} was ended by {name}", hint=HINT)
    text = f"openssl {what} ended with exit code {done.returncode}"
    if lines := done.stderr.decode("ascii", "replace").split("\n")[-2:-1]:
        text += f": {lines[0][-SHOWN:].strip()}"
    return kind(text, hint=HINT)
