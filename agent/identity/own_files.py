"""Files of the owner's: what is wrong with those of [mqtt]; a private key that is open to all."""

from __future__ import annotations

import os
import ssl
import stat
from typing import TYPE_CHECKING

from agent import files
from agent.errors import CredentialsError
from agent.identity.credentials import (
    OWN,
    ForbiddenCredentialsError,
    check_readable,
    load_pair,
    trust,
)

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config


def mqtt_problems(config: Config) -> list[str]:
    """The problems with the files that [mqtt] names, each begun with its key.

    A file that this user may not read is none: it is the agent's user who must.
    """
    mqtt = config.mqtt
    problems = []
    for key in ("ca_file", "cert_file", "key_file"):
        path: Path | None = getattr(mqtt, key)
        if path is None:
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            check_readable(path, hint=OWN)
            if key == "ca_file":
                trust(context, path)
            elif key == "key_file" and mqtt.cert_file and mqtt.cert_file.is_file():
                load_pair(context, mqtt.cert_file, path, hint=OWN)
        except ForbiddenCredentialsError:
            continue
        except (CredentialsError, OSError) as error:
            problems.append(f"mqtt.{key}: {error}")
    return problems


def close_key(key: Path) -> str:
    """Close a private key to all but its owner; in words what there was to mend, "" for nothing.

    The group of a key that is not ours may read it: else we could not.
    """
    try:
        found = key.stat()
    except OSError:
        return ""
    ours = found.st_uid == os.geteuid()
    if not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO if ours else stat.S_IRWXO):
        return ""
    told = f"{key}: other users could read this private key, and can connect as this device"
    try:
        files.set_mode(key, files.PRIVATE_FILE)
    except OSError:
        return f"{told}; the agent may not change that: `sudo chmod {'go' if ours else 'o'}= {key}`"
    return f"{told} if they did; it is closed to them now"
