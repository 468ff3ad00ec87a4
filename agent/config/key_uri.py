"""Key in hardware: the PKCS #11 URI that says which it is (RFC 7512).

A path (`token=`, `object=`, `id=`) that names the key, then a query (`pin-source=`, `module-path=`)
that says how to get at it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from agent.config.fields import declare, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

SCHEME = "pkcs11:"

#: Attributes of the path (RFC 7512, section 2.3) and of the query that are of use here.
NAMES = {"token", "manufacturer", "serial", "model", "object", "type", "id"}
NAMES |= {"library-manufacturer", "library-description", "library-version"}
NAMES |= {"slot-manufacturer", "slot-description", "slot-id"}
QUERY = {"pin-source", "module-path"}

_ATTRIBUTE = r"([a-z-]+)=([A-Za-z0-9._~:\[\]@!$'()*+,=&/?-]|%[0-9A-Fa-f]{2})+"

_NAME = r"[A-Za-z-]{1,40}"

#: Attributes that have a PIN in clear, or are meant to.
_PIN = r"(?i)[?&;]pin(?!-source=)"


class KeyUri(str):
    """A URI of one private key; it holds no PIN, so it may be shown."""

    __slots__ = ()

    @classmethod
    def parse(cls, plain: str) -> Self:
        """The URI in `plain`, made to name a private key. Raises ValueError with the problem."""
        path, _, query = plain[len(SCHEME) :].partition("?")
        plain = f"{SCHEME}{plain[len(SCHEME) :]}"
        if re.search(_PIN, f";{path}?{query}"):  # the file is open to all, and is shown
            raise ValueError(
                "a PIN does not belong here: put it into a file of the agent's user, mode 0600,"
                " and write ?pin-source=file:/path/of/that/file"
            )
        for text, separator, known in ((path, ";", NAMES), (query, "&", QUERY)):
            for one in text.split(separator) if text else ():
                found = re.fullmatch(_ATTRIBUTE, one)
                if not found or found[1] not in known:
                    raise ValueError(f"not a PKCS #11 URI as RFC 7512 has it: {_flaw(one, known)}")
        made = cls(plain)
        if not (made.attribute("object") or made.attribute("id")):
            raise ValueError("names no key: write object=LABEL or id=%01, as pkcs11-tool -O shows")
        if made.attribute("type") not in ("", "private"):
            raise ValueError("names no private key: leave type= out, or write type=private")
        if (pin := made.attribute("pin-source")) and not re.match("file:/[^/]", pin):
            raise ValueError("pin-source is no file: write ?pin-source=file:/path/of/the/file")
        if not made.attribute("module-path").startswith("/"):
            raise ValueError(
                "names no module of the token's: write module-path=/usr/lib/..., the whole path,"
                " after the question mark"
            )
        if made.attribute("type"):
            return made
        return cls(f"{SCHEME}{path};type=private{'?' if query else ''}{query}")

    def attribute(self, name: str) -> str:
        """The value of an attribute, decoded; "" if it is not given."""
        found = re.search(
            rf"[:;?&]{name}=([^;?&]*)" if name in NAMES else rf"[?&]{name}=([^&]*)", self
        )
        return unquote(found[1]) if found else ""

    @property
    def name(self) -> str:
        """Attributes that name the key, without the query."""
        return self.partition("?")[0]

    @property
    def pin_file(self) -> Path | None:
        """The file that holds the PIN."""
        pin = self.attribute("pin-source").removeprefix("file:")
        return Path(pin) if pin else None

    @property
    def module(self) -> Path:
        """The PKCS #11 module of the token."""
        return Path(self.attribute("module-path"))


def key_file() -> Path | KeyUri | None:
    """A field: the path of a private key, or the URI of one in hardware."""

    def check(value: object, base: Path) -> Path | KeyUri:
        plain = value.strip() if isinstance(value, str) else ""
        if plain[: len(SCHEME)].lower() == SCHEME:
            return KeyUri.parse(plain)  # which quotes nothing of it
        return base / string(value)

    return declare(None, check, blank=True)


def _flaw(attribute: str, known: set[str]) -> str:
    """The flaw of an attribute, without its value, which may be a PIN."""
    name, separator, _ = attribute.partition("=")
    if name in known and separator:
        return f"{name}= is empty, or has a character that is written as %20 and the like"
    which = f"{name}=" if separator and re.fullmatch(_NAME, name) else "what stands there"
    return f"{which} is none of {', '.join(sorted(known))}"
