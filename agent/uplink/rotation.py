"""Rotation: a certificate that is about to end is replaced, by one that has proven itself first.

A child makes the new one ready beside the one in use; the uplink ends its session in order and
connects with the new one. CONNACK is the proof, and the switch. Whatever else happens, the next
attempt is with the old one again.
"""

from __future__ import annotations

import logging
import math
import time

from agent import files
from agent.errors import EXIT_OK, BusyError, CredentialsError
from agent.health import conditions
from agent.identity import Generations, by_hand, decode_certificate, load
from agent.model import DAY_S
from agent.uplink.starting import start_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config import Config
    from agent.health.health import Health
    from agent.identity import Credentials
    from agent.uplink.child import Child
    from agent.uplink.waits import Waits

#: A certificate that ends sooner is told of, whatever the configuration says.
WARN_DAYS = 30.0

#: Part of its remaining life in which a certificate that was just made is not replaced by itself.
RESTS = 0.5

#: Time between two looks, which doubles up to a day where the child fails.
LOOK_EVERY_S = 3600.0

#: Time between two attempts with the new certificate, which doubles up to an hour. After some
#: hours of them it is looked at again the next day. AWS heeds a new policy after up to 10 minutes.
TRY_EVERY_S, TRY_FOR_S = 60.0, 6 * 3600.0

#: Time after a child that the end of a session stopped, which doubles up to a day.
STOPPED_S = 60.0

#: Time between two looks at the child while it runs, and its longest life: it may hang.
CHILD_LOOK_S, CHILD_LIVES_S = 1.0, 3600.0

OWN_HINT = "put a new one at cert_file and key_file of [mqtt]; the next connection uses them"
BY_ITSELF_HINT = "it is replaced by itself while online; `sudo pi-iot-agent rotate` does it now"

log = logging.getLogger(__name__)


class Rotation:
    """Replacement of the certificate in use; used in the uplink thread.

    Nothing begins but while online, and nothing because of a message. `start` starts the child.
    """

    def __init__(
        self,
        config: Config,
        *,
        health: Health,
        waits: Waits,
        clock: Clock,
        start: Callable[..., Child] = start_child,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._certs = config.paths.certs
        self._generations = Generations(config.paths.certs, config.thing.name)
        self._before_days = config.provisioning.rotate_before_days
        self._health = health
        self._waits = waits
        self._clock = clock
        self._start = start
        self._monotonic_s = monotonic_s
        self._child: Child | None = None
        self._child_ends_s = math.inf
        self._trouble = ("", "")  # of the last child: text and hint
        self._failures = self._stopped = 0
        self._look_after_s = self._rests_until_s = -math.inf
        self._trial: Credentials | None = None  # what the attempt that goes on is to prove
        self._try_next = self._unswitched = False
        self._doubted = False  # whether the new ones are what they seem
        self._trials = 0
        self._trials_end_s = math.inf

    def credentials(self, used: Credentials) -> Credentials:
        """Credentials to connect with next: `used`, or new ones that are to prove themselves.

        Says too when the certificate in use ends.
        """
        self._tell_end(used)
        wanted, self._try_next, self._trial = self._try_next, False, None
        if wanted and not by_hand(self._certs):
            self._trial = self._ready(used)
        if self._trial is None:
            return used
        now_s = self._monotonic_s()
        if not self._trials:
            self._trials_end_s = now_s + TRY_FOR_S
        self._look_after_s = now_s + min(TRY_EVERY_S * 2.0**self._trials, LOOK_EVERY_S)
        self._trials += 1
        if self._look_after_s > self._trials_end_s:
            self._trials, self._doubted, self._look_after_s = 0, True, now_s + DAY_S
        log.info("connecting with the new certificate, to see whether it is let in")
        return self._trial

    def connected(self, credentials: Credentials) -> None:
        """Have `credentials` be the ones in use, if they are the new: a CONNACK has proven them."""
        if self._trial is None or credentials != self._trial:
            return
        self._trial = None
        try:
            with self._generations.locked():
                self._generations.switch()
        except (BusyError, OSError) as error:
            log.warning("the new certificate is let in, and cannot be switched to: %s", error)
            self._unswitched = True
            return
        log.info("the new certificate is in use")
        self._trials = self._failures = 0
        self._trouble = ("", "")
        now_s = self._monotonic_s()
        self._look_after_s = now_s + DAY_S
        # One that ends as soon as the last is used for a while, or there would be no end of them.
        self._rests_until_s = now_s + RESTS * self._tell_end(credentials)

    def retry(self) -> None:
        """Look again now."""
        self._look_after_s = -math.inf

    @property
    def look_s(self) -> float:
        """Longest time until `tend` is to be called again."""
        return CHILD_LOOK_S if self._child else math.inf

    def tend(self, used: Credentials, *, idle: bool) -> bool:
        """Go on with the work while online; True if the session is to end for another one.

        No child is started unless `idle`, since another may hold the lock.
        """
        if self._unswitched:
            self._unswitched = False
            return True
        if self._child:
            return self._follow(self._child, used)
        now_s = self._monotonic_s()
        if now_s < self._look_after_s or not idle:
            return False
        self._look_after_s = now_s + LOOK_EVERY_S
        left_s = self._tell_end(used)
        if used.identity is None or by_hand(self._certs):
            return False
        self._try_next = not self._doubted and self._ready(used) is not None
        due = left_s < self._before_days * DAY_S and now_s >= self._rests_until_s
        wanted = self._before_days > 0 and (due or self._generations.waits)
        if not self._try_next and wanted:
            self._child_ends_s = now_s + CHILD_LIVES_S
            try:
                self._child = self._start(self._config, wakeup=self._waits.wakeup, rotate=True)
            except OSError as error:
                self._failed(f"the rotation cannot be started: {error.strerror}")
        return self._try_next

    def disconnected(self) -> None:
        """Stop the child if it still runs: it goes on where it was in a later session.

        Ever later, since the link may flap.
        """
        if self._child:
            self._child.close()
            self._child = None
            wait_s = min(STOPPED_S * 2.0**self._stopped, DAY_S)
            self._look_after_s = self._monotonic_s() + wait_s
            self._stopped += 1

    def _follow(self, child: Child, used: Credentials) -> bool:
        """Relay the progress of the child; True once the new certificate is ready."""
        if by_hand(self._certs):
            self.disconnected()
            return False
        for progress in child.poll(0.0):
            log.info("rotation, %s: %s", progress.step, progress.text)
            self._trouble = (progress.text, progress.hint) if progress.code else ("", "")
            if progress.code == conditions.NO_AWS_CREDENTIALS.code:
                self._trouble = ("there is no AWS key to make a new one with", "")
        if child.exit_code is None and self._monotonic_s() > self._child_ends_s:
            child.close()
        if child.exit_code is None:
            return False
        self._child, self._stopped = None, 0
        self._doubted = False
        self._try_next = self._ready(used) is not None
        if child.exit_code != EXIT_OK or not self._try_next:
            self._failed(*(self._trouble if child.troubled else child.ending()))
        child.close()
        self._tell_end(used)
        return self._try_next

    def _failed(self, text: str, hint: str = "") -> None:
        """Say why there is no new certificate, and wait longer each time."""
        self._trouble = (text, hint)
        log.warning("rotation: %s", text)
        wait_s = min(LOOK_EVERY_S * 2.0**self._failures, DAY_S)
        self._look_after_s = self._monotonic_s() + wait_s
        self._failures += 1

    def _ready(self, used: Credentials) -> Credentials | None:
        """The new credentials, if they are complete, and made on the same board."""
        try:
            found = load(self._config, pending=True)
        except CredentialsError:
            return None
        boards = [one.identity.serial for one in (found, used) if one.identity]
        return found if found != used and boards[:1] == boards[1:] else None

    def _tell_end(self, used: Credentials) -> float:
        """Say when the certificate in use ends, if that is soon; the seconds until then."""
        try:
            pem = files.read(used.certificate, follow=True).decode("ascii", "replace")
            ends_s = decode_certificate(pem).not_after_s
        except (OSError, ValueError):
            ends_s = math.inf
        left_s, text = ends_s - self._clock.wall_s(), ""
        if left_s < max(self._before_days, WARN_DAYS) * DAY_S:
            text = f"the certificate {_ending(ends_s, left_s)}"
        trouble, hint = self._trouble
        if used.identity is None:
            hint = OWN_HINT
        elif text and trouble:
            text = f"{text}: {trouble}"
        elif self._before_days > 0 and left_s < self._before_days * DAY_S:
            hint = hint or BY_ITSELF_HINT
        self._health.stand(conditions.CERTIFICATE_EXPIRING, text, hint=hint)
        return left_s


def _ending(ends_s: float, left_s: float) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(ends_s))
    if left_s <= 0:
        return f"ended on {day}"
    soon = f"in {left_s / DAY_S:.0f} days" if left_s > 1.5 * DAY_S else "within two days"
    return f"ends on {day}, {soon}"
