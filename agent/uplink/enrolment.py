"""Enrolment: credentials from the disk, else made by running the provisioning command.

The command runs as a child process, since boto3 costs more memory than all the rest of the agent
and is needed once (see docs/decisions).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from agent.errors import EXIT_OK, EXIT_REFUSED, CredentialsError, StoppingError
from agent.health import conditions
from agent.identity import MissingCredentialsError, has_replaced, load
from agent.uplink.child import Child
from agent.uplink.waits import BEAT_S

if TYPE_CHECKING:
    from agent.config import Config
    from agent.health.health import Health
    from agent.identity import Credentials
    from agent.uplink.waits import Backoff, Waits

#: A refusal is tried again this often, or once the AWS credentials change, looked at this often.
REFUSED_RETRY_S = 300.0
LOOK_AGAIN_S = 5.0

RETIRE_EVERY_S = 3600.0

PROVISIONING_CONDITIONS = (
    conditions.PROVISIONING_FAILING,
    conditions.PROVISIONING_REFUSED,
    conditions.NO_AWS_CREDENTIALS,
)

log = logging.getLogger(__name__)


class Enrolment:
    """Source of the credentials; used in the uplink thread."""

    def __init__(self, config: Config, *, health: Health, waits: Waits, backoff: Backoff) -> None:
        self._config = config
        self._health = health
        self._waits = waits
        self._backoff = backoff
        self._retiring: Child | None = None
        self._retire_after_s = 0.0

    def credentials(self) -> Credentials:
        """The credentials on disk, made first if there are none; may take as long as it takes.

        Raises StoppingError once stopped.
        """
        while True:
            try:
                credentials = load(self._config)
            except MissingCredentialsError as missing:
                self._health.report(conditions.UNPROVISIONED, missing.text)
            except CredentialsError as spoiled:
                self._health.report(conditions.CREDENTIALS_INVALID, spoiled.text, hint=spoiled.hint)
            else:
                for condition in (
                    conditions.UNPROVISIONED,
                    conditions.CREDENTIALS_INVALID,
                    *PROVISIONING_CONDITIONS,
                ):
                    self._health.clear(condition)
                self._health.update(progress="")
                return credentials
            if self._config.mqtt.cert_file:
                # The certificate is the owner's own: nothing of ours can replace it.
                self._health.update(state="offline")
                self._waits.wait(self._backoff.next_s())
            else:
                self._provision()

    def connected(self, credentials: Credentials) -> None:
        """Have what `credentials` replaced removed at AWS: a CONNACK has just proven them.

        At most once an hour, since there may be no AWS key any more.
        """
        if time.monotonic() < self._retire_after_s or credentials.identity is None:
            return
        if not has_replaced(self._config.paths.certs, self._config.thing.name):
            return
        if load(self._config) == credentials:  # else a newer generation waits for its own proof
            self._retire_after_s = time.monotonic() + RETIRE_EVERY_S
            self._retiring = Child(self._config.path, wakeup=self._waits.wakeup, retire=True)

    def tend(self) -> None:
        """Log the progress of that removal; one that fails is tried again an hour later."""
        if self._retiring:
            for progress in self._retiring.poll(0.0):
                log.info("%s", progress.text)
            if self._retiring.exit_code is not None:
                self.disconnected()

    def disconnected(self) -> None:
        """Stop that removal if it still runs."""
        if self._retiring:
            self._retiring.close()
            self._retiring = None

    def _provision(self) -> None:
        self._health.update(state="provisioning")
        with Child(self._config.path, wakeup=self._waits.wakeup) as child:
            while child.exit_code is None:
                self._waits.beat()
                self._relay(child)
                if self._waits.stopping:
                    raise StoppingError
                if self._waits.retry_wanted():
                    child.retry()
        if child.exit_code == EXIT_REFUSED:
            self._wait_for_change()
        elif child.exit_code != EXIT_OK:
            self._waits.wait(self._backoff.next_s())

    def _relay(self, child: Child) -> None:
        for progress in child.poll(BEAT_S):
            for condition in PROVISIONING_CONDITIONS:
                if progress.code == condition.code:
                    self._health.report(condition, progress.text, hint=progress.hint)
                elif progress.code:
                    self._health.clear(condition)
            if not progress.code:
                log.info("provisioning, %s: %s", progress.step, progress.text)
            self._health.update(progress=f"{progress.step}: {progress.text}")

    def _wait_for_change(self) -> None:
        before = self._aws_credentials()
        waited_s = 0.0
        while waited_s < REFUSED_RETRY_S and self._aws_credentials() == before:
            if self._waits.wait(LOOK_AGAIN_S):
                return
            waited_s += LOOK_AGAIN_S

    def _aws_credentials(self) -> tuple[int, int] | None:
        try:
            found = self._config.provisioning.credentials_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
