"""Leaks of a plug-in are noticed before what it keeps is short for the others."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sampling.leaks import FILES_MAX, THREADS_MAX, Leaks
from agent.sampling.poll import Poll, Poller
from agent.sensors import Sensor
from tests.fakes import FakeClock, FakeDriver

if TYPE_CHECKING:
    from agent.clock import Clock


class Leaking(FakeDriver):
    """Opens a file at each read and keeps it, in a list that goes with it or as a bare number."""

    def __init__(self, descriptors: list[int] | None = None) -> None:
        super().__init__()
        self.descriptors = descriptors
        self.files: list[object] = []

    def read(self) -> dict[str, float]:
        """Leave one more open."""
        self.reads += 1
        if self.descriptors is None:
            self.files.append(open("/dev/null"))  # noqa: SIM115, PTH123 -- it leaks
        else:
            self.descriptors.append(os.open("/dev/null", os.O_RDONLY))
        return {}


def poller(driver: type[FakeDriver] | FakeDriver, kind: str = "leaking") -> Poller:
    """Looks at a sensor of a plug-in, made anew at each opening or always the same."""

    def open_sensor(config: SensorConfig, *, clock: Clock) -> Sensor:
        del clock
        return Sensor(config.name, driver() if isinstance(driver, type) else driver)

    well = SensorConfig(name="well", driver=kind)
    return Poller(well, FakeClock(), open_sensor, counted=False, leaks=Leaks())


def test_what_is_given_back_is_no_leak() -> None:
    """However often it is taken; nor is what was open before."""
    leaks = Leaks()
    for _ in range(3 * FILES_MAX):
        with leaks.watch("well"):
            os.close(os.open("/dev/null", os.O_RDONLY))
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
    with leaks.watch("well"):
        pass


def test_threads_that_stay_are_a_leak_until_they_end() -> None:
    """The same as files."""
    release = threading.Event()
    leaks = Leaks()
    threads = [threading.Thread(target=release.wait, args=(30.0,)) for _ in range(THREADS_MAX + 1)]
    for thread in threads:
        with leaks.watch("well"):
            thread.start()
    told = f"well: it leaves threads running, {THREADS_MAX + 1} by now"
    with pytest.raises(SensorError, match=told), leaks.watch("well"):
        pytest.fail("it was called")
    release.set()
    for thread in threads:
        thread.join()
    with leaks.watch("well"):
        pass


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # that is what this is about
def test_a_plug_in_that_leaves_files_open_loses_them_with_its_sensor() -> None:
    """It is a failure, with its driver the files go, and it may begin anew."""
    polls = poller(Leaking)
    poll = polls.poll(Poll(None, due=True))
    reads = 1
    while not poll.error:
        poll = polls.poll(Poll(poll.sensor, due=True))
        reads += 1
    assert reads == FILES_MAX + 2
    assert poll.error.text == f"well: it leaves files open, {FILES_MAX + 1} by now"
    assert poll.sensor is None
    assert polls.poll(Poll(None, due=True)).error is None


def test_what_nobody_can_close_keeps_the_sensor_shut() -> None:
    """So that it does not take the others' files in the end."""
    descriptors: list[int] = []
    polls = poller(Leaking(descriptors))
    poll = polls.poll(Poll(None, due=True))
    for _ in range(FILES_MAX + 5):
        poll = polls.poll(Poll(poll.sensor, due=True))
    assert poll.error
    assert len(descriptors) == FILES_MAX + 1
    for descriptor in descriptors:
        os.close(descriptor)
    assert polls.poll(Poll(None, due=True)).error is None
    os.close(descriptors.pop())


def test_built_in_drivers_are_not_watched() -> None:
    """They give back what they take, and are looked at the cheaper."""
    descriptors: list[int] = []
    polls = poller(Leaking(descriptors), "thermal")
    poll = polls.poll(Poll(None, due=True))
    for _ in range(2 * FILES_MAX):
        poll = polls.poll(Poll(poll.sensor, due=True))
    assert poll.error is None
    for descriptor in descriptors:
        os.close(descriptor)
