"""Unit of the installed agent: started anew with new settings, or stopped for a while."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

from agent import account, files
from agent.cli.output import tell
from agent.config import DEFAULT_PATH
from agent.errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Config


def restart(config: Config) -> bool:
    """Have systemd start the agent anew with these settings, or say who should; True if it has.

    Raises AgentError if it cannot be started.
    """
    installed = is_installed(config)
    if installed and os.geteuid() == 0:
        if not _systemctl("restart"):
            raise AgentError(
                "all is written, and yet the service does not start",
                hint=f"see `systemctl status {account.UNIT}` and `journalctl -u {account.NAME}`",
            )
        tell(f"{account.UNIT} has been started anew with these settings.")
        if not _systemctl("is-enabled", "--quiet"):
            tell(f"It will not start at boot: sudo systemctl enable {account.UNIT}")
        return True
    if installed:
        tell(f"To have the agent use this: sudo systemctl restart {account.UNIT}")
    elif account.of_service() is None and files.is_locked(config.paths.lock_file):
        tell("The agent runs: stop and start it, so that it uses this.")
    else:
        tell(f"To start the agent: pi-iot-agent run --config {config.path}")
    return False


@contextmanager
def stopped(config: Config) -> Iterator[None]:
    """Have the installed agent stopped while inside, and started again whatever happens."""
    if not (is_installed(config) and os.geteuid() == 0 and _systemctl("is-active", "--quiet")):
        yield
        return

    with at_last(lambda: _systemctl("start", "--no-block")):
        _systemctl("stop")
        yield


@contextmanager
def at_last(work: Callable[[], object]) -> Iterator[None]:
    """Have `work` done to its end whatever ends what is inside.

    SIGTERM and SIGHUP, unless they are ignored, end that as SystemExit. Where ssh breaks, the input
    ends first, and the signal comes at any time after that.
    """
    before = {
        number: handler
        for number in (signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }

    def ignore() -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)

    def leave(number: int, _frame: object) -> None:
        ignore()
        raise SystemExit(account.SIGNALLED + number)

    for number in before:
        signal.signal(number, leave)
    try:
        try:
            yield
        finally:
            ignore()  # what `leave` raises here, once, is no end of what follows
    finally:
        try:
            work()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def process() -> int | None:
    """Process id of the agent that systemd runs; None for none."""
    if not Path("/run/systemd/system").is_dir():
        return None
    ask = ["systemctl", "show", "--value", "--property=MainPID", account.UNIT]
    told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    return int(told) if told.isdecimal() and told != "0" else None


def is_installed(config: Config) -> bool:
    """True if this is the configuration of the service that systemd runs here."""
    return config.path.resolve() == DEFAULT_PATH.resolve() and Path("/run/systemd/system").is_dir()


def _systemctl(*command: str) -> bool:
    done = subprocess.run(["systemctl", *command, account.UNIT], check=False)  # noqa: S607 -- as PATH
    return done.returncode == 0
