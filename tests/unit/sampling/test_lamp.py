"""The lamp beside an SOS button, at an output of a kernel that a test drives."""

from __future__ import annotations

import errno
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import SensorConfig
from agent.health.health import Health
from agent.sampling.lamp import AGAIN_S, Lamp, is_night
from agent.sensors import gpio
from tests import fake_kernel
from tests.fake_kernel import ACTIVE_LOW, OUTPUT, FakeKernel, FakeLine
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIN = 6
AT = "/dev/gpiochip0 line 6 (GPIO6)"
DAY_S, NIGHT_S = 12 * 3600, 23 * 3600  # of the first day, in UTC


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Bench:
    """A board with a button's lamp at GPIO 6."""

    def __init__(self, root: Path) -> None:
        self.kernel = FakeKernel(root)
        self.kernel.add("pinctrl-bcm2711")
        self.clock = FakeClock(wall_s=DAY_S)
        self.health = Health()

    def lamp(self, **options: Any) -> Lamp:  # noqa: ANN401 -- keys of any kind
        """A lamp."""
        keys: dict[str, Any] = {"pin": 5, "role": "sos", "led_pin": PIN, **options}
        config = SensorConfig(name="button", driver="gpio", options=gpio.Options(**keys))
        request = partial(gpio.open_lamp, root=self.kernel.root, ioctl=self.kernel.ioctl)
        return Lamp(config, self.health, request)

    def shown(
        self, lamp: Lamp, *, waits: bool = False, arrived: bool = False, works: bool = False
    ) -> bool:
        """Whether it is lit then."""
        lamp.show(self.clock.now(), waits=waits, arrived=arrived, works=works)
        return self.line.active

    @property
    def line(self) -> FakeLine:
        """GPIO 6."""
        return self.kernel.chips[0].lines[PIN]

    def conditions(self) -> list[tuple[str, str, str]]:
        """Code, text and hint of what stands, without the board's root."""
        return [
            (one.code, one.text.replace(f"{self.kernel.root}/", "/"), one.hint)
            for one in self.health.snapshot().conditions
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One."""
    made = Bench(tmp_path)
    yield made
    made.kernel.close()


@pytest.mark.parametrize("active", ["high", "low"])
def test_it_blinks_while_a_call_waits(bench: Bench, active: str) -> None:
    """Half a second lit, half a second dark, whichever level lights it."""
    lamp = bench.lamp(led_active=active)
    seen = []
    for _ in range(6):
        seen.append(bench.shown(lamp, waits=True))
        bench.clock.pass_by(0.5)

    assert seen == [True, False] * 3
    assert bench.line.flags == OUTPUT | (ACTIVE_LOW if active == "low" else 0)
    assert bench.line.high == (active == "low")


def test_it_is_steady_when_the_call_has_arrived_at_night_too(bench: Bench) -> None:
    """Who pressed is to see it, whether or not the link has gone since."""
    bench.clock.jump(NIGHT_S - DAY_S)

    assert bench.shown(bench.lamp(), arrived=True)


@pytest.mark.parametrize(
    ("wall_s", "online", "lit"),
    [(DAY_S, True, True), (DAY_S, False, False), (NIGHT_S, True, False), (NIGHT_S, False, False)],
)
def test_else_it_says_by_day_that_the_button_works(
    bench: Bench,
    wall_s: float,
    online: bool,  # noqa: FBT001
    lit: bool,  # noqa: FBT001
) -> None:
    """Lit while there is a connection; dark at night."""
    bench.clock.now_wall_s = wall_s

    assert bench.shown(bench.lamp(), works=online) == lit


@pytest.mark.parametrize(
    ("span", "at", "dark"),
    [
        ("22:00-07:00", "21:59", False),
        ("22:00-07:00", "22:00", True),
        ("22:00-7:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("1:00-5:30", "00:59", False),
        ("1:00-5:30", "05:29", True),
        ("off", "03:00", False),
        ("", "03:00", False),
    ],
)
def test_the_night_is_local(span: str, at: str, dark: bool) -> None:  # noqa: FBT001
    """From its beginning to before its end, over midnight or not."""
    hours, minutes = map(int, at.split(":"))

    assert is_night(span, hours * 3600 + minutes * 60) == dark


def test_one_that_cannot_be_had_is_told_and_tried_again(bench: Bench) -> None:
    """Somebody else has the pin, until it is free."""
    holder = gpio.open_lamp(
        gpio.Options(pin=5, role="sos", led_pin=PIN),
        root=bench.kernel.root,
        ioctl=bench.kernel.ioctl,
    )
    bench.line.consumer = "fan"
    lamp = bench.lamp()
    bench.shown(lamp, waits=True)

    assert bench.conditions() == [
        (
            "sensor-failing",
            f"button led: {AT} is in use by fan; calls are sent all the same",
            "use another pin, or end what holds it (fan)",
        )
    ]
    holder.close()
    assert not bench.shown(lamp, waits=True)  # not yet
    bench.clock.pass_by(AGAIN_S)
    assert bench.shown(lamp, waits=True)
    assert bench.conditions() == []


def test_it_asks_for_no_more_looks_than_it_needs(bench: Bench) -> None:
    """Each half second while it blinks, each minute while it cannot be had, else none."""
    lamp, now = bench.lamp(), bench.clock.now()

    def due_in_s(*, waits: bool) -> float:
        return lamp.show(now, waits=waits, arrived=False, works=True) - now.boot_s

    assert due_in_s(waits=False) == math.inf
    assert 0 < due_in_s(waits=True) <= 0.5
    lamp.close()
    bench.kernel.troubles[fake_kernel.SET_VALUES] = errno.ENODEV
    assert due_in_s(waits=True) == AGAIN_S


def test_one_whose_chip_goes_is_told(bench: Bench) -> None:
    """As with any sensor; its line is given back."""
    lamp = bench.lamp()
    bench.shown(lamp, works=True)
    bench.kernel.troubles[fake_kernel.SET_VALUES] = errno.ENODEV
    bench.shown(lamp, works=False)

    assert [code for code, *_ in bench.conditions()] == ["sensor-failing"]
    assert not bench.line.holder


def test_it_goes_out_with_the_agent(bench: Bench) -> None:
    """A lamp that nobody tends says nothing."""
    lamp = bench.lamp()
    assert bench.shown(lamp, works=True)
    lamp.close()
    lamp.close()

    assert not bench.line.active
    assert not bench.line.holder
