"""Name of a device: the one that it registered with stays, whatever its host is called later.

It is written down in `<certs>/.name`. Where that is lost, or an older version has registered, the
only identity on disk tells it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from agent.config.fields import THING_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

NAME_FILE = ".name"

_LENGTH = 256


def registered_name(certs: Path) -> str:
    """The name that this device registered with last; "" where it never did, or may not tell."""
    with suppress(OSError, ValueError):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(certs / NAME_FILE, flags), encoding="ascii") as file:
            name = file.read(_LENGTH).strip()
        if re.fullmatch(THING_NAME, name):
            return name
    with suppress(OSError):
        found = [path.parent.name for path in certs.glob("*/identity.json")]
        names = [name for name in found if not name.startswith(".")]
        if len(names) == 1 and re.fullmatch(THING_NAME, names[0]):
            return names[0]
    return ""
