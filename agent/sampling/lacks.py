"""Lacks of a sensor whose rest is sent: named once, and in the same words while they last."""

from __future__ import annotations

from agent.errors import NoDataError, SensorError
from agent.sensors import lacking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: A sensor, or a quantity, without a value is well until it has none so often in a row.
NO_DATA_MAX = 3


class Lacks:
    """Remembers the missing quantities of one sensor over its polls.

    `text` names them, empty if there is nothing to name; `hint` says what to do.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._polls: dict[str, int] = {}  # in a row in which a quantity was missing
        self._named: set[str] = set()
        self._ever_named: set[str] = set()
        self.text = self.hint = ""

    def note(self, missing: Mapping[str, SensorError]) -> None:
        """Note what was missing in a poll, and why.

        What may pass, and what was named before and came back, is named the third time in a row.
        """
        self._polls = {quantity: self._polls.get(quantity, 0) + 1 for quantity in missing}
        named = {
            quantity: error
            for quantity, error in missing.items()
            if quantity in self._named
            or self._polls[quantity] >= NO_DATA_MAX
            or not (isinstance(error, NoDataError) or quantity in self._ever_named)
        }
        if self._named != named.keys():
            self._named = set(named)
            self._ever_named |= self._named
            told = lacking(self._name, named) if named else SensorError("")
            self.text, self.hint = told.text and f"{told.text}; the rest is sent", told.hint
