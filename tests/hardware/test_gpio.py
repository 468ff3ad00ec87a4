"""The driver `gpio` keeps its word on the kernel's own character device."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.config import SensorConfig
from agent.errors import SensorError
from agent.sensors import Detections, Sensor, open_sensor
from agent.sensors.gpio import Options
from tests import timing
from tests.hardware import lines
from tests.hardware.chips import LINES, Chip

ROOT = Path(__file__).parents[2]
PIN = 21


def opened(**options: object) -> closing[Sensor]:
    """The sensor at pin 21, or where `options` say; without debouncing unless they say so."""
    if not options.keys() & {"pin", "line"}:
        options["pin"] = PIN
    config = SensorConfig(
        name="door",
        driver="gpio",
        options=Options(**{"debounce_ms": 0.0, **options}),  # type: ignore[arg-type]
    )
    return closing(open_sensor(config, clock=Clock()))


def wait_event(sensor: Sensor) -> None:
    """Wait until there is something to drain."""
    descriptor = sensor.descriptor
    assert descriptor is not None
    ready, _, _ = select.select([descriptor], [], [], 10)
    assert ready, "no event"


class TestFinding:
    """A pin of the header, or any line of any chip."""

    @pytest.mark.parametrize("label", ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"])
    def test_the_header_is_the_chip_of_that_label_whatever_its_number(self, label: str) -> None:
        """Another chip is the first, and has a line of the pin's name."""
        with (
            Chip({3: f"GPIO{PIN}"}, label="raspberrypi-exp-gpio", name="other") as other,
            Chip(label=label) as header,
            opened() as sensor,
        ):
            assert other.number < header.number
            header.pulse(PIN)
            assert sensor.drain().count == 1
            other.pulse(3)
            assert sensor.drain().count == 0

    def test_without_such_a_chip_the_pin_is_the_line_of_its_name(self) -> None:
        """On a kernel whose chip has another label."""
        with Chip({5: f"GPIO{PIN}"}, label="new-pinctrl") as chip, opened() as sensor:
            chip.pulse(5)
            assert sensor.drain().count == 1
            chip.pulse(PIN)
            assert sensor.drain().count == 0

    @pytest.mark.parametrize("chip_name", ["gpiochip{}", "/dev/gpiochip{}", "usb-lines"])
    @pytest.mark.parametrize("line", [7, "DOOR"])
    def test_a_line_of_another_chip_goes_by_chip_and_line(
        self, chip_name: str, line: int | str, chip: Chip
    ) -> None:
        """The chip by name, path or label; the line by number or name."""
        with (
            Chip({7: "DOOR"}, label="usb-lines", name="other") as other,
            opened(chip=chip_name.format(other.number), line=line) as sensor,
        ):
            other.pulse(7)
            assert sensor.drain().count == 1
            chip.pulse(7)
            assert sensor.drain().count == 0

    def test_two_chips_of_one_label_are_told(self) -> None:
        """One of them would be taken for the other, as soon as that is unplugged."""
        with (
            Chip(label="usb-lines") as first,
            Chip(label="usb-lines", name="other") as second,
            pytest.raises(SensorError, match=rf"{first.path} .*{second.path}"),
        ):
            opened(chip="usb-lines", line=3)

    def test_where_there_is_no_chip_the_error_says_so(self) -> None:
        """As in a service that may see none."""
        with pytest.raises(SensorError, match="no GPIO chip"):
            opened()

    def test_where_the_pin_is_nowhere_the_chips_are_named(self) -> None:
        """By path and label."""
        with (
            Chip(label="usb-lines") as chip,
            pytest.raises(SensorError, match=rf"{chip.path} \(usb-lines\)"),
        ):
            opened()

    def test_a_line_beyond_the_last_is_told_with_their_number(self, chip: Chip) -> None:
        """The kernel itself says no more than EINVAL."""
        with pytest.raises(SensorError, match=rf"{chip.path} line 99.* {LINES} lines"):
            opened(chip=chip.path.name, line=99)

    @pytest.mark.parametrize("path", ["/dev/null", "/proc/version", "/dev", "/dev/gone", "{fifo}"])
    def test_what_is_no_chip_is_told_and_never_waited_for(self, path: str, tmp_path: Path) -> None:
        """A device, a file, a directory, nothing, a pipe."""
        os.mkfifo(tmp_path / "fifo")
        path = path.format(fifo=tmp_path / "fifo")
        with pytest.raises(SensorError, match=f"{path}: (this is no GPIO|there is no such) chip"):
            opened(chip=path, line=3)


class TestRequest:
    """The line is set up as the options say."""

    @pytest.mark.parametrize(
        ("options", "bias"),
        [
            ({}, lines.PULL_DOWN),
            ({"active": "low"}, lines.PULL_UP),
            ({"bias": "pull-up"}, lines.PULL_UP),
            ({"bias": "pull-down", "active": "low"}, lines.PULL_DOWN),
            ({"bias": "off"}, lines.BIAS_OFF),
        ],
    )
    def test_the_bias_is_set(self, options: dict[str, object], bias: int, chip: Chip) -> None:
        """By default the line is drawn to where it does not detect."""
        drawn = {lines.PULL_UP: "pull-up", lines.PULL_DOWN: "pull-down", lines.BIAS_OFF: "pull-up"}
        chip.set(PIN, high=bias != lines.PULL_UP)
        with opened(**options):
            flags = lines.look(chip.path, PIN).flags
            assert flags & (lines.PULL_UP | lines.PULL_DOWN | lines.BIAS_OFF) == bias
            assert bool(flags & lines.ACTIVE_LOW) == ("active" in options)
            assert chip.pull(PIN) == drawn[bias]

    def test_the_holder_is_named(self, chip: Chip) -> None:
        """Whoever looks with gpioinfo sees who has the line; afterwards it is free."""
        with opened():
            assert lines.look(chip.path, PIN).consumer == "pi-iot-agent"
        assert lines.look(chip.path, PIN).consumer == ""

    @pytest.mark.parametrize("active", ["high", "low"])
    def test_a_line_that_is_active_already_is_active_but_no_detection(
        self, active: str, chip: Chip
    ) -> None:
        """The kernel has no event for it."""
        chip.set(PIN, high=active == "high")
        with opened(active=active, bias="off") as sensor:
            time.sleep(0.05)
            seen = sensor.drain()
            assert (seen.count, seen.edges, seen.lost) == (0, 0, 0)
            assert seen.active_s >= 0.05
            chip.set(PIN, high=active != "high")
            assert sensor.drain().count == 0

    @pytest.mark.parametrize("consumer", ["onewire@0", "spi0 CS0", "somebody"])
    def test_a_line_that_another_process_holds_is_told_with_its_holder(
        self, consumer: str, chip: Chip
    ) -> None:
        """By the name that the holder gave the kernel."""
        holding = [sys.executable, "-m", "tests.hardware.lines", str(chip.path), str(PIN), consumer]
        pipe = subprocess.PIPE
        with subprocess.Popen(holding, cwd=ROOT, stdin=pipe, stdout=pipe) as holder:
            assert holder.stdout
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(SensorError, match=rf"{chip.path} line {PIN}.*{consumer}"):
                opened()
            holder.communicate()
        with opened() as sensor:
            assert sensor.read().values == {"active": 0.0}

    @pytest.mark.usefixtures("chip")
    def test_a_line_of_ours_is_told_as_ours(self) -> None:
        """Another sensor, or a running agent."""
        with opened(), pytest.raises(SensorError, match="pi-iot-agent") as caught:
            opened()
        assert "systemctl stop pi-iot-agent" in caught.value.hint


class TestCounting:
    """Every edge is counted, or told as lost."""

    def test_ten_thousand_pulses_of_5_ms_are_counted(self, chip: Chip) -> None:
        """Drained once a second, as the agent does: none is missing and none is lost."""
        total = Detections(0, 0.0)
        with opened() as sensor:
            due_s = time.monotonic()
            for _ in range(10_000):
                chip.pulse(PIN, for_s=0.005)
                if time.monotonic() >= due_s:
                    due_s += 1
                    total = added(total, sensor.drain())
            total = added(total, sensor.drain())
        assert (total.count, total.edges, total.lost) == (10_000, 20_000, 0)
        assert total.active_s >= 0.99 * 10_000 * 0.005

    @pytest.mark.parametrize("active", ["high", "low"])
    def test_while_the_reader_sleeps_what_does_not_fit_is_told_as_lost(
        self, active: str, chip: Chip
    ) -> None:
        """Edges that were read and edges that were lost are all that there were."""
        with opened(active=active) as sensor:
            for _ in range(1000):
                chip.pulse(PIN, low=active == "low")
            seen = sensor.drain()
            assert seen.lost > 0
            assert seen.edges + seen.lost == 2000
            assert seen.count == seen.edges / 2
            chip.pulse(PIN, low=active == "low")
            seen = sensor.drain()
            assert (seen.count, seen.edges, seen.lost) == (1, 2, 0)

    def test_chatter_below_the_debounce_time_is_one_detection(self, chip: Chip) -> None:
        """It is told once the line is steady, and lasts from its last edge on."""
        debounce_s = 0.5
        with opened(debounce_ms=debounce_s * 1000) as sensor:
            for _ in range(10):
                chip.pulse(PIN, for_s=0.002)
            steady_s = time.monotonic()
            chip.set(PIN, high=True)
            wait_event(sensor)
            assert time.monotonic() >= steady_s + debounce_s
            assert sensor.drain().count == 1
            chip.set(PIN, high=False)
            lasted_s = time.monotonic() - steady_s
            wait_event(sensor)
            seen = sensor.drain()
            assert (seen.count, seen.lost) == (0, 0)
            assert seen.active_s <= lasted_s + timing.allowed_s(0.02)

    def test_pulses_above_the_debounce_time_are_a_detection_each(self, chip: Chip) -> None:
        """However many: each level is held until it counts."""
        count, began_s = 0, time.monotonic()
        with opened(debounce_ms=10) as sensor:
            for _ in range(20):
                for high in (True, False):
                    chip.set(PIN, high=high)
                    wait_event(sensor)
                    count += sensor.drain().count
        assert count == 20
        assert time.monotonic() - began_s < timing.allowed_s(1.0)

    @pytest.mark.parametrize("active", ["high", "low"])
    def test_the_active_time_is_that_of_the_edges(self, active: str, chip: Chip) -> None:
        """Not that of the draining."""
        with opened(active=active) as sensor:
            began_s = time.monotonic()
            chip.set(PIN, high=active == "high")
            after_s = time.monotonic()
            time.sleep(0.3)
            before_s = time.monotonic()
            chip.set(PIN, high=active != "high")
            ended_s = time.monotonic()
            time.sleep(0.3)
            seen = sensor.drain()
        assert before_s - after_s <= seen.active_s <= ended_s - began_s


class TestUnplugging:
    """A chip may go at any time, and come back under another number."""

    def test_a_chip_that_goes_is_an_error_at_the_next_look(self, chip: Chip) -> None:
        """Also where nobody was woken; a new wait ends at once."""
        with opened() as sensor:
            chip.pulse(PIN)
            path = chip.path
            chip.unplug()
            wait_event(sensor)
            with pytest.raises(SensorError, match=f"{path}.*gone"):
                sensor.drain()
            with pytest.raises(SensorError, match="gone"):
                sensor.read()
            chip.plug()

    def test_the_level_is_looked_at_once_a_minute(self, chip: Chip) -> None:
        """Linux 6.1 does not end a wait that has begun when the chip goes."""
        del chip
        with opened() as sensor:
            assert sensor.quiet_s() <= 60

    def test_a_chip_that_comes_back_is_found_under_its_new_number(self, chip: Chip) -> None:
        """As often as it happens."""
        numbers = {chip.number}
        for _ in range(3):
            with opened() as sensor:
                chip.unplug()
                chip.plug()
                numbers.add(chip.number)
                with pytest.raises(SensorError, match="gone"):
                    sensor.drain()
            with opened() as sensor:
                chip.pulse(PIN)
                assert sensor.drain().count == 1
        assert len(numbers) > 1


def added(one: Detections, other: Detections) -> Detections:
    """Both together."""
    return Detections(
        one.count + other.count,
        one.active_s + other.active_s,
        one.edges + other.edges,
        one.lost + other.lost,
    )
