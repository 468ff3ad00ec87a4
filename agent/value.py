"""Value classes: frozen, with slots, and one annotated line a field.

Such a class is used as a frozen dataclass with slots is, and made in a fortieth of the time: no
program is written and compiled for it, and `dataclasses`, which loads `inspect`, is not needed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ClassVar, Never, NoReturn, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """A decorator that changes nothing."""
        return lambda made: made


_NOTHING: Mapping[str, Any] = {}


class Field:
    """A field of a value class: its name, its default (`...`: none), and what else is known of it.

    A `secret` one is left out of the repr.
    """

    __slots__ = ("default", "metadata", "name", "secret")

    def __init__(self, default: object, metadata: Mapping[str, Any], *, secret: bool) -> None:
        self.name = ""  # its class gives it
        self.default = default
        self.metadata = metadata
        self.secret = secret


def field(
    *, default: object = ..., metadata: Mapping[str, Any] = _NOTHING, secret: bool = False
) -> Any:  # noqa: ANN401 -- it stands where a value of the field's own type does
    """Declare a field of which there is more to say than its default."""
    return Field(default, metadata, secret=secret)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class ValueClass(type):
    """Class of the value classes, which finds their fields."""

    __fields__: tuple[Field, ...]
    __setters__: tuple[Callable[[object, object], None], ...]

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        body: dict[str, Any],
        *,
        frozen: bool = True,
        kw_only: bool = False,  # noqa: ARG004 -- for mypy alone
    ) -> ValueClass:
        """Make a class. Raises TypeError if its base has fields, as nothing here is inherited."""
        if any(getattr(base, "__fields__", ()) for base in bases):
            raise TypeError(f"{name}: its base has fields")
        kinds = body.pop("__annotations__", {})  # nobody asks for them any more
        own = [_field(one, body) for one, kind in kinds.items() if "ClassVar" not in str(kind)]
        body["__slots__"] = body["__match_args__"] = tuple(one.name for one in own)
        body["__fields__"] = tuple(own)
        if not frozen:
            body |= {"__setattr__": object.__setattr__, "__hash__": None}
        made = super().__new__(cls, name, bases, body)
        made.__setters__ = tuple(getattr(made, one.name).__set__ for one in own)
        return made


def _field(name: str, body: dict[str, Any]) -> Field:
    """The field `name`, taken out of the body of its class."""
    given = body.pop(name, ...)
    made = given if isinstance(given, Field) else Field(given, _NOTHING, secret=False)
    made.name = name
    return made


class Value(metaclass=ValueClass):
    """A value, made of its fields in their order or by their names, and equal to another by them.

    A class may say `kw_only=True`, for mypy, and `frozen=False`, whose fields can be set and which
    has no hash. A default is shared by all, so it is never one that changes.
    """

    __fields__: ClassVar[tuple[Field, ...]]
    __setters__: ClassVar[tuple[Callable[[object, object], None], ...]]

    def __init__(self, /, *given: object, **named: object) -> None:
        setters = self.__setters__
        if named or len(given) != len(setters):
            given = _completed(type(self), given, named)
        for index, put in enumerate(setters):
            put(self, given[index])
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check what holds between fields."""

    def __setattr__(self, name: str, _value: Never) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} keeps its fields: {name}")

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = (one.name for one in fields(self) if not one.secret)
        return f"{type(self).__name__}({', '.join(f'{it}={getattr(self, it)!r}' for it in shown)})"


def fields(of: Value | ValueClass) -> tuple[Field, ...]:
    """The fields of a value, or of a value class, in their order."""
    return of.__fields__


def asdict(value: Value) -> dict[str, Any]:
    """The fields by their names; values in it, and in its tuples, become dictionaries too."""
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}


if TYPE_CHECKING:
    # which mypy knows, with the fields of each class
    from dataclasses import replace as replace  # noqa: PLC0414
else:

    def replace(value: Value, /, **changes: object) -> Value:
        """The value with other values of some fields."""
        given = [changes.pop(one.name, getattr(value, one.name)) for one in fields(value)]
        return type(value)(*given, **changes)


def _values(value: Value) -> tuple[object, ...]:
    return tuple([getattr(value, one.name) for one in fields(value)])


def _plain(value: object) -> object:
    if isinstance(value, Value):
        return asdict(value)
    return tuple(map(_plain, value)) if type(value) is tuple else value


def _completed(
    kind: type[Value], given: tuple[object, ...], named: dict[str, object]
) -> tuple[object, ...]:
    """The value of each field. Raises TypeError for what is missing, unknown or given twice."""
    rest = []
    for one in kind.__fields__[len(given) :]:
        value = named.pop(one.name, one.default)
        if value is ...:
            raise TypeError(f"{kind.__name__}: {one.name} is missing")
        rest.append(value)
    if named or len(given) > len(kind.__fields__):
        unknown = ", ".join(named) or "more values than it has fields"
        raise TypeError(f"{kind.__name__}: cannot take {unknown}")
    return (*given, *rest)
