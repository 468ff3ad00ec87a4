"""tomllib, imported without typing, of which it needs names in annotations, and a value's base.

That module is 0.9 MiB, and with paho 1.6 nothing else in the daemon loads it; from Python 3.14 on
tomllib does without by itself. While it is imported, a module with these few names is called so; a
`Value` does for the tuple, which is never taken apart. Where it wants more, it gets the real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

from agent.value import Value

UNUSED = "typing"

if UNUSED not in sys.modules:
    sys.modules[UNUSED] = named = ModuleType(UNUSED)
    vars(named).update(
        Any=object, BinaryIO=object, Callable=Callable, NamedTuple=Value, Tuple=tuple
    )
    try:
        import tomllib
    except (ImportError, AttributeError, TypeError):
        pass
    finally:
        del sys.modules[UNUSED]

import tomllib  # noqa: E402 -- with the real one, if that was not enough

__all__ = ["tomllib"]
