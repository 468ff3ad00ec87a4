"""Programs of others that are started: the environment that they are given.

Every process of the same user can read it (proc_pid_environ(5)), also where we may be read by none.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Variables of the environment for the service alone: systemd's sockets and the AWS key.
PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY", "AWS_", "LISTEN_")


def public(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment, by default this process's, without what is private."""
    known = os.environ if environment is None else environment
    return {name: value for name, value in known.items() if not name.startswith(PRIVATE)}
