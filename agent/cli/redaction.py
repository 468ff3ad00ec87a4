"""Redaction of a text that leaves the house: secrets and what tells one board from all others.

By the form of a value, by the name before it, and by what this device is known to hold. What is
taken out is shown as `[redacted: kind]`. In doubt more is taken out than need be.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.model import Json

SERIAL, MACHINE_ID, MAC, WIFI = "board serial", "machine-id", "MAC address", "Wi-Fi name"
AWS_KEY, VALUE = "AWS key", "value of the configuration"

MARK = re.compile(r"\[redacted: ([^\]\n]+)\]")

#: Shorter ones would be found in every text, and in every word.
KNOWN_LENGTH = 3
INSIDE_LENGTH = 8

#: Digits of a serial number at the end of a default name.
TAIL = 8

#: Names that tell that a secret follows.
_LABELS = (
    r"(?:secret|token|passw(?:or)?d|passphrase|passcode|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|private[_-]?key|(?<![a-z])(?:auth|pass|pw)(?![a-z])|pwd|credential(?!s)|psk"
    r"|(?:user|so)[_-]?pin|signature)"
)
_NAMES_SECRET = re.compile(_LABELS, re.IGNORECASE)
_VALUE = r"""(?:\\"[^\n]*?\\"|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|(?!\[redacted)[^\s,;&}\])"']+)"""
_TO_THE_END = r"""(?:\\"[^\n]*?\\"|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|(?!\[redacted)[^\n"']+)"""
_SEPARATOR = r"""["'\\]{0,2}\s{0,9}[:=]\s{0,9}"""


class _Rule(Value):
    """A kind by its form; what the group `keep` matches stays."""

    kind: str
    form: re.Pattern[str]

    def taken_out(self, text: str) -> str:
        """The text with the kind in the place of each such value."""
        return self.form.sub(
            lambda found: f"{found.groupdict().get('keep') or ''}[redacted: {self.kind}]", text
        )


def _rule(kind: str, form: str, flags: int = re.IGNORECASE) -> _Rule:
    return _Rule(kind, re.compile(form, flags))


#: One that is cut off goes to the end of the text.
_PRIVATE_KEY = _rule(
    "private key",
    r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.*?"
    r"(?:-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,9}-{4,5}|\Z)",
    re.DOTALL,
)
#: A password with a blank in it is taken for one unless it looks like a port.
_USER = _rule(
    "user and password",
    r"(?P<keep>\b\w[\w+.-]{0,20}://)(?!\[redacted)"
    r"(?:[^\s/:@]{1,100}:(?!\d{1,5}[\s/])[^\n@]{0,200}@|(?:[^\s@]{0,300}@){1,9})",
)
_RULES = [
    _rule(
        "user and password",
        r"""(?P<keep>(?<![\w-])(?:-u|--(?:proxy-)?user)(?:["',=\s]{1,4}))[^\s:"']+:[^\s"']+""",
    ),
    _rule(
        "token",
        r"(?<![a-z0-9])(?:[rsp]k_(?:live|test)_|gh[pousr]_|github_pat_|xox[a-z]-|glpat-|AIza|eyJ)"
        r"[\w.-]{8,}",
        0,
    ),
    _rule("token", r"(?<!\d)\d{6,12}:(?=[\w-]{0,64}[A-Za-z])[\w-]{30,}"),
    _rule(
        "PIN",
        rf"""(?P<keep>\bpin{_SEPARATOR}["'\\]{{0,2}})(?!GPIO)(?=[^\s,;&"']{{0,64}}\d)[^\s,;&"'\[\]]{{4,}}""",
    ),
    _rule("PIN", r"""(?P<keep>\bpin(?:-|%2d)(?:value|source)=)(?:\|[^"'\n]+|[^;&?\s"']+)"""),
    _rule(
        "authorization",
        rf"""(?P<keep>\b(?:proxy-)?authorization{_SEPARATOR}["'\\]{{0,2}})(?!\[redacted)[^"'\n\\]+""",
    ),
    _rule("authorization", r"(?P<keep>\b(?:bearer|basic)\s+)(?=\S*[0-9=])[\w.~+/=-]{8,}"),
    _rule("cookie", rf"(?P<keep>\b(?:set-)?cookie{_SEPARATOR})(?!\[redacted)[^\n]+"),
    _rule("AWS access key id", r"\b(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{12,}\b", 0),
    _rule(
        "AWS signature", r"""(?P<keep>\bX-Amz-(?:Signature|Security-Token|Credential)=)[^&\s"']+"""
    ),
    _rule("ownership token", rf"(?P<keep>certificate_?ownership_?token{_SEPARATOR}){_VALUE}"),
    _rule(
        "secret",
        rf"""(?P<keep>(?<![\w-])--?[\w-]{{0,60}}{_LABELS}[\w-]{{0,60}}(?:=|["'],?\s*|\s+)){_VALUE}""",
    ),
    _rule("secret", rf"(?P<keep>pass(?:word|wd|phrase|code){_SEPARATOR}){_TO_THE_END}"),
    _rule("secret", rf"(?P<keep>{_LABELS}[\w.-]{{0,60}}{_SEPARATOR}){_VALUE}"),
    _rule(WIFI, rf"(?P<keep>\be?ssid{_SEPARATOR}){_TO_THE_END}"),
    _rule(
        MAC, r"(?<![0-9a-f])(?:[0-9a-f]{2}(?:[:_-]|\\{1,2}:)\s{0,40}){5,}[0-9a-f]{2}(?![0-9a-f])"
    ),
    _rule(MAC, r"(?<![\w:])[0-9a-f:]*:[0-9a-f]{0,2}ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}\b"),
]

_LONG = _rule(
    "long value",
    r"(?<![\w+/=-])(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*[0-9])[\w+/=-]{40,}",
    0,
)

#: A number of hexadecimal digits that may be anything; behind `cert/` it is a certificate's id.
_HEX = re.compile(r"(?<![0-9A-Za-z])(?<!cert/)[0-9A-Fa-f]{16,}(?![0-9A-Za-z])")

#: The end of a default name, of this board or another; but no date.
_TAIL_OF_A_NAME = re.compile(r"(?<=[a-z0-9]-)(?!20\d{6}\b)[0-9a-f]{8}(?![0-9a-z-])")


class Known(Value):
    """A value that this device is known to hold, and its kind."""

    value: str
    kind: str


class Redaction:
    """Redaction with what is known of this device; `public` are values that are shown anyhow.

    The paths of `directories` are never taken for a long value that may be anything. Serial numbers
    are taken out unless `with_serial`. Is used from any thread.
    """

    def __init__(
        self,
        known: Iterable[Known] = (),
        *,
        public: Iterable[str] = (),
        directories: Iterable[Path] = (),
        with_serial: bool = False,
    ) -> None:
        self._with_serial = with_serial
        deep = (str(one) for one in directories if len(one.parts) > len(("/", "var")))
        paths = sorted(deep, key=len, reverse=True)
        self._paths = re.compile(f"({'|'.join(map(re.escape, paths))})") if paths else None
        self._public = {one.lower() for one in public}
        kinds: dict[str, str] = {}
        for value, kind in ((one.value, one.kind) for one in known):
            if kind == SERIAL and with_serial:
                self._public |= {value.lower()}
                continue
            if kind == VALUE and value.lower() in self._public:
                continue
            tail = [value[-TAIL:]] if kind == SERIAL and len(value) > TAIL else []
            for one in (value, *tail):
                for form in (one, json.dumps(one)[1:-1], quote(one, safe="")):
                    if len(form) >= KNOWN_LENGTH:
                        kinds.setdefault(form.lower(), kind)
        self._kinds = dict(sorted(kinds.items(), key=lambda one: len(one[0]), reverse=True))

    def text(self, text: str) -> str:
        """The text without what should not be seen."""
        for rule in (_PRIVATE_KEY, _USER):
            text = rule.taken_out(text)
        small = text.lower()
        if forms := [_wherever(one) for one in self._kinds if one in small]:
            text = re.sub("|".join(forms), self._known, text, flags=re.IGNORECASE)
        for rule in _RULES:
            text = rule.taken_out(text)
        parts = self._paths.split(text) if self._paths else [text]
        text = "".join(part if n % 2 else _LONG.taken_out(part) for n, part in enumerate(parts))
        text = _HEX.sub(self._hex, text)
        if self._with_serial:
            return text
        return _TAIL_OF_A_NAME.sub(f"[redacted: {SERIAL}]", text)

    def value(self, value: Json, name: str = "") -> Json:
        """A value of a JSON document likewise; `name` is what it has there."""
        if isinstance(value, dict):
            return {self.text(key): self.value(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [self.value(one, name) for one in value]
        if value and not isinstance(value, bool) and _NAMES_SECRET.search(name):
            return "[redacted: secret]"
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool) or value is None:
            return value
        told = self.text(str(value))
        return value if told == str(value) else told

    def _known(self, found: re.Match[str]) -> str:
        return f"[redacted: {self._kinds.get(found[0].lower(), VALUE)}]"

    def _hex(self, found: re.Match[str]) -> str:
        kept = found[0].lower() in self._public or found[0].isdecimal()
        return found[0] if kept else "[redacted: long number]"


def _wherever(value: str) -> str:
    """The form of a known value; a short one, which may be in any word, only as a word."""
    form = re.escape(value)
    if len(value) >= INSIDE_LENGTH:
        return form
    return rf"(?:(?<![^\W_])|(?<=\\[nrt])|(?<=%[0-9a-f]{{2}})){form}(?![^\W_])"


def kinds(texts: Iterable[str]) -> dict[str, int]:
    """Count of what has been taken out of the texts, by kind."""
    found: dict[str, int] = {}
    for text in texts:
        for mark in MARK.finditer(text):
            found[mark[1]] = found.get(mark[1], 0) + 1
    return dict(sorted(found.items()))
