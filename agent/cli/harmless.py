"""Harmless values: what may be shown to anybody by its form, and words of what may not.

A value that is in none of these forms is held back, and looked for elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from agent.cli.redaction import VALUE
from agent.config import KeyUri
from agent.sensors import BUILT_IN
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    #: Check of a field of the settings; the path is where relative ones start.
    Check = Callable[[object, Path], object]

HIDDEN = f"[redacted: {VALUE}]"

#: Names, hosts and addresses; files; names of variables and keys.
PLAIN = re.compile(r"[\w.:/+,-]{0,253}", re.ASCII)
FILE = re.compile(r"[\w./+~-]{1,255}", re.ASCII)
NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)

#: A proxy as a variable has it; what stands before the "@" is nobody's business.
PROXY = re.compile(
    r"(?P<scheme>(?:https?|socks\d?[ah]?)://)?(?:(?P<user>.*)@)?"
    r"(?P<host>(?:[\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?/?)",
    re.DOTALL | re.ASCII,
)
#: Other variables that are shown, and the form of their values.
VARIABLES = re.compile(r"no_proxy|LANG|LC_\w+|TZ|TERM|PATH", re.IGNORECASE)
VARIABLE = re.compile(r"[\w.:,/*+ -]{0,1000}", re.ASCII)

#: Users and passwords of URLs, and PINs of tokens, wherever they stand.
USER = re.compile(r"://(\S*)@")
PIN = re.compile(r"""pin-value=([^;&?\s"']+)""")

#: So much of a long value is quoted where it is wrong, which may cut a word (config/fields.py).
QUOTED = 79

#: Shorter words are found in any text; and these say nothing of anybody.
WORD_LENGTH = 6
VOCABULARY = {
    *BUILT_IN,
    *("online", "offline", "connecting", "starting", "stopping", "stopped", "network", "upgrade"),
    *("connection", "default", "unknown", "queued", "dropped", "version", "identity", "healthy"),
    *("warning", "failed", "running", "journal", "status", "doctor", "provision", "rotate"),
    *("temperature", "temperature_c", "humidity", "humidity_pct", "pressure", "pressure_hpa"),
    *("motion", "command", "python", "python3", "pi-iot-agent", "localhost", "127.0.0.1"),
    *("systemd", "service", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    *("secret", "password", "private", "serial", "machine-id", "address", "number", "signature"),
    *("authorization", "cookie", "access", "ownership", "configuration", "certificate", "output"),
    *("region", "profile", "redacted", "Environment", "pull-up", "pull-down", "always", "change"),
}
_VOCABULARY = {one.lower() for one in VOCABULARY}


class Shown(Value):
    """The text to show, and the values that were held back."""

    text: str
    kept_back: tuple[str, ...] = ()


def is_harmless(check: Check, value: object, base: Path) -> bool:
    """True if a value of the configuration passes its own check, and has the form of its kind.

    A relative path, which starts at `base`, must lead somewhere: it could be anything else.
    """
    try:
        found = check(value, base)
    except ValueError:
        return False
    if isinstance(found, KeyUri):  # which holds no PIN
        return True
    if isinstance(found, Path):
        plain = str(value)
        beside = "/" in plain and found.parent.is_dir()  # such as a store that is yet to be made
        known = plain.startswith("/") or beside or os.path.lexists(found)
        return bool(FILE.fullmatch(plain)) and known
    if isinstance(found, str):
        return bool(PLAIN.fullmatch(found))
    if isinstance(found, tuple | Mapping):
        return all(PLAIN.fullmatch(one) for one in found)
    return isinstance(found, bool | int | float)


def variable(name: str, value: str) -> Shown:
    """The value of a variable as it may be shown."""
    if name.lower().endswith("_proxy") and name.lower() != "no_proxy":
        if found := PROXY.fullmatch(value):
            user = "[redacted: user and password]" if found["user"] is not None else ""
            return Shown(
                f"{found['scheme'] or ''}{user}{found['host']}", tuple(_user(found["user"] or ""))
            )
    elif VARIABLES.fullmatch(name) and VARIABLE.fullmatch(value):
        return Shown(value)
    return Shown(HIDDEN, words([value]))


def words(values: Iterable[str]) -> tuple[str, ...]:
    """Values whole and their words, as far as they are long enough, no paths, and not our own."""
    found: dict[str, None] = {}
    for value in chain.from_iterable((one, one[:QUOTED]) for one in values):
        whole = value.strip().strip("\"'")
        parts = re.split(r"""[\s"',;=&?\[\](){}]+""", value)
        flags = [one[2:] for one in parts if re.match("-[^-]", one)]  # such as -pSECRET
        pieces = [piece for one in (*parts, *flags) for piece in re.split("[:@]", one)]
        users = [part for one in USER.findall(value) for part in _user(one)]
        for one in (whole, *parts, *flags, *pieces, *users, *PIN.findall(value)):
            if is_telling(one) and not re.match(r"[/-]|\d*\.\d*$", one):
                found[one] = None
    return tuple(found)


def is_telling(word: str) -> bool:
    """True if a word, found anywhere else, is most likely no coincidence."""
    return len(word) >= WORD_LENGTH and word.lower() not in _VOCABULARY


def _user(text: str) -> list[str]:
    """User and password of a URL, both and one by one, as they stand there and decoded."""
    parts = [text, *text.split(":", 1)] if text else []
    return [*parts, *map(unquote, parts)]
