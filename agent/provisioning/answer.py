"""Answer of AWS to a call: what is not in it, or is no such thing, counts as no answer."""

from __future__ import annotations

from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from agent.errors import TransientCloudError
    from agent.provisioning.failures import Call

#: Types of Python for those of botocore's service models; of others nothing is asked.
_KINDS: dict[str, type] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
}


class Answer(dict[str, Any]):
    """A structure in an answer; a field that is missing raises TransientCloudError."""

    def __init__(self, fields: dict[str, Any], call: Call) -> None:
        super().__init__(fields)
        self._call = call

    def __missing__(self, name: str) -> NoReturn:
        """Raise TransientCloudError."""
        raise self.unusable(f"no {name}")

    def unusable(self, what: str) -> TransientCloudError:
        """The failure if it is no answer of AWS's."""
        return self._call.unusable(what)


def checked(found: dict[str, Any], shape: Any, call: Call) -> Answer:  # noqa: ANN401 -- botocore's
    """The answer, if it has the types of `shape`, the service model's; TransientCloudError."""
    about = found.get("ResponseMetadata") or {}
    if str(about.get("HTTPHeaders", {}).get("content-type", "")).startswith("text/html"):
        raise call.unusable("a web page")
    fields = {name: _value(found[name], one, call) for name, one in _members(shape, found)}
    return Answer(fields | {"ResponseMetadata": about}, call)


def _members(shape: Any, found: dict[str, Any]) -> list[tuple[str, Any]]:  # noqa: ANN401
    members = shape.members if shape else {}
    return [(name, members[name]) for name in found if name in members]


def _value(found: Any, shape: Any, call: Call) -> Any:  # noqa: ANN401
    kind = shape.type_name
    expected: Any = _KINDS.get(kind, object)
    if not isinstance(found, expected):
        raise call.unusable(f"{shape.name} is no {kind}")
    if kind == "structure":
        return Answer({n: _value(found[n], one, call) for n, one in _members(shape, found)}, call)
    if kind == "map":
        return {key: _value(one, shape.value, call) for key, one in found.items()}
    if kind == "list":
        return [_value(one, shape.member, call) for one in found]
    return found
