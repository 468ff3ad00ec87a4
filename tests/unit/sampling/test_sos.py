"""Presses of an SOS button become records that go ahead, whatever else goes on."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest

from agent.config import SensorConfig
from agent.errors import StoreError
from agent.facts import LinkWatch
from agent.sampling.sos import WAITING_MAX, Sos
from agent.sensors import gpio
from tests import fakes
from tests.fake_kernel import FakeKernel
from tests.fakes import START_S, FakeDetector, PromptDetector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.model import Record
    from agent.sampling import Sampler
    from tests.unit.sampling.conftest import Bench


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[FakeKernel]:
    """A kernel with the header's chip."""
    made = FakeKernel(tmp_path)
    made.add("pinctrl-bcm2711")
    yield made
    made.close()


def button(
    bench: Bench, led_pin: int | None = None, led_night: str = "22:00-07:00", **keys: object
) -> tuple[SensorConfig, FakeDetector]:
    """A button, and its driver, which a test presses."""
    driver = bench.drivers["button"] = PromptDetector()
    options = gpio.Options(pin=5, active="low", role="sos", led_pin=led_pin, led_night=led_night)
    config = SensorConfig(name="button", driver="gpio", options=options, **keys)  # type: ignore[arg-type]
    return config, driver


def press(bench: Bench, sampler: Sampler, driver: FakeDetector, times: int = 1) -> None:
    """Have it pressed within a moment, and the sampler work for a second."""
    driver.seen += times
    bench.work(sampler, 1.0)


def calls(bench: Bench) -> list[Record]:
    """The records of presses."""
    return [one for one in bench.records() if one.kind == "events"]


def with_lamp(
    bench: Bench, kernel: FakeKernel, config: SensorConfig, *others: SensorConfig
) -> Sampler:
    """A sampler whose button has its lamp at GPIO 6 of `kernel`, and whose link is up."""
    sampler, link = bench.sampler(config, *others), LinkWatch(bench.clock)
    link.went_up()
    bench.recorders[-1]._sos = Sos(
        fakes.config(bench.directory, config, count=bench.count),
        bench.store,
        health=bench.health,
        link=link,
        open_lamp=partial(gpio.open_lamp, root=kernel.root, ioctl=kernel.ioctl),
    )
    return sampler


def lit(kernel: FakeKernel) -> bool:
    """True if that lamp is."""
    return kernel.chips[0].lines[6].active


def text(bench: Bench) -> str:
    """The condition of calls that wait."""
    found = bench.health.snapshot().conditions
    return next((one.text for one in found if one.code == "sos-waiting"), "")


def test_a_press_is_an_urgent_record_of_the_same_step(bench: Bench) -> None:
    """It has its time and the button's name, and is handed on before the sampler waits."""
    config, driver = button(bench)
    sampler = bench.sampler(config)
    bench.work(sampler, 10.0)
    handed_on = bench.stored
    driver.seen = 1
    bench.clock.pass_by(1.0)
    bench.settled(sampler)
    sampler.wait(0.0)

    (call,) = calls(bench)
    assert call.body == {"event": "sos", "sensor": "button"}
    assert START_S + 10 <= call.timestamp_s <= START_S + 11
    assert bench.store.urgent == (call.seq,)
    assert bench.stored == handed_on + 1


def test_it_is_neither_read_nor_counted(bench: Bench) -> None:
    """Beside a motion sensor that is: a call for help is no detection."""
    motion, _ = bench.motion()
    config, driver = button(bench)
    sampler = bench.sampler(motion, config)
    bench.work(sampler, 1.0)
    press(bench, sampler, driver, 3)
    bench.work(sampler, 600.0)

    assert [(one.kind, one.body.get("detect_count")) for one in bench.records()] == [
        ("events", None),
        ("count", 0),
    ]


def test_presses_within_two_seconds_are_one_call(bench: Bench) -> None:
    """Who is in need presses more than once; a while later it is another call."""
    config, driver = button(bench)
    sampler = bench.sampler(config)
    bench.work(sampler, 10.0)
    for _ in range(4):  # at 10, 11, 12 and 13 s or so
        press(bench, sampler, driver, 2)

    assert len(calls(bench)) == 2


def test_a_child_at_the_button_does_not_fill_the_store(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten calls wait at most; once they have arrived, the next press is one again."""
    config, driver = button(bench)
    sampler = bench.sampler(config)
    for _ in range(100):
        press(bench, sampler, driver)
        bench.work(sampler, 2.0)
    assert len(calls(bench)) == WAITING_MAX

    bench.store.acknowledge(*bench.store.urgent)
    press(bench, sampler, driver)
    bench.work(sampler, 2.0)
    assert len(calls(bench)) == 1
    assert caplog.text.count("10 calls wait already") == 1


def test_a_press_in_a_trial_says_so(bench: Bench) -> None:
    """With `test = true` it is sent all the same, so that the way is tried too."""
    config, driver = button(bench, test=True)
    sampler = bench.sampler(config)
    bench.work(sampler, 1.0)
    press(bench, sampler, driver)

    (call,) = calls(bench)
    assert call.body == {"event": "sos", "sensor": "button", "test": True}


def test_what_came_while_it_was_opened_is_no_press(bench: Bench) -> None:
    """The line may move when its bias is switched on."""
    config, driver = button(bench)
    driver.seen = 1
    bench.work(bench.sampler(config), 5.0)

    assert calls(bench) == []


def test_a_call_that_waits_is_told_until_it_has_arrived(bench: Bench) -> None:
    """With the local time of the press that has waited for longest."""
    config, driver = button(bench)
    sampler = bench.sampler(config)
    bench.work(sampler, 1.0)
    press(bench, sampler, driver)
    pressed = time.strftime("%H:%M", time.localtime(START_S + 1))
    told = f"button: it was pressed at {pressed}, and the message has not arrived yet"
    assert text(bench) == told
    bench.work(sampler, 600.0)
    press(bench, sampler, driver)
    assert text(bench) == told

    bench.store.acknowledge(bench.store.urgent[0])
    bench.work(sampler, 60.0)
    later = time.strftime("%H:%M", time.localtime(START_S + 602))
    assert later in text(bench)
    bench.store.acknowledge(*bench.store.urgent)
    bench.work(sampler, 60.0)
    assert text(bench) == ""


def test_a_call_of_the_process_before_is_told_though_the_button_has_gone(bench: Bench) -> None:
    """Who was in need then is told of now."""
    config, driver = button(bench)
    sampler = bench.sampler(config)
    bench.work(sampler, 1.0)
    press(bench, sampler, driver)
    bench.health._raised.clear()
    sampler.close()

    bench.work(bench.sampler(), 1.0)
    assert "has not arrived yet" in text(bench)


def test_a_button_wakes_nobody_while_nothing_is_pressed(bench: Bench) -> None:
    """No more often than any sensor: its line is looked at once a minute."""
    config, _ = button(bench)
    bench.drivers["button"] = FakeDetector()
    sampler = bench.sampler(config)
    bench.work(sampler, 60.0)

    assert bench.work(sampler, 600.0) <= 11


def test_the_lamp_follows_the_call(bench: Bench, kernel: FakeKernel) -> None:
    """It has the sampler wake twice a second while a call waits, and at no other time."""
    config, _ = button(bench, led_pin=6, led_night="off")
    bench.drivers["button"] = driver = FakeDetector()  # asked once a minute
    sampler = with_lamp(bench, kernel, config)
    line = kernel.chips[0].lines[6]
    bench.work(sampler, 60.0)
    assert lit(kernel)
    driver.seen = 1
    bench.work(sampler, 60.0)
    (call,) = calls(bench)
    levels = []
    for _ in range(8):
        bench.clock.pass_by(bench.settled(sampler))
        levels.append(lit(kernel))
    assert levels in ([True, False] * 4, [False, True] * 4)
    assert bench.work(sampler, 50.0) in range(100, 103)

    bench.store.acknowledge(call.seq)
    bench.store.remember(sos_arrived=f"{bench.clock.wall_s():.0f}")
    bench.work(sampler, 1.0)
    assert bench.work(sampler, 3000.0) <= 52
    assert lit(kernel)
    sampler.close()
    assert not lit(kernel)
    assert not line.holder


@pytest.mark.parametrize("restarts", [False, True])
def test_a_call_that_is_lost_is_not_shown_as_arrived(
    bench: Bench,
    kernel: FakeKernel,
    restarts: bool,  # noqa: FBT001
) -> None:
    """The lamp is dark for an hour, though the link is up and an earlier call has arrived."""
    config, driver = button(bench, led_pin=6, led_night="off")
    sampler = with_lamp(bench, kernel, config)
    bench.work(sampler, 10.0)
    bench.store.remember(sos_arrived=f"{bench.clock.wall_s():.0f}")
    press(bench, sampler, driver)
    bench.store.set_aside(bench.store.urgent[0], "no broker takes it")
    if restarts:
        sampler.close()
        sampler = with_lamp(bench, kernel, config)
    bench.work(sampler, 1.0)
    assert not lit(kernel)
    bench.work(sampler, 3500.0)
    assert not lit(kernel)

    bench.work(sampler, 120.0)
    assert lit(kernel)
    sampler.close()


def test_a_press_too_many_has_those_that_wait_tried(bench: Bench) -> None:
    """It is not kept, and the uplink is woken all the same."""
    config, driver = button(bench)
    sampler = bench.sampler(config)
    for _ in range(WAITING_MAX + 1):
        press(bench, sampler, driver)
        bench.work(sampler, 2.0)
    urged, handed_on = bench.store.urged, bench.stored
    press(bench, sampler, driver)

    assert len(calls(bench)) == WAITING_MAX
    assert bench.store.urged == urged + 1
    assert bench.stored == handed_on + 1


def test_the_lamp_goes_out_though_the_store_fails(bench: Bench, kernel: FakeKernel) -> None:
    """A light of an agent that has gone would say that the button works."""
    config, _ = button(bench, led_pin=6, led_night="off")
    sampler = with_lamp(bench, kernel, config, bench.motion()[0])
    bench.work(sampler, 10.0)
    assert lit(kernel)

    def fail(*_: object, **__: object) -> NoReturn:
        raise StoreError("it takes nothing", hint="")

    bench.store.append = fail  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        sampler.close()
    assert not lit(kernel)


def test_a_motion_sensor_loads_nothing_of_it(bench: Bench) -> None:
    """Memory is for those who have a button."""
    motion, _ = bench.motion()
    bench.sampler(motion)

    assert bench.recorders[-1]._sos is None


@pytest.mark.parametrize("mode", ["arrived", "forged", "nan", "inf"])
def test_what_the_file_says_of_an_arrival_is_judged(bench: Bench, mode: str) -> None:
    """A number that is spoiled lights no lamp."""
    config, _ = button(bench)
    sampler = bench.sampler(config)
    value = f"{START_S - 10:.0f}" if mode == "arrived" else mode
    bench.store.remember(sos_arrived=value)
    sos = bench.recorders[-1]._sos

    assert sos is not None
    assert sampler is not None
    assert sos._is_recent("sos_arrived", START_S) == (mode == "arrived")
    assert not sos._is_recent("sos_arrived", START_S + 3600)
    assert not sos._is_recent("sos_arrived", START_S - 3600)
