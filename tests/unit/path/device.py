"""A device whose uplink goes on step by step, and whose process can be killed at any of them."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from agent.config import Count, Mqtt, StoreLimits
from agent.errors import StoppingError
from agent.facts import Facts
from agent.health.health import UPLINK, Health
from agent.store import open_store
from agent.uplink.birth import Birth
from agent.uplink.session import Session
from agent.uplink.uplink import Uplink
from agent.uplink.waits import Waits
from agent.value import replace
from agent.wakeup import Wakeup
from tests.fakes import FakeClock, config, live_facts
from tests.tools.cloud.authority import Authority, key_pem
from tests.unit.store.conftest import crash
from tests.unit.uplink.broker import Broker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.store import Store
    from agent.uplink.outbox import Outbox

#: Refusals are retried within this time, and connections made.
BACKOFF_MAX_S = 8.0


class KilledError(BaseException):
    """The process is no more."""


class Turns:
    """A function in a thread of its own that runs only while its caller waits for it."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._mine, self._its = threading.Semaphore(0), threading.Semaphore(0)
        self._raising: BaseException | None = None
        self._error: BaseException | None = None
        self.ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def go_on(self, raising: BaseException | None = None) -> None:
        """Let it go on to its next `pause`, or its end; raises what it raised."""
        assert not self.ended
        self._raising = raising
        self._its.release()
        self._mine.acquire()
        if self._error:
            raise self._error

    def pause(self) -> None:
        """Give the turn back; called by the function. Raises what it is to end with."""
        self._mine.release()
        self._its.acquire()
        if self._raising:
            raise self._raising

    def _run(self) -> None:
        self._its.acquire()
        try:
            if not self._raising:
                self._function()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 -- the other thread raises it
            self._error = error
        self.ended = True
        self._mine.release()


class SteppedWaits(Waits):
    """Waits that pause, and then are over."""

    def __init__(self, device: Device, health: Health, wakeup: Wakeup) -> None:
        super().__init__(UPLINK, health=health, wakeup=wakeup)
        self._device = device

    def wait(self, wait_s: float) -> bool:
        """Pass the time."""
        self._device.offline = True
        self._device.turns.pause()
        self._device.offline = False
        if self.stopping:
            raise StoppingError
        if not self.retry_wanted():
            self._device.pass_by(wait_s)
            return False
        return True


class Device:
    """A registered device with its broker; `start` starts its process."""

    offline = False

    def __init__(
        self,
        directory: Path,
        *,
        five: bool,
        window: int,
        per_s: int,
        commit_after_s: float,
        max_rows: int,
    ) -> None:
        own = [directory / f"{name}.pem" for name in ("certificate", "key", "root")]
        for path, pem in zip(own, PEMS, strict=True):
            path.touch(0o600)
            path.write_text(pem)
        store = StoreLimits(
            path=directory / "state" / "store.db",
            commit_after_s=commit_after_s,
            max_rows=max_rows,
        )
        self.config = replace(
            config(directory, count=Count(), store=store),
            mqtt=Mqtt(
                endpoint="broker",
                max_inflight=window,
                max_publish_per_s=per_s,
                backoff_max_s=BACKOFF_MAX_S,
                protocol="5" if five else "3.1.1",
                cert_file=own[0],
                key_file=own[1],
                ca_file=own[2],
            ),
        )
        self.clock = FakeClock()
        self.broker = Broker(self, five=five)
        self.broker.step = self._wait
        self.boots = 1
        self._served: object = None
        #: Called after each look at the clock and the store, and in each wait of a session.
        self.tended: Callable[[], None] = lambda: None
        self.waiting: Callable[[], None] = lambda: None

    @property
    def now_s(self) -> float:
        """The boot clock, also that of the broker."""
        return self.clock.boot_s()

    @now_s.setter
    def now_s(self, now_s: float) -> None:
        self.pass_by(max(1e-5, now_s - self.clock.boot_s()))  # no wait takes no time

    def start(self, opened: Callable[[], None]) -> None:
        """Open the store, and begin, up to the first wait."""
        self.store = self._open()
        self.wakeup = Wakeup()
        self.health = Health(
            live=lambda: live_facts(self.store), wall_s=self.clock.wall_s, boot_s=self.clock.boot_s
        )
        self.waits = SteppedWaits(self, self.health, self.wakeup)
        self.outbox: Outbox | None = None
        self.uplink = Uplink(
            self.config,
            self.store,
            birth=Birth("restart", None, self.clock.now()),
            facts=Facts(self.config, self.store, clock=self.clock, health=self.health),
            health=self.health,
            clock=self.clock,
            wakeup=self.wakeup,
            open_connection=self.broker.connection,
            waits=self.waits,
            monotonic_s=self.clock.boot_s,
        )
        opened()
        self.tend()
        self.turns = Turns(self.uplink.run)

    def tend(self) -> None:
        """Do what the sampler does beside records."""
        self.store.note_clock(self.clock.now(), is_set=self.clock.is_set())
        if self.clock.boot_s() >= self.store.flush_due_s():
            self.store.flush()
        self.tended()

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and have done what is due meanwhile."""
        until_s = self.clock.boot_s() + seconds
        while (left_s := until_s - self.clock.boot_s()) > 0:
            due_s = self.store.flush_due_s() - self.clock.boot_s()
            self.clock.pass_by(min(left_s, max(due_s, 0.001), 60.0))
            self.tend()

    def kill(self) -> None:
        """End the process as SIGKILL does; a trouble with the disk ends with it."""
        if not self.turns.ended:
            self.turns.go_on(KilledError())
        self._end()
        crash(self.store)

    def stop(self) -> None:
        """End the process in order."""
        self.uplink.stop(self.clock.boot_s() + 3.0)
        while not self.turns.ended:
            self.turns.go_on()
        self._end()
        self.store.close()

    def reboot(self, *, wall_s: float, is_set: bool) -> None:
        """Have another boot begin, after the end of the process."""
        self.boots += 1
        self.clock._boot_id = f"boot-{self.boots}"
        self.clock.now_boot_s = 10.0
        self.clock.now_wall_s, self.clock.was_set = wall_s, is_set

    def _wait(self) -> None:
        """Pause in a session; the outbox is the session's own, and known to nobody else."""
        if self._served is not self.broker.current:
            self._served, frame = self.broker.current, sys._getframe()
            while not isinstance(session := frame.f_locals.get("self"), Session):
                assert frame.f_back
                frame = frame.f_back
            self.outbox = session._outbox
        self.waiting()
        self.turns.pause()

    def _open(self) -> Store:
        store = open_store(self.config.store, wall_s=self.clock.wall_s, boot_s=self.clock.boot_s)
        assert (store.reset, store.memory_only) == ("", "")
        # A lock is waited for in real time, which nobody needs here.
        store._write_behind.db.execute("PRAGMA busy_timeout = 0")
        return store

    def _end(self) -> None:
        self.wakeup.close()
        self.broker.current = None
        self.outbox = None


def _pems() -> tuple[str, str, str]:
    authority, key = Authority("A root"), ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue_device(key.public_key())
    return certificate, key_pem(key).decode(), authority.pem


PEMS = _pems()
