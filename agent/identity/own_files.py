"""Files of the owner's: what is wrong with those of [mqtt], or open to all. No daemon needs it."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress

from agent import files
from agent.config import KeyUri
from agent.errors import CredentialsError
from agent.identity.key_mode import closing, whom
from agent.identity.tls import load_pair, trust
from agent.identity.unusable import OWN, ROOTS, ForbiddenCredentialsError, unusable
from agent.identity.wrapping import unwrapped_uri
from agent.identity.x509 import CURVES, decode_certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

#: Keys that AWS IoT takes ("X.509 client certificates", AWS IoT developer guide).
RSA_MIN = 2048
TAKEN = f"RSA of {RSA_MIN} bits or more, and EC P-256, P-384 and P-521"


def mqtt_problems(config: Config) -> list[str]:
    """The problems with the files that [mqtt] names, each begun with its key.

    A file that this user may not read is none: it is the agent's user who must.
    """
    mqtt = config.mqtt
    problems = []
    if mqtt.ca_file:
        try:
            trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), mqtt.ca_file)
        except ForbiddenCredentialsError:
            pass
        except CredentialsError as error:
            advice = error.hint.removesuffix(ROOTS).removesuffix("; ")
            problems.append(f"mqtt.ca_file: {error}" + (f"; {advice}" if advice else ""))
    if isinstance(mqtt.key_file, KeyUri):
        problems += _hardware_problems("mqtt.key_file", mqtt.key_file, mqtt.cert_file)
    elif mqtt.cert_file and mqtt.key_file:
        problems += pair_problems("mqtt", cert_file=mqtt.cert_file, key_file=mqtt.key_file)
    return problems


def _hardware_problems(name: str, key: KeyUri, certificate: Path | None) -> list[str]:
    """The problem with a key in hardware, and with the certificate that it is to go with.

    `name` is the key of the configuration that names it.
    """
    try:
        check_token(key)
        if certificate:
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key, hint=OWN)
    except ForbiddenCredentialsError:
        pass
    except CredentialsError as error:
        return [f"{name}: {error.text}; {error.hint}"]
    return []


def check_token(key: Path | KeyUri | None) -> None:
    """Raise CredentialsError if it is a key in hardware whose token cannot be used."""
    if isinstance(key, KeyUri):
        from agent.identity import hardware  # noqa: PLC0415 -- few have such a key

        hardware.reach(key)


def pair_problems(table: str, **paths: Path) -> list[str]:
    """The problems with a certificate and its key, named by the keys of `table` in this order."""
    problems, content = [], b""
    for name, path in paths.items():
        try:
            content = files.read(path, follow=True)
        except OSError as error:
            told = unusable(path, error, hint="")
            if isinstance(told, ForbiddenCredentialsError):
                return []
            advice = f"; {told.hint}" if told.hint else ""
            problems.append(f"{table}.{name}: {told}{advice}")
    if problems:
        return problems
    with suppress(ValueError):  # which is told below
        if uri := unwrapped_uri(content):
            return _hardware_problems(f"{table}.{name}", uri, next(iter(paths.values())))
    from agent.identity.mistakes import in_pair  # noqa: PLC0415 -- no daemon needs it

    names = {path: name for name, path in paths.items()}
    return [
        f"{table}.{names[one.path]}: {one.path}: {one.text}" + (f"; {one.hint}" if one.hint else "")
        for one in in_pair(*paths.values())
    ]


def mqtt_warnings(config: Config, *, now_s: float) -> list[str]:
    """Warnings of the files that [mqtt] names, which stop nothing: dates, and a key that is open.

    `now_s` is the wall clock's time, which may be wrong.
    """
    cert_file, key_file = config.mqtt.cert_file, config.mqtt.key_file
    if not (cert_file and key_file):
        return []
    told = []
    with suppress(OSError, ValueError):
        found = decode_certificate(files.read(cert_file, follow=True).decode("ascii", "replace"))
        clock = f"by this machine's clock, {_day(now_s)}"
        if now_s >= found.not_after_s:
            told.append(f"mqtt.cert_file: {cert_file}: ended on {_day(found.not_after_s)} {clock}")
        elif now_s < found.not_before_s:
            told.append(
                f"mqtt.cert_file: {cert_file}: begins on {_day(found.not_before_s)} {clock}"
            )
        if not _is_taken(found.key):
            text = f"is for a key {found.key}; AWS IoT takes {TAKEN}"
            told.append(f"mqtt.cert_file: {cert_file}: {text}")
    if not isinstance(key_file, KeyUri) and whom(key_file):
        text = f"other users can read this private key: `{closing(key_file)}` closes it"
        told.append(f"mqtt.key_file: {key_file}: {text}")
    return told


def _is_taken(key: str) -> bool:
    """True if AWS IoT takes such a key, as `x509.Certificate` has it."""
    kind, _, size = key.partition(" ")
    return size in CURVES.values() if kind == "EC" else kind == "RSA" and int(size) >= RSA_MIN


def _day(time_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time_s))
