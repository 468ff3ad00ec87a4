"""Leftovers below `<certs>`: what a thing has replaced, and what other things have there."""

from __future__ import annotations

import re
from contextlib import suppress

from agent.errors import CredentialsError
from agent.identity.credentials import Files, read_identity
from agent.identity.generations import GENERATION, Generations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

NAME = "[a-zA-Z0-9:_-]{1,128}"
OF_A_THING = re.compile(rf"\.({NAME})\.(?:{GENERATION.pattern}|pending)")


def has_replaced(certs: Path, thing: str) -> bool:
    """True if there are stale generations, or others at AWS, to be removed. Never raises."""
    try:
        generations = Generations(certs, thing)
        return generations.unproven.exists() or bool(generations.stale())
    except OSError:
        return False


def other_things(certs: Path, thing: str) -> list[str]:
    """Names of the other things that have an identity or generations in `<certs>`. Never raises."""
    names = set()
    with suppress(OSError):
        for path in certs.iterdir():
            if match := OF_A_THING.fullmatch(path.name):
                names.add(match[1])
            with suppress(CredentialsError):
                identity = read_identity(Files(path, path.name).identity)
                names |= {path.name} & {identity.thing}
    return sorted(name for name in names - {thing} if re.fullmatch(NAME, name))
