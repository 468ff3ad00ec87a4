"""Trouble with updates: what apt says of a look that failed, in words that lead to what to do.

apt says it in its own way, and what checks signatures in another: gpgv in Debian 12, sqv in 13.
"""

from __future__ import annotations

import re
import time

from agent.errors import EXIT_CONFIG, EXIT_TEMPORARY
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.updates.sources import Source

AGAIN = "`sudo pi-iot-agent updates` looks again"
KEEPER = "whoever keeps the repository"
TAKE_KEY = "`sudo pi-iot-agent setup --updates-key FILE` takes it"

#: What each is known by, the one that tells most first. Another one's index or page tells least.
SIGNS = {
    "locked": r"Could not get lock|Unable to lock directory",
    "full": r"No space left on device|Disk quota exceeded",
    "read-only": r"Read-only file system",
    "sources": r"Unable to parse package file|list of sources could not be read|Malformed",
    "clock": r"is not valid yet|Not live until|not yet valid certificate|not yet activated",
    "expired": r"Release file for \S+ is expired",
    "key-revoked": r"REVKEYSIG|is revoked",
    "key-expired": r"EXPKEYSIG|KEYEXPIRED|not live\s+because: Expired on",
    "weak": r"signatures were invalid: [0-9A-F]{16,}|not considered secure|[Ww]eak (sig|dig)",
    "key-file": r"Failed to parse keyring|Unknown error executing apt-key|keyring \S+ is ignored",
    "key-wrong": r"NO_PUBKEY|Missing key",
    "signature": r"BADSIG|Message has been manipulated|invalid signature|signature verification",
    "no-index": r"network require authentication|NOSPLIT|NODATA|Clearsigned file isn't valid",
    "no-name": r"Could not resolve|Temporary failure resolving|failure resolving|No address assoc",
    "no-network": r"Network is unreachable|No route to host|\((101|113): ",
    "certificate": r"[Cc]ertificate verif|certificate is NOT trusted|TLS|SSL|handshake",
    "no-server": r"Could not connect|Unable to connect|Connection (failed|refused|reset|timed out)"
    r"|onnection timed out|Cannot initiate the connection|Could not wait for server fd"
    r"|Error reading from server|timed out",
    "refused": r"  40[137]  ",
    "server": r"  (429|5\d\d)  ",
    "mismatch": r"Hash Sum mismatch|unexpected size|Writing more data than expected",
    "not-found": r"  4(04|10)  |File not found|(does not have|no longer has) a Release file",
    "unsigned": r"is not signed|is no longer signed",
}

#: Those that pass by themselves as a rule, where nothing is wrong with what was set up.
PASSING = {"locked", "no-index", "no-name", "no-network", "no-server", "server", "timeout", "clock"}

#: Those that somebody has to mend on this device, or to give it something.
OURS = {
    "foreign",
    "sources",
    "key-file",
    "key-wrong",
    "key-expired",
    "key-revoked",
    "not-found",
    "refused",
}

#: Those by which what was fetched before is not vouched for any more either.
SPOILING = {"expired", "foreign", "key-expired", "key-file", "key-revoked", "key-wrong", "weak"}

#: Those that tell that the place is a wrong one.
OF_THE_PLACE = {"foreign", "not-found", "refused"}

#: One of them that apt has nothing against: pins hold by the origin that a repository says it is.
FOREIGN = "foreign"


class Trouble(Value):
    """A look that failed: one of SIGNS, `timeout`, `foreign` or `unknown`; why, and what to do."""

    kind: str
    text: str
    hint: str

    @property
    def passes(self) -> bool:
        """True if it may well be over the next time, and what was set up is not in doubt."""
        return self.kind in PASSING

    @property
    def spoils(self) -> bool:
        """True if nothing that came from there before should be installed any more."""
        return self.kind in SPOILING

    @property
    def is_of_the_place(self) -> bool:
        """True if there is nothing for this device at that URL, whatever its key."""
        return self.kind in OF_THE_PLACE

    @property
    def exit_code(self) -> int:
        """The exit code of a command that met it."""
        return EXIT_CONFIG if self.kind in OURS else EXIT_TEMPORARY


def foreign(source: Source) -> Trouble:
    """The trouble with a repository that is signed as it should be, and another one."""
    text = f"{source.url} is another repository, and none of this package's updates"
    return Trouble(FOREIGN, text, "give the URL of the one that `scripts/repository` has made")


def kind_of(said: str) -> str:
    """The kind of what apt complains of; "" where it does not."""
    own = _own(said)
    complaints = "\n".join(re.findall(r"^(?:[EW]|Err:\d+).*$|^ .*$", own, re.MULTILINE))
    kinds = (kind for kind, sign in SIGNS.items() if re.search(sign, complaints, re.MULTILINE))
    return next(kinds, "")


def _own(said: str) -> str:
    """Words of apt itself, without URLs, and words that a server may choose as it likes."""
    return re.sub(r"(  [45]\d\d  ).*|(?:https?|file):\S+", r"\1-", said)


def trouble(
    said: str, source: Source, *, now_s: float, synchronized: Callable[[], bool]
) -> Trouble:
    """The trouble of which apt said this.

    `synchronized` tells if a time service has set the clock, asked only where that matters.
    """
    kind = kind_of(said)
    doubt = f"this clock ({_shown(now_s)}) was set by no time service: see `timedatectl`"
    if kind in {"clock", "expired", "key-expired"}:
        return _of_time(kind, said, _shown(now_s), "" if synchronized() else doubt)
    if not kind:
        hint = f"mend what it names; {AGAIN}"
        return Trouble("unknown", f"apt could not look: {_first_error(said)}", hint)
    key = re.search(r"(?:NO_PUBKEY|Missing key) ([0-9A-F]{8,64})", _own(said))
    number = re.search(r"  ([45]\d\d) ", said)
    known = {
        "url": source.url,
        "keyring": str(source.key),
        "key": f", {key[1][-16:]}," if key else "",
        "number": f" ({number[1]})" if number else "",
    }
    text, hint = (one.format_map(known) for one in WORDS[kind])
    if kind == "certificate" and not synchronized():  # apt of Debian 13 does not say why
        hint = f"{doubt}; if it is right, {hint}"
    return Trouble(kind, text, hint)


#: Text and hint of each, but of those of time.
WORDS = {
    "locked": ("another program looks for updates at this moment", f"later {AGAIN}"),
    "full": ("the card is full", "make room: `df -h`, `sudo apt clean`"),
    "read-only": (
        "the card can only be read",
        "restart the device; if that stays, the card is dying and wants to be replaced",
    ),
    "sources": (
        "apt cannot read what was set up for updates",
        "set it up again: `sudo pi-iot-agent setup --updates URL --updates-key FILE`",
    ),
    "key-revoked": (
        "the key of the updates was revoked: what it signs is not to be trusted",
        f"get the new public key from {KEEPER}, not by the way of the updates; {TAKE_KEY}",
    ),
    "weak": (
        "the index is signed in a way that is no longer secure (SHA-1, or too short a key)",
        f"{KEEPER} has to sign it with another key, or with SHA-256",
    ),
    "key-file": (
        "{keyring}: is missing or spoiled, and nothing can be checked",
        f"get the public key from {KEEPER}; {TAKE_KEY}",
    ),
    "key-wrong": (
        "{url} is signed with another key{key} than the one on this device",
        f"ask {KEEPER} if the key was changed; if so, {TAKE_KEY}; if not, trust nothing from there",
    ),
    "signature": (
        "the signature of the index is wrong: it was changed after it was signed",
        f"nothing of it is used; {AGAIN}; if it stays, tell {KEEPER}",
    ),
    "no-index": (
        "{url} gives something else than an index of updates, such as the page of a login",
        f"see that the network asks for no login and the URL is right; {AGAIN}",
    ),
    "no-name": ("the server of {url} is not found by its name", f"see the network; {AGAIN}"),
    "no-network": ("there is no network that leads to {url}", f"see the network; {AGAIN}"),
    "certificate": (
        "the server of {url} has a certificate that is not accepted",
        "see the URL, and the certificate of the server and of who signed it (ca-certificates)",
    ),
    "no-server": ("{url} does not answer", f"see network and server; {AGAIN}"),
    "refused": (
        "{url} gives this device nothing{number}: it may not, or there is nothing",
        "see the URL and the server's permissions; apt_auth.conf(5) is for a password",
    ),
    "server": ("{url} has trouble of its own{number}", f"later {AGAIN}"),
    "mismatch": (
        "the files of {url} do not fit together: it is just being changed, or was damaged",
        f"later {AGAIN}; if it stays, {KEEPER} has to upload it anew",
    ),
    "not-found": (
        "{url} has no updates: dists/stable is not there, or not whole",
        "see the URL (`setup --updates URL` changes it), or that the drive is plugged in",
    ),
    "unsigned": (
        "the index of {url} is not signed",
        f"nothing of it is used; {KEEPER} has to sign it: `scripts/repository DIR --key KEY`",
    ),
}


def _of_time(kind: str, said: str, clock: str, doubt: str) -> Trouble:
    """The trouble that may be the clock's, which shows this; without doubts of it, it is not."""
    since = re.search(r"invalid since ((?:\d+[dh] ?){1,2})", said)
    past = f" (for {since[1].strip()})" if since else ""
    if kind == "clock":
        text = "the index, or what signs it, is of a time that is still to come"
        hint = f"this clock ({clock}) was set by a time service, so {KEEPER} has to see to theirs"
        if doubt:
            text = f"this clock is behind: {clock} is before the index was made"
            hint = "nothing is checked before a time service has set it: see `timedatectl`"
        return Trouble(kind, text, hint)
    if kind == "expired":
        why = ", by a clock that may be ahead" if doubt else ": it was not renewed"
        text = f"the index is not valid any more{past}{why}"
        hint = f"{KEEPER} has to renew it: `scripts/repository DIR --key KEY --renew`"
    else:
        text = "the key of the updates expired"
        hint = f"get the renewed public key from {KEEPER}; {TAKE_KEY}"
    return Trouble(kind, text, f"{doubt}; if it is right, {hint}" if doubt else hint)


def _shown(time_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time_s))


def _first_error(said: str) -> str:
    """The first thing that apt said of an error, without what a terminal would obey."""
    lines = said.splitlines()
    told = [line[2:].strip() for line in lines if line.startswith("E:")] or lines[-1:]
    text = "".join(told[:1])[:200] or "it said nothing"
    return "".join(one if " " <= one <= "~" else "?" for one in text)
