"""Start of a child process; its module is loaded for it, since most sessions need none."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.uplink.child import Child
    from agent.wakeup import Wakeup


def start_child(
    config: Config, *, wakeup: Wakeup, retire: bool = False, rotate: bool = False
) -> Child:
    """The `Child` that provisions, `retire`s or `rotate`s. Raises OSError if it cannot start."""
    from agent.uplink.child import Child  # noqa: PLC0415 -- with subprocess it is 0.3 MiB

    return Child(config, wakeup=wakeup, retire=retire, rotate=rotate)
