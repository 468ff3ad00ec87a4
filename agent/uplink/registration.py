"""Registration: a child process that provisions, followed to its end. Few starts need it."""

from __future__ import annotations

import logging

from agent.errors import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_TEMPORARY,
    CredentialsError,
    StoppingError,
)
from agent.health import conditions
from agent.identity import HardwareKeyError, RootsError, by_hand, load
from agent.uplink.clock_watch import LOOK_AGAIN_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Config
    from agent.health.health import Health
    from agent.health.progress import Progress
    from agent.uplink.child import Child
    from agent.uplink.clock_watch import ClockWatch
    from agent.uplink.waits import Backoff, Waits

#: A refusal is tried again this often, or once the AWS key or the clock changes.
REFUSED_RETRY_S = 300.0

#: Longest silence of the child: it tells of each step, and of each wait of at most half a minute.
SILENT_S = 900.0

log = logging.getLogger(__name__)


class Registration:
    """An attempt to register, in the uplink thread.

    `check_name` raises RenamedError where the device has another name now; `start` starts the
    child.
    """

    def __init__(
        self,
        config: Config,
        *,
        check_name: Callable[[], None],
        health: Health,
        waits: Waits,
        backoff: Backoff,
        clock_watch: ClockWatch,
        start: Callable[..., Child],
    ) -> None:
        self._config = config
        self._check_name = check_name
        self._health = health
        self._waits = waits
        self._backoff = backoff
        self._clock_watch = clock_watch
        self._start = start

    def make(self) -> None:
        """Make one attempt; unless the credentials are sound then, wait before the next.

        A new AWS key or claim ends the wait within seconds; so does a clock that was set or
        stepped, since AWS refuses what is signed at a wrong time.
        """
        keys = self._keys()
        left_s = self._attempt()
        while left_s > 0:
            part_s = min(left_s, LOOK_AGAIN_S)
            if self._waits.wait(part_s) or self._keys() != keys or self._clock_watch.turned():
                return
            left_s -= part_s

    def _attempt(self) -> float:
        """Run the child to its end; the seconds to wait then, 0 if the credentials are sound."""
        self._clock_watch.turned()
        try:
            child = self._start(self._config, wakeup=self._waits.wakeup)
        except OSError as error:
            text = f"the registration cannot be started: {error.strerror}"
            self._health.report(conditions.PROVISIONING_FAILING, text)
            return self._backoff.next_s()
        with child:
            wished = self._follow(child)
        text, hint = child.ending()
        if by_hand(self._config.paths.certs) or (wished and child.exit_code != EXIT_OK):
            return 0.0  # what a person does, or wishes, goes first
        if child.exit_code == EXIT_OK:
            self._check_name()
            if not (wrong := self._wrong()):
                return 0.0
            text = f"{text}, and still {wrong}"
        elif child.troubled and child.exit_code == EXIT_REFUSED:
            return REFUSED_RETRY_S
        elif child.troubled and child.exit_code == EXIT_TEMPORARY:
            return self._backoff.next_s()
        text = f"the registration did not say how it went: {text}"
        self._health.report(conditions.PROVISIONING_FAILING, text, hint=hint)
        return self._backoff.next_s()

    def _wrong(self) -> str:
        """Fault of the credentials that registering mends, in words; "" if there is none."""
        try:
            load(self._config)
        except (RootsError, HardwareKeyError):
            return ""
        except CredentialsError as still:
            return still.text
        return ""

    def _follow(self, child: Child) -> bool:
        """Relay what the child tells, until its end. Raises StoppingError once stopped.

        True if it should be tried again at once, and it has not gone on since: it may have been
        ending by then.
        """
        silent_s, wished = 0.0, False
        while child.exit_code is None:
            self._waits.beat()
            told = child.poll(LOOK_AGAIN_S)
            for progress in told:
                self._relay(progress)
                wished = wished and bool(progress.code)
            silent_s = 0.0 if told else silent_s + LOOK_AGAIN_S
            # The second: a program of the credentials file that hangs, for one.
            if by_hand(self._config.paths.certs) or silent_s > SILENT_S:
                child.close()
            if self._waits.stopping:
                raise StoppingError
            if self._waits.retry_wanted() | self._clock_watch.turned():
                child.retry()
                wished = True
        return wished

    def _relay(self, progress: Progress) -> None:
        for condition in conditions.PROVISIONING:
            if progress.code == condition.code:
                self._health.report(condition, progress.text, hint=progress.hint)
            elif progress.code:
                self._health.clear(condition)
        if not progress.code:
            log.info("provisioning, %s: %s", progress.step, progress.text)
        self._health.update(progress=f"{progress.step}: {progress.text}")

    def _keys(self) -> list[tuple[int, int] | None]:
        """Time and size of the files to register with, which tell one content from another."""
        about = self._config.provisioning
        paths = (about.credentials_file, about.claim_cert_file, about.claim_key_file)
        return [_content_of(path) for path in paths if path]


def _content_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
