"""The watch over an upgrade: what is kept, what is taken back, and what is nobody's fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from agent.errors import AgentError
from agent.model import DAY_S
from agent.updates import Outcome, Pending, outcome_of, pending_of
from agent.updates.dpkg import TORN, Package
from agent.updates.forerunner import PACKAGE
from agent.updates.held import held, hold
from agent.updates.machine import ACTIVATING, ACTIVE, FAILED, Service
from agent.updates.notes import KEPT, RESTORED, ROLLED_BACK, STUCK, write
from agent.updates.watch import NOTHING, WINDOW_S, Verdict, Watch
from agent.value import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.updates.machine import Machine

OLD, NEW, NEWER = "0.1.0", "0.2.0", "0.3.0"

RUNS = Service(ACTIVE, pid=7, began_s=1001.0)
STARTS = Service(ACTIVATING, pid=7)
REFUSES = Service(FAILED, "exit-code", 78)


def crashing(now_s: float) -> Service:
    """One that ends at once, every six seconds, and is started again."""
    return Service(ACTIVATING, "exit-code", 1, restarts=int(now_s / 6))


def hanging(now_s: float) -> Service:
    """One that is never ready; systemd's patience ends after five minutes."""
    restarts = int(now_s / 305)
    return Service(ACTIVATING, "timeout" if now_s % 305 < 5 else "success", 0, restarts, pid=7)


def starving(now_s: float) -> Service:
    """One that is ready, and ended by the watchdog every three minutes."""
    times = int(now_s / 185)
    return Service(ACTIVE, "watchdog", 6, restarts=times, pid=7 + times, began_s=1001.0)


class FakeMachine:
    """A machine in which only time passes; `service` may depend on it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.began_s = 1000.0
        self.installed = Package(NEW, "installed")
        self.runs: Service | Callable[[float], Service] = RUNS
        self.online = self.reaches = self.lets_in = self.reads = True
        self.old_runs: Service | Callable[[float], Service] = RUNS
        self.old_online = True
        self.busy = self.sos = False
        self.configures_to: Package | None = None
        self.backs = [Package(OLD, "installed")]
        self.configured = 0
        self.taken_back: list[Path] = []
        self.taken_back_s = 0.0
        self.left_alone = False
        self.reached = self.sessions = self.kills = 0

    def monotonic_s(self) -> float:
        """The clock."""
        return self.now_s

    def is_busy(self) -> bool:
        """As set."""
        return self.busy

    def package(self) -> Package:
        """As set."""
        return self.installed

    def configure(self) -> None:
        """Set what this leads to; counted."""
        self.configured += 1
        self.installed = self.configures_to or self.installed

    def take_back(self, package: Path, *, runs: bool) -> None:
        """Set what this leads to; the last result stays. The old version then runs as set."""
        self.taken_back.append(package)
        self.left_alone = runs
        self.taken_back_s = self.now_s - self.began_s
        self.installed = self.backs[0]
        del self.backs[: len(self.backs) > 1]
        if self.installed == Package(OLD, "installed"):
            self.runs, self.online = self.old_runs, self.old_online
            self.began_s = self.now_s

    def service(self) -> Service:
        """As set, or as it is by now."""
        return self.runs if isinstance(self.runs, Service) else self.runs(self.now_s - self.began_s)

    def waits_to_restart(self) -> bool:
        """As set."""
        return self.sos

    def is_online(self, pid: int) -> bool:
        """As set; a process that does not run is not."""
        return self.online and pid > 0

    def reach(self, *, session: bool) -> tuple[bool, bool]:
        """As set; counted. A session takes the one that there is."""
        assert not (session and self.online)
        self.reached += 1
        self.sessions += session
        return self.reaches and (self.lets_in or not session), self.reads

    def kill(self) -> None:
        """Count it."""
        self.kills += 1

    def is_newer(self, version: str, than: str) -> bool:
        """By the text, which does for these."""
        return version > than


class Rig:
    """A watch over an upgrade on a machine that a test sets."""

    def __init__(self, directory: Path, *, ready: bool = True, online: bool = True) -> None:
        self.directory = directory
        self.held = directory / "held"
        self.machine = FakeMachine()
        self.wall_s = 5.0
        write(Pending(OLD, NEW, ready=ready, online=online, began_s=1.0), directory)
        self.boot()

    def boot(self) -> None:
        """Begin to watch, as after the machine has started."""
        self.machine.began_s = self.machine.now_s
        self.watch = Watch(
            cast("Machine", self.machine),
            self.directory,
            held_file=self.held,
            monotonic_s=self.machine.monotonic_s,
            wall_s=lambda: self.wall_s,
        )

    def wait(self, longest_s: float = 2 * WINDOW_S + 60) -> Verdict | None:
        """The verdict, or None if there is none for so long."""
        until_s = self.machine.now_s + longest_s
        while (verdict := self.watch.look()) is None and self.machine.now_s < until_s:
            self.machine.now_s += self.watch.wait_s
        return verdict

    @property
    def took_s(self) -> float:
        """Seconds since the watch began."""
        return self.machine.now_s - self.machine.began_s

    @property
    def outcome(self) -> Outcome | None:
        """What was told."""
        return outcome_of(self.directory)

    @property
    def pending(self) -> Pending | None:
        """The note."""
        return pending_of(self.directory)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """An upgrade of an agent that was ready and online."""
    return Rig(tmp_path)


def test_a_version_that_runs_and_connects_is_kept(rig: Rig) -> None:
    """After ten minutes, in which nobody tries the network; nothing is held any more."""
    hold(NEW, rig.held)
    hold(NEWER, rig.held)

    assert rig.wait() == Verdict(KEPT)
    assert WINDOW_S <= rig.took_s <= WINDOW_S + 10
    assert rig.outcome == Outcome(KEPT, OLD, NEW, "", 5.0)
    assert rig.pending is None
    assert rig.machine.reached == 0
    assert held(rig.held) == [NEWER]


@pytest.mark.parametrize(
    ("runs", "reason", "longest_s"),
    [
        (crashing, "it ended 5 times before it was ready: exit code 1", 45),
        (REFUSES, "it does not start: exit code 78", 30),
        (
            hanging,
            "it is not ready, but activating: its start did not come to an end",
            WINDOW_S + 10,
        ),
        (starving, "it does not go on running: watchdog", WINDOW_S + 30),
    ],
)
def test_a_version_that_does_not_run_is_taken_back(
    rig: Rig, runs: Service | Callable[[float], Service], reason: str, longest_s: float
) -> None:
    """One that crashes or refuses to start within a minute; it is held, and told why."""
    rig.machine.runs = runs

    assert rig.wait() == Verdict(ROLLED_BACK, reason)
    assert rig.machine.taken_back_s <= longest_s
    assert WINDOW_S <= rig.took_s <= WINDOW_S + 10  # in which the old one did better
    assert rig.machine.taken_back == [rig.directory / PACKAGE]
    assert rig.outcome == Outcome(ROLLED_BACK, OLD, NEW, reason, 5.0)
    assert rig.pending is None
    assert held(rig.held) == [NEW]


def test_a_version_that_does_not_connect_is_taken_back(rig: Rig) -> None:
    """Where the network is there, and the old one was connected."""
    rig.machine.online = False

    verdict = rig.wait()

    assert verdict == Verdict(
        ROLLED_BACK, "it does not connect, though the endpoint can be reached"
    )


def test_one_moment_online_is_no_connection(rig: Rig) -> None:
    """Nor was it one of a process that is gone."""
    rig.machine.online = False
    rig.watch.look()
    rig.machine.online = True
    rig.machine.now_s += 10
    rig.watch.look()
    rig.machine.online = False

    verdict = rig.wait()

    assert verdict
    assert verdict.went == ROLLED_BACK


def test_a_process_that_is_gone_proves_nothing_of_the_next(rig: Rig) -> None:
    """It connected; the one that was started after it does not."""
    rig.wait(60)
    rig.machine.runs = Service(ACTIVE, pid=8, began_s=1001.0)
    rig.machine.online = False

    verdict = rig.wait()

    assert verdict
    assert verdict.went == ROLLED_BACK


def test_a_version_that_has_connected_need_not_stay_so(rig: Rig) -> None:
    """The network may go once it has shown that it can."""
    rig.wait(60)
    rig.machine.online = rig.machine.reaches = False

    assert rig.wait() == Verdict(KEPT)


def test_a_bad_beginning_is_forgiven(rig: Rig) -> None:
    """A version that was ready for moments, and failed for one, but then goes on running."""
    rig.machine.runs = lambda now_s: replace(RUNS, result="signal", restarts=int(now_s / 6))
    rig.wait(60)
    rig.machine.runs = REFUSES
    rig.wait(10)
    rig.machine.runs = RUNS

    assert rig.wait() == Verdict(KEPT)


def test_a_network_that_is_down_does_not_count(rig: Rig) -> None:
    """However long; once it is up the version has its ten minutes, and can connect."""
    rig.machine.online = rig.machine.reaches = False
    assert rig.wait(DAY_S / 2) is None
    assert rig.machine.reached < DAY_S / 2 / 50

    rig.machine.online = rig.machine.reaches = True

    assert rig.wait() == Verdict(KEPT)


def test_a_network_that_is_up_again_gives_away_who_cannot_connect(rig: Rig) -> None:
    """The version that does not connect then is taken back."""
    rig.machine.online = rig.machine.reaches = False
    rig.wait(3600)

    rig.machine.reaches = True
    verdict = rig.wait()

    assert verdict
    assert verdict.went == ROLLED_BACK


def test_a_network_that_is_down_for_a_day_proves_nothing(rig: Rig) -> None:
    """The version is kept, with that reason, and what is held stays so."""
    rig.machine.online = rig.machine.reaches = False
    hold(NEW, rig.held)

    verdict = rig.wait(DAY_S + 120)

    assert verdict == Verdict(KEPT, "it could not be judged within a day")
    assert held(rig.held) == [NEW]


def test_nothing_is_asked_that_the_old_version_did_not_give(tmp_path: Path) -> None:
    """One that was neither ready nor online is not taken back for being neither."""
    rig = Rig(tmp_path, ready=False, online=False)
    rig.machine.runs, rig.machine.online = crashing, False

    assert rig.wait() == Verdict(KEPT)


def test_one_that_was_not_online_need_not_be(tmp_path: Path) -> None:
    """The network is not tried for it."""
    rig = Rig(tmp_path, online=False)
    rig.machine.online = False

    assert rig.wait() == Verdict(KEPT)
    assert rig.machine.reached == 0


def test_a_configuration_that_the_old_version_cannot_read_is_not_the_new_ones_fault(
    rig: Rig,
) -> None:
    """Somebody is writing it: the time does not count until it can be read."""
    rig.machine.runs, rig.machine.reads = REFUSES, False
    assert rig.wait(3600) is None

    rig.machine.runs, rig.machine.reads = RUNS, True

    assert rig.wait() == Verdict(KEPT)


def test_a_service_that_is_stopped_by_hand_is_no_failure(rig: Rig) -> None:
    """It is watched once it runs again."""
    rig.machine.runs = Service("inactive")
    assert rig.wait(3600) is None

    rig.machine.runs = RUNS

    assert rig.wait() == Verdict(KEPT)


def test_a_version_that_was_never_started_is_not_kept_for_what_the_old_one_does(rig: Rig) -> None:
    """Such as where the owner has forbidden restarts; it is judged from its start on."""
    rig.machine.runs = Service(ACTIVE, pid=3, began_s=900.0)
    assert rig.wait(2 * DAY_S) is None

    rig.machine.runs, rig.machine.began_s = crashing, rig.machine.now_s
    verdict = rig.wait()

    assert verdict
    assert verdict.went == ROLLED_BACK
    assert rig.took_s < WINDOW_S + 60


def test_nothing_is_judged_while_a_call_for_help_keeps_the_old_process(rig: Rig) -> None:
    """Ten minutes begin with the restart."""
    rig.machine.sos = True
    assert rig.wait(3600) is None

    rig.machine.sos = False
    began_s = rig.machine.now_s

    assert rig.wait() == Verdict(KEPT)
    assert rig.machine.now_s - began_s >= WINDOW_S


def test_nothing_is_judged_while_dpkg_is_at_work(rig: Rig) -> None:
    """Whatever state it has the package in."""
    rig.machine.busy = True
    rig.machine.installed = Package(OLD, "half-configured")
    assert rig.wait(3600) is None
    assert rig.machine.taken_back == []

    rig.machine.busy = False
    rig.machine.installed = Package(NEW, "installed")

    assert rig.wait() == Verdict(KEPT)


def test_an_upgrade_that_did_not_come_about_ends_quietly(rig: Rig) -> None:
    """The old version is installed, as before: nothing is told."""
    rig.machine.installed = Package(OLD, "installed")

    assert rig.wait() == Verdict(NOTHING, f"{OLD} is installed, as before")
    assert (rig.outcome, rig.pending) == (None, None)


@pytest.mark.parametrize("state", ["", "config-files", "not-installed"])
def test_a_package_that_was_removed_is_not_installed_again(rig: Rig, state: str) -> None:
    """Nothing is told."""
    rig.machine.installed = Package("", state)

    assert rig.wait() == Verdict(NOTHING, "the package has been removed")
    assert (rig.outcome, rig.pending, rig.machine.taken_back) == (None, None, [])


def test_without_a_note_there_is_nothing_to_watch(rig: Rig) -> None:
    """It was removed by hand."""
    for one in rig.directory.iterdir():
        one.unlink()

    verdict = rig.wait()

    assert verdict
    assert verdict.went == NOTHING


def test_another_version_that_comes_meanwhile_has_its_own_time(rig: Rig) -> None:
    """It is the one that is named in the end."""
    rig.wait(WINDOW_S - 30)
    rig.machine.installed = Package(NEWER, "installed")
    began_s = rig.machine.now_s

    assert rig.wait() == Verdict(KEPT)
    assert rig.machine.now_s - began_s >= WINDOW_S
    assert rig.outcome == Outcome(KEPT, OLD, NEWER, "", 5.0)


@pytest.mark.parametrize("state", ["unpacked", "half-configured"])
def test_an_upgrade_that_was_cut_short_is_finished(rig: Rig, state: str) -> None:
    """Where only its settings lack; then it is watched as any."""
    rig.machine.installed = Package(NEW, state)
    rig.machine.configures_to = Package(NEW, "installed")

    assert rig.wait() == Verdict(KEPT)
    assert rig.machine.taken_back == []


def test_a_moment_between_two_steps_of_dpkg_is_not_meddled_with(rig: Rig) -> None:
    """Such as between unpacking and configuring; also when there is another one later."""
    for _ in range(2):
        rig.machine.installed = Package(NEW, "unpacked")
        rig.machine.now_s += rig.watch.wait_s
        assert rig.watch.look() is None
        rig.machine.installed = Package(NEW, "installed")
        rig.machine.now_s += rig.watch.wait_s
        assert rig.watch.look() is None

    assert rig.machine.configured == 0
    assert rig.machine.taken_back == []


def test_one_that_was_cut_short_before_anything_was_unpacked_ends_quietly(rig: Rig) -> None:
    """The old version has all its files."""
    rig.machine.installed = Package(OLD, "half-configured")
    rig.machine.configures_to = Package(OLD, "installed")

    assert rig.wait() == Verdict(NOTHING, f"{OLD} is installed, as before")


@pytest.mark.parametrize(
    "package", [Package(OLD, TORN), Package(NEW, TORN), Package(OLD, "half-configured")]
)
def test_of_files_that_are_partly_replaced_the_old_ones_are_restored(
    rig: Rig, package: Package
) -> None:
    """It is no fault of the new version, which is not held, and may come again."""
    rig.machine.installed = package

    assert rig.wait(60) == Verdict(RESTORED, "the upgrade was cut short")
    assert rig.outcome == Outcome(RESTORED, OLD, NEW, "the upgrade was cut short", 5.0)
    assert held(rig.held) == []


def test_a_version_that_cannot_be_set_up_is_taken_back(rig: Rig) -> None:
    """Such as one whose dependencies are nowhere, or whose script fails."""
    rig.machine.installed = Package(NEW, "unpacked")

    verdict = rig.wait(30)

    assert verdict == Verdict(ROLLED_BACK, "it cannot be set up: dpkg leaves it unpacked")
    assert held(rig.held) == [NEW]


def test_a_power_cut_while_going_back_is_gone_on_from(rig: Rig) -> None:
    """The next start installs the old version; reason and pin are the same."""
    rig.machine.runs = REFUSES
    rig.machine.backs = [Package(NEW, TORN)]
    assert rig.wait(25) is None
    assert rig.machine.taken_back
    assert rig.pending
    assert rig.pending.back
    rig.machine.backs = [Package(OLD, "installed")]

    rig.boot()
    verdict = rig.wait()

    assert verdict == Verdict(ROLLED_BACK, "it does not start: exit code 78")
    assert held(rig.held) == [NEW]


def test_the_reason_is_told_before_the_old_version_starts(rig: Rig) -> None:
    """Its agent reads it at its start, for its birth message."""
    told = []
    take_back = rig.machine.take_back

    def taking_back(package: Path, *, runs: bool) -> None:
        told.append(rig.outcome)
        take_back(package, runs=runs)

    rig.machine.runs = REFUSES
    rig.machine.take_back = taking_back  # type: ignore[method-assign]
    rig.wait()

    assert [one.went for one in told if one] == [ROLLED_BACK]


def test_a_way_back_that_fails_is_told_and_tried_on(rig: Rig) -> None:
    """After some tries it is stuck, and tried each hour, until it succeeds."""
    rig.machine.runs = REFUSES
    rig.machine.backs = [Package(NEW, "half-configured")]
    rig.wait(50)
    assert rig.outcome
    assert rig.outcome.went == ROLLED_BACK
    assert rig.wait(60) is None
    assert rig.outcome.went == STUCK

    tries = len(rig.machine.taken_back)
    assert rig.wait(6 * 3600) is None
    assert 5 <= len(rig.machine.taken_back) - tries <= 7

    rig.machine.backs = [Package(OLD, "installed")]
    tries = len(rig.machine.taken_back)
    while len(rig.machine.taken_back) == tries:
        rig.wait(60)
    assert rig.pending
    assert rig.outcome.went == ROLLED_BACK
    verdict = rig.wait()

    assert verdict
    assert verdict.went == ROLLED_BACK
    assert rig.outcome.went == ROLLED_BACK


def test_nobody_goes_back_while_dpkg_is_at_work(rig: Rig) -> None:
    """It is tried once the lock is free, and counts as no failure before."""
    write(Pending(OLD, NEW, ready=True, online=True, began_s=1.0, back="why"), rig.directory)
    rig.machine.busy = True
    assert rig.wait(3600) is None
    assert rig.machine.taken_back == []

    rig.machine.busy = False

    assert rig.wait() == Verdict(ROLLED_BACK, "why")


def test_a_broker_that_lets_nobody_in_is_no_fault_of_the_version(rig: Rig) -> None:
    """TLS goes through, as in an outage of the broker: the old version is not let in either."""
    rig.machine.online = rig.machine.lets_in = False
    assert rig.wait(6 * 3600) is None
    assert rig.machine.taken_back == []

    rig.machine.online = True

    assert rig.wait() == Verdict(KEPT)


def test_a_session_is_tried_in_the_end_alone(rig: Rig) -> None:
    """Before, it would take that of an agent that is just about to connect."""
    rig.machine.online = False
    rig.wait(WINDOW_S - 15)
    assert rig.machine.sessions == 0

    rig.wait(15)

    assert rig.machine.sessions == 1
    assert rig.machine.taken_back


def test_who_comes_online_in_the_last_moment_is_looked_at_once_more(rig: Rig) -> None:
    """It is neither kept nor taken back for one look."""
    rig.machine.online = False
    rig.wait(WINDOW_S - 15)
    rig.machine.now_s += 10
    rig.machine.online = True

    assert rig.wait() == Verdict(KEPT)


@pytest.mark.parametrize(
    ("runs", "online", "lacks"),
    [
        (REFUSES, True, "it does not start: exit code 78"),
        (RUNS, False, "it does not connect, though the endpoint can be reached"),
    ],
)
def test_a_version_is_not_held_for_what_the_old_one_lacks_too(
    rig: Rig, runs: Service, lacks: str, *, online: bool
) -> None:
    """It was held until then; what else is held stays so. It may come again, and that is told."""
    hold(NEWER, rig.held)
    rig.machine.runs, rig.machine.online = runs, online
    rig.machine.old_runs, rig.machine.old_online = runs, online
    while not rig.machine.taken_back:
        rig.wait(10)
    assert held(rig.held) == [NEWER, NEW]
    assert rig.pending

    verdict = rig.wait()

    reason = f"{lacks}; {OLD} fails as well ({lacks}), so {NEW} may come again"
    assert verdict == Verdict(ROLLED_BACK, reason)
    assert rig.outcome == Outcome(ROLLED_BACK, OLD, NEW, reason, 5.0)
    assert held(rig.held) == [NEWER]
    assert rig.pending is None


def test_the_comparison_goes_on_after_a_power_cut(rig: Rig) -> None:
    """The old version is not installed once more; a pin that was not written yet is."""
    rig.machine.runs = REFUSES
    while not rig.machine.taken_back:
        rig.wait(10)
    rig.held.unlink()

    rig.boot()
    assert rig.wait(WINDOW_S - 60) is None
    assert held(rig.held) == [NEW]

    verdict = rig.wait()
    assert verdict
    assert verdict.went == ROLLED_BACK
    assert len(rig.machine.taken_back) == 1


def test_a_comparison_without_a_network_leaves_the_version_held(rig: Rig) -> None:
    """After a day: the new one was judged while there was one."""
    rig.machine.online = rig.machine.reaches = False
    rig.wait(DAY_S / 2)
    rig.machine.reaches = True
    rig.machine.runs, rig.machine.old_online = REFUSES, False
    while not rig.machine.taken_back:
        rig.wait(10)
    rig.machine.reaches = False

    assert rig.wait(DAY_S - 3600) is None
    verdict = rig.wait(2 * 3600)

    assert verdict == Verdict(ROLLED_BACK, "it does not start: exit code 78")
    assert held(rig.held) == [NEW]


def test_a_process_that_does_not_let_itself_be_stopped_is_killed(rig: Rig) -> None:
    """Once, after a minute: an old one would go on in place of the new one. A stop is not."""
    for _ in range(3):
        rig.machine.runs = Service("deactivating", pid=7)
        rig.wait(50)
        rig.machine.runs = RUNS
        rig.wait(0)
    assert rig.machine.kills == 0

    rig.machine.runs = Service("deactivating", pid=7)
    rig.wait(3600)
    assert rig.machine.kills == 1

    rig.machine.runs = RUNS
    assert rig.wait() == Verdict(KEPT)
    assert rig.machine.kills == 1


@pytest.mark.parametrize(
    ("runs", "wall_s", "alone"),
    [
        (Service(ACTIVE, pid=7, began_s=900.0), 5.0, True),
        (Service(ACTIVE, pid=7, began_s=1001.0), 5.0, False),  # after this watch
        (Service(ACTIVE, pid=7, began_s=900.0), 5000.0, False),  # after the upgrade
        (Service(ACTIVATING, pid=7, began_s=900.0), 5.0, False),
    ],
)
def test_an_old_version_that_runs_still_is_left_alone_while_it_is_put_back(
    rig: Rig, runs: Service, wall_s: float, *, alone: bool
) -> None:
    """The new one could not be set up, and never ran: a call for help may be on its way."""
    rig.machine.runs, rig.wall_s = runs, wall_s
    rig.machine.installed = Package(NEW, "half-configured")

    rig.wait(60)

    assert rig.machine.taken_back
    assert rig.machine.left_alone == alone


def test_a_look_that_fails_is_none(rig: Rig) -> None:
    """It neither ends the watch nor counts; the next one goes on."""
    service = rig.machine.service
    failures = [AgentError("systemctl does not answer")] * 3

    def failing() -> Service:
        if failures and rig.machine.now_s > rig.machine.began_s + 100:
            raise failures.pop()
        return service()

    rig.machine.service = failing  # type: ignore[method-assign]

    def sleep(seconds: float) -> None:
        rig.machine.now_s += seconds

    assert rig.watch.run(sleep) == Verdict(KEPT)
    assert failures == []
    assert rig.took_s >= WINDOW_S + 30


def test_a_process_that_has_just_begun_in_the_end_gets_its_time(rig: Rig) -> None:
    """Somebody has restarted the service: it is not taken back for starting."""
    rig.wait(WINDOW_S - 15)
    rig.machine.runs = Service(ACTIVATING, pid=8)
    rig.wait(20)
    rig.machine.runs = Service(ACTIVE, pid=8, began_s=1001.0)

    assert rig.wait() == Verdict(KEPT)
    assert rig.took_s <= WINDOW_S + 90


def test_a_version_that_begins_again_and_again_does_not_escape(rig: Rig) -> None:
    """Its processes get no time for ever."""
    rig.machine.runs = lambda now_s: Service(
        ACTIVE, "exit-code", 1, int(now_s / 40), pid=8 + int(now_s / 40), began_s=1001.0
    )

    verdict = rig.wait(4 * WINDOW_S)

    assert verdict == Verdict(ROLLED_BACK, "it does not go on running: exit code 1")
    assert rig.machine.taken_back_s <= 3 * WINDOW_S
