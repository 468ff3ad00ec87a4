"""The watch over an upgrade: it lets the new version prove itself, or puts the old one back.

It is the old version's code, which has worked here. It looks every few seconds; what it knows of
the upgrade is in the note, so that it goes on after a power cut, also in the middle of going back.
"""

from __future__ import annotations

import logging
import time

from agent.errors import AgentError
from agent.model import DAY_S, HOUR_S
from agent.updates import held
from agent.updates.dpkg import GONE, TORN
from agent.updates.forerunner import PACKAGE
from agent.updates.machine import ACTIVE
from agent.updates.notes import (
    DIRECTORY,
    KEPT,
    RESTORED,
    ROLLED_BACK,
    STUCK,
    Outcome,
    Pending,
    pending_of,
    remove,
    write,
)
from agent.updates.trial import Trial
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.updates.dpkg import Package
    from agent.updates.machine import Machine, Service

#: How long a new version is watched, in parts of which it is looked at once.
WINDOW_S = 600.0
LOOKS = 60

#: States of a service that somebody has stopped, which is no failure (systemd(1)).
STOPPING = "deactivating"
STOPPED = {"inactive", STOPPING}

#: A stop takes ten seconds at most (TimeoutStopSec=), unless the process asks for more.
STOPPING_S = 60.0

#: Looks are so many times rarer while the time does not count.
IDLE = 6

#: Looks that have to agree before something is done, where a moment may be just that.
HALF_DONE_LOOKS = 2

#: Tries to put the old version back, after which it is told that this fails, and tried each hour.
TRIES = 5

#: A version that cannot be judged, for want of a network, is kept after this time.
LONGEST_S = DAY_S

#: Reasons: for going back without a fault of the new version, and for one that never ran; and for
#: keeping one.
CUT_SHORT, UNSETTLED = "the upgrade was cut short", "it cannot be set up"
UNJUDGED = "it could not be judged within a day"

#: An upgrade that is no more: nothing was installed, or the package is gone.
NOTHING = "nothing"


log = logging.getLogger(__name__)


class Verdict(Value):
    """End of a watch: `went` is NOTHING or one of those of an Outcome, told with the reason."""

    went: str
    reason: str = ""


class Watch:
    """Looks at the upgrade that the note in `directory` tells of, for `window_s` that count.

    `held_file` is where versions are held back from apt.
    """

    def __init__(
        self,
        machine: Machine,
        directory: Path = DIRECTORY,
        *,
        window_s: float = WINDOW_S,
        held_file: Path = held.HELD,
        monotonic_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._machine = machine
        self._directory = directory
        self._window_s = window_s
        self._held_file = held_file
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        #: Seconds to the next look.
        self.wait_s = window_s / LOOKS
        self._started_s = self._looked_s = monotonic_s()
        self._half_done = self._tries = 0
        self._stopping_s = 0.0
        self._begin_trial()

    def run(self, sleep: Callable[[float], object] = time.sleep) -> Verdict:
        """Look until there is a verdict; a look that fails is none. Raises OSError."""
        while True:
            try:
                if verdict := self.look():
                    return verdict
            except AgentError as error:
                log.warning("%s (%s)", error.text, error.hint)
            sleep(self.wait_s)

    def look(self) -> Verdict | None:
        """Look once; the verdict, if there is one by now. Raises AgentError, OSError."""
        now_s = self._monotonic_s()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        self.wait_s = self._window_s / LOOKS
        pending = pending_of(self._directory)
        if pending is None:
            return Verdict(NOTHING, "no upgrade is waiting for a verdict")
        if self._machine.is_busy():
            self._half_done = 0
            return None
        package = self._machine.package()
        if reason := _moot(pending, package):
            remove(Pending, self._directory)
            return Verdict(NOTHING, reason)
        if pending.back:
            return self._go_back(pending, package, passed_s)
        if not package.is_sound:
            return self._mend(pending, package)
        self._half_done = 0
        if package.version != pending.new:  # put there in the meantime
            pending = replace(pending, new=package.version)
            write(pending, self._directory)
            self._begin_trial()
        return self._judge(pending, passed_s)

    def _judge(self, pending: Pending, passed_s: float) -> Verdict | None:
        """Judge the new version, which is installed as it should be, from its start on."""
        if self._is_of_before(pending, self._machine.service()):
            self._begin_trial()
            self.wait_s *= IDLE
            return None
        reason = self._weigh(pending, passed_s)
        if reason:
            return self._begin_back(pending, reason)
        if reason is None:
            return self._kept(pending, UNJUDGED) if self._is_long else None
        return self._kept(pending, "")

    def _weigh(self, pending: Pending, passed_s: float) -> str | None:
        """Shortcoming of the version that is installed, "" for none; None while that is open."""
        if self._machine.waits_to_restart():
            return None
        trial, service = self._trial, self._machine.service()
        self._end_what_does_not_stop(service, passed_s)
        online = service.state == ACTIVE and self._machine.is_online(service.pid)
        trial.take(service, online=online)
        unfit = trial.unfit() if pending.ready else ""
        unproven = pending.online and service.state == ACTIVE and not trial.online
        counts = service.state not in STOPPED and not (unproven and online)
        if unfit or (unproven and not online):
            # In the end, whole: a session is taken from nobody then.
            reaches, reads = self._machine.reach(session=trial.is_over_in(passed_s))
            counts = reads if unfit else reaches  # else the old version could not do it either
            self.wait_s *= 1 if counts else IDLE
        if counts:
            trial.pass_time(passed_s)
        if unfit and counts:
            return unfit
        return _shortcoming(pending, trial, service) if trial.is_over else None

    def _end_what_does_not_stop(self, service: Service, passed_s: float) -> None:
        """Kill a process that keeps systemd from ending it: it would outlive what replaces it."""
        before_s = self._stopping_s
        self._stopping_s = before_s + passed_s if service.state == STOPPING else 0.0
        if before_s < STOPPING_S <= self._stopping_s:
            self._machine.kill()

    def _mend(self, pending: Pending, package: Package) -> Verdict | None:
        """Finish what was cut short, or go back where that cannot be."""
        self._half_done += 1
        if self._half_done < HALF_DONE_LOOKS:
            return None
        self._machine.configure()
        package = self._machine.package()
        if package.is_sound:
            return None
        if package.state == TORN or package.version == pending.old:
            return self._begin_back(pending, CUT_SHORT)
        return self._begin_back(pending, f"{UNSETTLED}: dpkg leaves it {package.state}")

    def _begin_back(self, pending: Pending, reason: str) -> Verdict | None:
        """Note that, and why, the old version is to be there again; and begin."""
        pending = replace(pending, back=reason)
        # First, since the agent reads it at its start, which dpkg brings about.
        self._tell(pending, _way_back(pending), reason)
        write(pending, self._directory)
        return self._go_back(pending, self._machine.package(), 0.0)

    def _go_back(self, pending: Pending, package: Package, passed_s: float) -> Verdict | None:
        """Put the old version in place of the new one; where it is there, see if it is better."""
        if _is_back(pending, package):
            return self._compare(pending, passed_s)
        runs = self._is_of_before(pending, self._machine.service())
        self._machine.take_back(self._directory / PACKAGE, runs=runs)
        if not _is_back(pending, self._machine.package()):
            self._tries += 1
            if self._tries >= TRIES:
                self._tell(pending, STUCK, pending.back)
                self.wait_s = HOUR_S
            return None
        self._tell(pending, _way_back(pending), pending.back)
        self._begin_trial()
        return self._compare(pending, 0.0)

    def _is_of_before(self, pending: Pending, service: Service) -> bool:
        """True if what runs began before the upgrade did, and before this watch: the old version.

        By two clocks, since one may have been set.
        """
        before_s = self._monotonic_s() - service.began_s
        earlier = self._wall_s() - before_s < pending.began_s
        return service.state == ACTIVE and service.began_s < self._started_s and earlier

    def _compare(self, pending: Pending, passed_s: float) -> Verdict | None:
        """Hold the new version, unless the old one, which is back, fails in the same time too."""
        reason, went, lacks = pending.back, _way_back(pending), None
        if went == ROLLED_BACK:
            held.hold(pending.new, self._held_file)
            lacks = "" if reason.startswith(UNSETTLED) else self._weigh(pending, passed_s)
            if lacks is None and not self._is_long:
                return None
        if lacks:
            held.forget(pending.new, self._held_file)
            reason += f"; {pending.old} fails as well ({lacks}), so {pending.new} may come again"
        self._tell(pending, went, reason)
        remove(Pending, self._directory)
        return Verdict(went, reason)

    @property
    def _is_long(self) -> bool:
        """True if it has taken longer than anybody waits for a network."""
        return self._monotonic_s() - self._began_s >= LONGEST_S

    def _begin_trial(self) -> None:
        self._trial = Trial(self._window_s)
        self._began_s = self._monotonic_s()

    def _kept(self, pending: Pending, reason: str) -> Verdict:
        write(Outcome(KEPT, pending.old, pending.new, reason, self._wall_s()), self._directory)
        if not reason:
            held.release(pending.new, self._machine.is_newer, self._held_file)
        remove(Pending, self._directory)
        return Verdict(KEPT, reason)

    def _tell(self, pending: Pending, went: str, reason: str) -> None:
        outcome = Outcome(went, pending.old, pending.new, reason, self._wall_s())
        write(outcome, self._directory)


def _is_back(pending: Pending, package: Package) -> bool:
    return package.is_sound and package.version == pending.old


def _moot(pending: Pending, package: Package) -> str:
    """Reason why there is nothing to watch any more; or ""."""
    if package.state in GONE:
        return "the package has been removed"
    if not pending.back and _is_back(pending, package):
        return f"{pending.old} is installed, as before"
    return ""


def _shortcoming(pending: Pending, trial: Trial, service: Service) -> str:
    """Proof that the new version owes after its time, and the old one gave; or ""."""
    if pending.ready and (reason := trial.unready(service)):
        return reason
    if pending.online and not trial.online:
        return "it does not connect, though the endpoint can be reached"
    return ""


def _way_back(pending: Pending) -> str:
    return RESTORED if pending.back == CUT_SHORT else ROLLED_BACK
