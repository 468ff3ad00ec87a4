"""Names of `typing` that a class or a function needs while it is made, without `typing`.

That module is 0.9 MiB, and with paho 1.6 nothing else in the daemon needs it. A type checker sees
the names themselves; to the program they are what it needs of them, which is next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic as Generic  # noqa: PLC0414 -- for others to import, as the next
    from typing import Protocol as Protocol  # noqa: PLC0414
    from typing import TypeVar as TypeVar  # noqa: PLC0414
    from typing import cast as cast  # noqa: PLC0414
else:

    class Generic:
        """A base class that takes parameters and keeps none."""

        def __class_getitem__(cls, parameters: object) -> type:
            """The class itself, whatever its parameters are."""
            return cls

    class Protocol(Generic):
        """A base class that says what others must have, and checks nothing."""

    def TypeVar(name: str, *_: object, **__: object) -> str:  # noqa: N802 -- as it is called there
        """The name of a parameter."""
        return name

    def cast(_kind: object, value: object) -> object:
        """The value."""
        return value
