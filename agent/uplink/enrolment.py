"""Enrolment: credentials from the disk, else made by a child process that provisions.

It is a process of its own since boto3 costs more memory than all the rest of the agent and is
needed once (see docs/decisions).
"""

from __future__ import annotations

import logging

from agent.config import KeyUri, registered_name
from agent.errors import (
    CredentialsError,
    RenamedError,
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
from agent.uplink.starting import start_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.health.health import Health
    from agent.identity import Credentials
    from agent.uplink.child import Child
    from agent.uplink.clock_watch import ClockWatch
    from agent.uplink.registration import Registration
    from agent.uplink.waits import Backoff, Waits

#: Time between two looks at whether a person still registers this device.
BY_HAND_LOOK_S = 2.0

UNUSABLE_CONDITIONS = (
    conditions.UNPROVISIONED,
    conditions.CREDENTIALS_INVALID,
    conditions.CA_FILE_INVALID,
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
            self._registration().make()

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
        for condition in (*UNUSABLE_CONDITIONS, *conditions.PROVISIONING):
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

    def _registration(self) -> Registration:
        from agent.uplink.registration import Registration  # noqa: PLC0415 -- needed once

        return Registration(
            self._config,
            check_name=self._check_name,
            health=self._health,
            waits=self._waits,
            backoff=self._backoff,
            clock_watch=self._clock_watch,
            start=self._start,
        )
