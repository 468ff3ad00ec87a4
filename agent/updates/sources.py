"""Sources of updates: files by which apt takes this package, and no other, from one place.

Each step of writing leaves apt in order: the source itself comes last, and is the first to go.
"""

from __future__ import annotations

import re
from pathlib import Path

from agent import files
from agent.errors import EXIT_USAGE, AgentError
from agent.updates.openpgp import SIZE_MAX, KeyFileError, public_key
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.updates.openpgp import PublicKey

ETC = Path("/etc/apt")

#: Below it: the source, its key, what may be installed from it, and what unattended-upgrades may.
#: Of pins for a version apt takes the first: `-held`, for one that failed, comes before `-only`.
SOURCE = "sources.list.d/pi-iot-agent.sources"
#: The key is bare packets, as they were looked at; what apt may find in armour is another matter.
KEY, OLD_KEY = "keyrings/pi-iot-agent.gpg", "keyrings/pi-iot-agent.asc"
ONLY = "preferences.d/pi-iot-agent-only"
ALLOWED = "apt.conf.d/52pi-iot-agent"

HEAD = "Written by `pi-iot-agent setup --updates`; `setup --updates off` takes it away."

#: Dates and signatures count, whatever is set for other sources (sources.list(5)).
SOURCE_TEXT = f"""# {HEAD}
Types: deb
URIs: {{url}}
Suites: stable
Components: main
Signed-By: {{key}}
Check-Date: yes
Check-Valid-Until: yes
Allow-Insecure: no
Allow-Weak: no
"""

ONLY_TEXT = f"""Explanation: {HEAD}
Package: *
Pin: release o=pi-iot-agent
Pin-Priority: -1

Package: pi-iot-agent
Pin: release o=pi-iot-agent
Pin-Priority: 500
"""

ALLOWED_TEXT = f"""// {HEAD}
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Origins-Pattern:: "origin=pi-iot-agent";
"""

#: Characters that mean something to apt, or end a line, are left out; see sources.list(5).
HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
PATH = r"(?:/[A-Za-z0-9._~%+,=@:&!-]*)*"
URL = re.compile(rf"https?://{HOST}{PATH}|file://{PATH}")
LONGEST, PORT_MAX = 1000, 65535

FORM = "such as https://updates.example.org/pi-iot-agent, or with three slashes file:///media/usb"


class SourceError(AgentError):
    """A URL that is no place of updates."""

    exit_code = EXIT_USAGE


class Source(Value):
    """A place of updates, and the file with the key that they are signed with."""

    url: str
    key: Path


def normal_url(text: str) -> str:
    """The URL without a slash at its end. Raises SourceError."""
    scheme, colon, rest = text.partition("://")
    text = f"{scheme.lower()}{colon}{rest}"
    if text.startswith("/"):
        raise SourceError(f"{text!r:.80} is a path", hint=f"give it as a URL: file://{text:.80}")
    if colon and "@" in rest.partition("/")[0]:
        raise SourceError(
            "a URL with a user or a password is not taken: all may read it where it would stand",
            hint="leave it out; apt_auth.conf(5) has a place for it",
        )
    if any(sign in rest for sign in "?#"):
        raise SourceError(f"{text!r:.80}: ? and # have no place there", hint=FORM)
    text = text.rstrip("/")
    if (port := re.match(r"https?://[^/]*?:(\d{1,9})(?:/|$)", text)) and int(port[1]) > PORT_MAX:
        raise SourceError(f"{text!r:.80}: no port is above {PORT_MAX}", hint=FORM)
    if len(text) > LONGEST or not URL.fullmatch(text) or text == "file:":
        raise SourceError(f"{text!r:.80} is no URL of updates", hint=f"give one {FORM}")
    return text


def read_key(path: Path) -> PublicKey:
    """The public key in a file of the caller's. Raises KeyFileError, and OSError."""
    try:
        return public_key(files.read(path, limit=SIZE_MAX, follow=True))
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error.text}", hint=error.hint) from None


def current(etc: Path = ETC) -> Source | None:
    """The source that is taken up; None for none, or where its file is spoiled."""
    try:
        text = files.read(etc / SOURCE).decode("utf-8", "replace")
    except OSError:
        return None
    url = re.search(r"^URIs: (\S+)$", text, re.MULTILINE)
    key = re.search(r"^Signed-By: (\S+)$", text, re.MULTILINE)
    if not (url and key and URL.fullmatch(url[1]) and key[1] == str(etc / KEY)):
        return None
    return Source(url[1], Path(key[1]))


def write(url: str, key: PublicKey, etc: Path = ETC) -> Source:
    """Have apt take updates from `url`, a normal one, signed with `key`. Raises OSError."""
    for path, data in (
        (etc / ONLY, ONLY_TEXT.encode()),
        (etc / ALLOWED, ALLOWED_TEXT.encode()),
        (etc / KEY, key.data),
        (etc / SOURCE, SOURCE_TEXT.format(url=url, key=etc / KEY).encode()),
    ):
        files.make_directory(path.parent, 0o755)
        files.replace(path, data, mode=files.PUBLIC_FILE)
    _remove(etc / OLD_KEY)
    return Source(url, etc / KEY)


def remove(etc: Path = ETC) -> bool:
    """Take all of it away; True if there was anything. Raises OSError."""
    return sum(_remove(etc / name) for name in (SOURCE, KEY, OLD_KEY, ALLOWED, ONLY)) > 0


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    files.sync_directory(path.parent)
    return True
