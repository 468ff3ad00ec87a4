"""Enrolment: credentials from the disk, else made by a child process that provisions.

It is a process of its own since boto3 costs more memory than all the rest of the agent and is
needed once (see docs/decisions).
"""

from __future__ import annotations

import logging

from agent.config import KeyUri, registered_name
from agent.errors import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_TEMPORARY,
    CredentialsError,
    RenamedError,
    StoppingError,
)
from agent.health import conditions
from agent.identity import (
    CLAIM,
    ForbiddenCredentialsError,
    HardwareKeyError,
    MissingCredentialsError,
    RootsError,
    by_hand,
    claim_left,
    close_key,
    erase_used_claim,
    load,
)
from agent.uplink.clock_watch import LOOK_AGAIN_S
from agent.uplink.starting import start_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Config
    from agent.health.health import Health
    from agent.health.progress import Progress
    from agent.identity import Credentials
    from agent.uplink.child import Child
    from agent.uplink.clock_watch import ClockWatch
    from agent.uplink.waits import Backoff, Waits

#: A refusal is tried again this often, or once the AWS key or the clock changes.
REFUSED_RETRY_S = 300.0

#: Longest silence of the child: it tells of each step, and of each wait of at most half a minute.
SILENT_S = 900.0

#: Time between two looks at whether a person still registers this device.
BY_HAND_LOOK_S = 2.0

UNUSABLE_CONDITIONS = (
    conditions.UNPROVISIONED,
    conditions.CREDENTIALS_INVALID,
    conditions.CA_FILE_INVALID,
)
PROVISIONING_CONDITIONS = (
    conditions.PROVISIONING_FAILING,
    conditions.PROVISIONING_REFUSED,
    conditions.NO_AWS_CREDENTIALS,
)

log = logging.getLogger(__name__)


class Enrolment:
    """Source of the credentials; used in the uplink thread.

    `serial` is this board's. `start` starts the child.
    """

    def __init__(
        self,
        config: Config,
        *,
        serial: str | None,
        health: Health,
        waits: Waits,
        backoff: Backoff,
        clock_watch: ClockWatch,
        start: Callable[..., Child] = start_child,
    ) -> None:
        self._config = config
        self._serial = serial
        self._health = health
        self._waits = waits
        self._backoff = backoff
        self._clock_watch = clock_watch
        self._start = start
        self._proven: Credentials | None = None

    def credentials(self) -> Credentials:
        """The credentials on disk, made first if there are none; may take as long as it takes.

        Raises StoppingError once stopped, and RenamedError if the device has another name now.
        """
        while True:
            self._clock_watch.wait_until_plausible()
            self._check_name()
            try:
                found = load(self._config)
            except CredentialsError as unusable:
                if not self._let_a_person_finish():
                    self._mend(unusable)
            else:
                # A person's command proves new ones by connecting: two would throw each other out.
                if found == self._proven or not self._let_a_person_finish():
                    self._tell_usable(found)
                    return found

    def connected(self, credentials: Credentials) -> None:
        """Note that a CONNACK has just proven `credentials`: the claim may go that made them."""
        self._proven = credentials
        if erased := erase_used_claim(self._config, credentials.identity):
            log.info("%s", erased)
        left, hint = claim_left(self._config)
        self._health.stand(conditions.CONFIG_WARNING, left, hint=hint, key="claim")

    def _check_name(self) -> None:
        """Raise RenamedError where a claim's template has given the device another name."""
        if self._config.provisioning.method == CLAIM:
            used, name = self._config.thing.name, registered_name(self._config.paths.certs)
            if name not in {"", used}:
                raise RenamedError(f"registered as {name}, which was {used} until now")

    def _let_a_person_finish(self) -> bool:
        """Wait while a person's command registers or removes this device; True if one did."""
        waited = False
        while by_hand(self._config.paths.certs):
            waited = True
            self._health.update(
                state="provisioning", progress="a registration by hand is going on: waiting for it"
            )
            self._waits.wait(BY_HAND_LOOK_S)
        if waited:
            self._health.update(progress="")
        return waited

    def _mend(self, unusable: CredentialsError) -> None:
        """Tell what is wrong with the credentials, and register if that can mend it."""
        condition, hint = conditions.CREDENTIALS_INVALID, unusable.hint
        if isinstance(unusable, MissingCredentialsError):
            condition, hint = conditions.UNPROVISIONED, ""
        elif isinstance(unusable, RootsError):
            condition, hint = conditions.CA_FILE_INVALID, ""
        if isinstance(unusable, ForbiddenCredentialsError):
            hint = "have the agent's user own it, or put it where that user may read"
        for other in UNUSABLE_CONDITIONS:
            if other is not condition:
                self._health.clear(other)
        self._health.report(condition, unusable.text, hint=hint)
        owners = self._config.mqtt.cert_file or isinstance(unusable, HardwareKeyError)
        if owners or condition is conditions.CA_FILE_INVALID:
            # The file, or the token, is the owner's own: nothing of ours can replace it.
            self._health.update(state="offline")
            self._waits.wait(self._backoff.next_s())
            if isinstance(unusable, HardwareKeyError):
                self._begin_anew()
        else:
            self._health.update(state="provisioning")
            self._clock_watch.wait_until_set()
            self._provision()

    def _begin_anew(self) -> None:
        """End this process where a new one can use the key: its token is plugged in again.

        Raises HardwareKeyError then.
        """
        uri = self._config.mqtt.key_file
        if not isinstance(uri, KeyUri):
            return
        from agent.identity.hardware import key_works  # noqa: PLC0415 -- few have such a key

        if key_works(uri):
            text = f"{uri.name}: can be used again"
            raise HardwareKeyError(text, hint="the agent starts anew with it")

    def _tell_usable(self, found: Credentials) -> None:
        for condition in (*UNUSABLE_CONDITIONS, *PROVISIONING_CONDITIONS):
            self._health.clear(condition)
        self._health.update(progress="")
        made_on = found.identity.serial if found.identity else ""
        copied = ""
        if made_on and self._serial and made_on != self._serial:
            copied = (
                f"the identity was made on the board {made_on}, this is the board {self._serial}"
            )
        by_claim = self._config.provisioning.method == CLAIM
        hint = "`sudo pi-iot-agent provision` registers this board by the claim" if by_claim else ""
        self._health.stand(conditions.IDENTITY_COPIED, copied, hint=hint)
        if opened := close_key(found.key):
            hint = "if somebody may have read it: `sudo pi-iot-agent deprovision`, then `setup`"
            self._health.report(conditions.CONFIG_WARNING, opened, hint=hint, key=str(found.key))

    def _provision(self) -> None:
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
        for condition in PROVISIONING_CONDITIONS:
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
