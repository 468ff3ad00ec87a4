"""Made: a record that the device makes of what it knows, and what goes into its commit."""

from __future__ import annotations

from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import NewRecord

#: Kinds of such records: their topics below the thing's name.
EVENTS, DIGEST = "events", "digest"


class Made(Value):
    """A record, and the facts that the store is to remember in the same commit."""

    record: NewRecord
    facts: Mapping[str, str] = {}
