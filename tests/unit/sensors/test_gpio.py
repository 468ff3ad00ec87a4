"""GPIO lines, on a kernel that a test drives."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load
from agent.errors import ConfigError, NoDataError, SensorError
from agent.sensors import Detections, Sensor, gpio, options_of
from agent.value import replace
from tests import fake_kernel
from tests.fake_kernel import FakeKernel, FakeLine
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The kernel's own clock, against the boot clock: the machine has slept for so long.
SLEPT_S = 400.0


class Bench:
    """A board with the header's chip, a clock, and a sensor at GPIO 21."""

    def __init__(self, root: Path) -> None:
        self.kernel = FakeKernel(root)
        self.clock = FakeClock()

    def monotonic_s(self) -> float:
        """CLOCK_MONOTONIC."""
        return self.clock.boot_s() - SLEPT_S

    def driver(self, **options: Any) -> gpio.Gpio:  # noqa: ANN401 -- keys of any kind
        """The open driver."""
        return gpio.open_driver(
            gpio.Options(**(options if "line" in options else {"pin": 21, **options})),
            clock=self.clock,
            root=self.kernel.root,
            ioctl=self.kernel.ioctl,
            monotonic_s=self.monotonic_s,
        )

    def sensor(self, **options: Any) -> Sensor:  # noqa: ANN401 -- as above
        """The open sensor."""
        return Sensor("motion", self.driver(**options), built_in=True)

    @property
    def line(self) -> FakeLine:
        """GPIO 21."""
        return self.kernel.chips[0].lines[21]

    def edge(self, *, active: bool, lost: int = 0) -> None:
        """An edge at this moment, with its event, after some that were `lost`."""
        self.line.tell(self.monotonic_s(), active=active, lost=lost)

    def pulse(self, length_s: float) -> None:
        """Active for so long, and inactive for as long."""
        for active in (True, False):
            self.edge(active=active)
            self.clock.pass_by(length_s)

    def refused(self, **options: Any) -> tuple[str, str]:  # noqa: ANN401 -- as above
        """Text and hint of the error that opening ends with, without the board's root."""
        with pytest.raises(SensorError) as caught:
            self.driver(**options)
        return caught.value.text.replace(f"{self.kernel.root}/", "/"), caught.value.hint


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bench]:
    """A board without a chip."""
    bench = Bench(tmp_path)
    yield bench
    bench.kernel.close()


@pytest.fixture
def bench(bare: Bench) -> Bench:
    """A Raspberry Pi 4's header."""
    bare.kernel.add("pinctrl-bcm2711")
    return bare


def rounded(seen: Detections) -> Detections:
    """The same; times of a clock are sums of fractions."""
    return replace(seen, active_s=round(seen.active_s, 6))


@pytest.mark.parametrize("active", ["high", "low"])
def test_a_detection_and_its_time_are_seen(bench: Bench, active: str) -> None:
    """Whichever level means that it detects."""
    bench.line.high = active == "low"
    motion = bench.sensor(active=active)
    assert motion.detects
    assert motion.drain() == Detections(0, 0.0)
    bench.clock.pass_by(10.0)
    bench.edge(active=True)
    bench.clock.pass_by(3.0)
    assert motion.read().values == {"active": 1.0}
    bench.edge(active=False)
    bench.clock.pass_by(1.0)

    assert motion.read().values == {"active": 0.0}
    assert rounded(motion.drain()) == Detections(1, 3.0, 2)
    assert motion.drain() == Detections(0, 0.0)
    motion.close()


def test_an_edge_counts_from_when_it_was(bench: Bench) -> None:
    """By the kernel's stamp, which is the end of the debounce time, on another clock than ours."""
    motion = bench.sensor(debounce_ms=50)
    bench.clock.pass_by(10.0)
    began_s = bench.monotonic_s()
    bench.line.tell(began_s + 0.05, active=True)
    bench.line.tell(began_s + 2.05, active=False)
    bench.clock.pass_by(7.0)
    assert rounded(motion.drain()) == Detections(1, 2.0, 2)
    motion.close()


def test_active_time_is_told_once_it_is_steady(bench: Bench) -> None:
    """Asked while it may be ending, it tells of none that turns out not to have been."""
    motion = bench.sensor(debounce_ms=200)
    rose_s = bench.monotonic_s()
    bench.clock.pass_by(0.2)
    bench.line.tell(bench.monotonic_s(), active=True)
    bench.clock.pass_by(0.8)
    bench.line.high = False  # which the kernel does not believe yet
    bench.line.high = True
    bench.clock.pass_by(0.1)
    first = motion.drain()
    bench.line.tell(rose_s + 1.2, active=False)  # it fell a second after it rose
    bench.clock.pass_by(5.0)
    second = motion.drain()
    assert first.count + second.count == 1
    assert round(first.active_s + second.active_s, 6) == 1.0
    assert second.active_s >= 0
    motion.close()


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({"active": "high"}, {9}),
        ({"active": "low"}, {1, 8}),
        ({"active": "high", "bias": "pull-up"}, {8}),
        ({"active": "low", "bias": "pull-down"}, {1, 9}),
        ({"bias": "off"}, {10}),
        ({"pull": "up"}, {8}),
        ({"pull": "down", "active": "low"}, {1, 9}),
        ({"pull": "none"}, {10}),
    ],
)
def test_without_a_wire_the_line_does_not_detect(
    bench: Bench, options: dict[str, str], flags: set[int]
) -> None:
    """Unless its bias is chosen otherwise, by today's key or the older one."""
    motion = bench.driver(**options)
    input_of_both_edges = 1 << 2 | 1 << 4 | 1 << 5
    assert bench.line.flags == input_of_both_edges | sum(1 << flag for flag in flags)
    assert bench.line.consumer == "pi-iot-agent"
    motion.close()


@pytest.mark.parametrize(("debounce_ms", "asked_us"), [(50, 50_000), (0.5, 500), (0, 0)])
def test_the_kernel_debounces_and_keeps_as_much_as_it_can(
    bench: Bench, debounce_ms: float, asked_us: int
) -> None:
    """1024 changes: those of a second, until the next look, of a line that changes fast."""
    motion = bench.driver(debounce_ms=debounce_ms)
    assert (bench.line.debounce_us, bench.line.buffer) == (asked_us, 1024)
    motion.close()


def test_a_line_active_from_the_beginning_is_no_detection_but_active(bench: Bench) -> None:
    """A door that stands open when the agent starts: the kernel tells of no edge."""
    bench.line.high = True
    door = bench.sensor(debounce_ms=0)
    bench.clock.pass_by(60.0)
    assert door.drain() == Detections(0, 60.0)
    door.close()


def test_a_level_is_active_until_it_ended_not_until_that_was_certain(bench: Bench) -> None:
    """It is told as long as it is steady; nothing is told twice, or taken back."""
    bench.line.high = True
    driver = bench.driver(debounce_ms=200)
    assert driver.drain() == (0, 0.0, 0, 0)
    door = Sensor("door", driver)
    bench.clock.pass_by(5.0)
    assert rounded(door.drain()) == Detections(0, 4.8)
    bench.clock.pass_by(1.2)
    bench.edge(active=False)
    assert rounded(door.drain()) == Detections(0, 1.2, 1)
    bench.clock.pass_by(5.0)
    assert door.drain() == Detections(0, 0.0)
    door.close()


def test_an_edge_before_the_first_look_is_in_what_was_seen(bench: Bench) -> None:
    """It comes between the request and the reading of the level."""
    motion = bench.sensor(debounce_ms=0)
    bench.line.tell(bench.monotonic_s() - 0.001, active=False)
    bench.clock.pass_by(1.0)
    bench.edge(active=True)
    assert motion.drain() == Detections(1, 0.0, 1)
    motion.close()


def test_a_change_without_an_event_is_noticed_and_told_as_lost(bench: Bench) -> None:
    """The level is looked at whenever the detections are asked for."""
    motion = bench.sensor(debounce_ms=0)
    bench.line.high = True
    bench.clock.pass_by(5.0)
    assert motion.drain() == Detections(0, 0.0)  # a moment later it may yet be told
    bench.clock.pass_by(5.0)
    assert motion.drain() == Detections(0, 0.0, 0, 1)
    bench.clock.pass_by(5.0)
    assert motion.drain() == Detections(0, 5.0)
    motion.close()


def test_a_change_that_is_told_late_is_not_lost(bench: Bench) -> None:
    """The level is ahead of the events for a moment."""
    motion = bench.sensor(debounce_ms=0)
    bench.line.high = True
    motion.drain()
    bench.edge(active=True)
    bench.line.high = False
    assert motion.drain().lost == 0
    bench.edge(active=False)
    assert motion.drain() == Detections(0, 0.0, 1)
    motion.close()


def test_what_the_kernel_had_to_let_go_is_told_as_lost(bench: Bench) -> None:
    """The numbers of the events have a gap then; those that stay are counted."""
    motion = bench.sensor(debounce_ms=0)
    bench.edge(active=True, lost=7)
    bench.clock.pass_by(1.0)
    bench.edge(active=False)
    bench.edge(active=False, lost=2)  # of a pulse whose beginning is among the two
    assert rounded(motion.drain()) == Detections(1, 1.0, 3, 9)
    motion.close()


def test_a_pulse_too_short_to_time_is_a_detection(bench: Bench) -> None:
    """Both of its edges were one interrupt, after which the level was what it was before."""
    motion = bench.sensor(debounce_ms=0)
    bench.clock.pass_by(1.0)
    bench.edge(active=False)
    assert motion.drain() == Detections(1, 0.0, 1)
    bench.pulse(1.0)
    bench.edge(active=False)
    assert rounded(motion.drain()) == Detections(2, 1.0, 3)
    motion.close()


def test_the_first_event_may_be_of_before(bench: Bench) -> None:
    """It came while the level was read, which is that after it: no detection."""
    motion = bench.sensor(debounce_ms=0)
    bench.edge(active=False)
    assert motion.drain() == Detections(0, 0.0, 1)
    motion.close()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["rise", "fall", "lose", "drain"]),
            st.integers(1, 3_000),  # milliseconds before it
        ),
        max_size=60,
    ),
    st.sampled_from([0, 50, 2_000]),
)
def test_whatever_happens_at_the_line_is_counted_or_told(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int]], debounce_ms: int
) -> None:
    """Each event is a change, each gap is lost; no time is active that was not watched."""
    bench = Bench(tmp_path_factory.mktemp("board"))
    bench.kernel.add("pinctrl-rp1")
    motion = bench.sensor(debounce_ms=debounce_ms)
    began_s = bench.clock.boot_s()
    told = [motion.drain()]
    rises = falls = lost = gap = 0
    for what, after_ms in history:
        bench.clock.pass_by(after_ms / 1000)
        if what == "drain":
            told.append(motion.drain())
        elif what == "lose":
            gap += 1
        else:
            bench.edge(active=what == "rise", lost=gap)
            rises, falls, lost, gap = (
                rises + (what == "rise"),
                falls + (what == "fall"),
                lost + gap,
                0,
            )
    told += [motion.drain(), motion.drain()]
    motion.close()
    bench.kernel.close()

    assert sum(one.edges for one in told) == rises + falls
    assert sum(one.lost for one in told) == lost
    assert rises <= sum(one.count for one in told) <= rises + falls
    active_s = sum(one.active_s for one in told)
    assert -1e-6 <= active_s <= bench.clock.boot_s() - began_s + 1e-6


@pytest.mark.parametrize("label", ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"])
def test_the_headers_chip_is_found_whatever_its_number(bare: Bench, label: str) -> None:
    """By its label: the kernel of a Raspberry Pi 5 numbered it anew more than once."""
    for number in (0, 1, 2, 11):
        bare.kernel.add("gpio-brcmstb@107d508500", 32, at=number, names="2712_{}")
    header = bare.kernel.add(label, at=10, names="-")
    bare.driver(pin=53).close()
    assert [line.flags != 0 for line in header.lines] == [False] * 53 + [True]


def test_elsewhere_a_pin_is_found_by_the_name_of_its_line(bare: Bench) -> None:
    """Boards of others name their lines as a Raspberry Pi does."""
    bare.kernel.add("other", 4, at=0, names="X{}")
    lines = bare.kernel.add("1c20800.pinctrl", 64, at=1).lines
    lines[7].name, lines[21].name = "GPIO21", "PA21"
    bare.driver(pin=21).close()
    assert lines[7].flags
    assert not lines[21].flags


@pytest.mark.parametrize("chip", ["gpiochip4", "/dev/gpiochip4", "expander"])
@pytest.mark.parametrize("line", [3, "door"])
def test_any_line_of_any_chip_can_be_named(bare: Bench, chip: str, line: int | str) -> None:
    """The chip by its name, its path or its label, the line by its offset or its name."""
    bare.kernel.add("pinctrl-bcm2711")
    expander = bare.kernel.add("expander", 16, at=4, names="P{}")
    expander.lines[3].name = "door"
    bare.driver(chip=chip, line=line).close()
    assert expander.lines[3].flags


def test_a_line_is_found_by_its_name_alone(bare: Bench) -> None:
    """Names that somebody gave are good for that."""
    bare.kernel.add("pinctrl-bcm2711")
    bare.kernel.add("expander", 16, at=1, names="P{}").lines[5].name = "door"
    bare.driver(line="door").close()
    assert bare.kernel.chips[1].lines[5].flags


def test_a_chip_that_is_a_link_is_looked_at_once(bare: Bench) -> None:
    """Raspberry Pi OS has one where the chip was before."""
    header = bare.kernel.add("pinctrl-rp1", at=0)
    (bare.kernel.root / "dev/gpiochip4").symlink_to("gpiochip0")
    bare.driver(pin=21).close()
    assert header.lines[21].flags
    bare.driver(chip="gpiochip4", line=3).close()


def test_where_a_pin_is_not_the_chips_that_are_there_are_told(bare: Bench) -> None:
    """With their labels, and how to name one."""
    bare.kernel.add("INT34C5:00", 4, names="")
    bare.kernel.add("", 4, at=10, names="")
    bare.kernel.add("PCA9555", 16, at=2, names="")
    (bare.kernel.root / "dev/gpiochip4").symlink_to("gpiochip0")
    text, hint = bare.refused(pin=21)
    chips = "/dev/gpiochip0 (INT34C5:00), /dev/gpiochip2 (PCA9555), /dev/gpiochip10"
    assert text == f"GPIO 21 is at none of the chips: {chips}"
    assert 'chip = "gpiochip0"' in hint
    assert bare.refused(chip="pca9555", line=3)[0].startswith("pca9555 line 3 is at none of")
    assert bare.refused(line="door")[0].startswith("line door is at none of")


def test_what_is_at_several_chips_is_told(bare: Bench) -> None:
    """A label, the name of a line: the one would be taken for the other that is unplugged."""
    bare.kernel.add("usb-lines", at=0, names="DOOR{}")
    bare.kernel.add("usb-lines", at=1, names="DOOR{}")
    chips = "/dev/gpiochip0 (usb-lines), /dev/gpiochip1 (usb-lines)"
    for wanted in ({"chip": "usb-lines", "line": 3}, {"line": "DOOR3"}):
        text, hint = bare.refused(**wanted)
        assert text.endswith(f" is at several chips: {chips}")
        assert "give the path of one" in hint
    bare.driver(chip="/dev/gpiochip1", line=3).close()


@pytest.mark.parametrize(
    ("held_by", "pin", "hint"),
    [
        ("pi-iot-agent", 21, "sudo systemctl stop pi-iot-agent, or another sensor has this pin"),
        ("pi-iot-agent", 4, "sudo systemctl stop pi-iot-agent"),
        ("onewire@4", 4, "dtoverlay=w1-gpio in /boot/firmware/config.txt has it: use another pin"),
        ("w1", 17, "dtoverlay=w1-gpio in /boot/firmware/config.txt has it: use another pin"),
        ("?", 4, "dtoverlay=w1-gpio in /boot/firmware/config.txt has it: use another pin"),
        ("dht11@4", 4, "dtoverlay=dht11 in /boot/firmware/config.txt has it: use another pin"),
        ("dht11@11", 17, "dtoverlay=dht11 in /boot/firmware/config.txt has it: use another pin"),
        ("my-relay", 4, "end what holds it (my-relay)"),
        ("spi0 CS0", 8, "dtparam=spi=on in /boot/firmware/config.txt has it: use another pin"),
        ("i2c-sda", 2, "dtparam=i2c_arm=on in /boot/firmware/config.txt has it: use another pin"),
        ("sysfs", 21, "end what holds it (sysfs)"),
    ],
)
def test_who_holds_a_busy_pin_is_told(bench: Bench, held_by: str, pin: int, hint: str) -> None:
    """By the kernel's word, and what to do about it."""
    bench.kernel.chips[0].lines[pin].consumer = held_by
    text, told = bench.refused(pin=pin)
    holder = held_by if held_by != "?" else "something without a name"
    assert text == f"/dev/gpiochip0 line {pin} (GPIO{pin}) is in use by {holder}"
    assert hint in told


def test_a_line_that_is_not_there_is_told_with_what_is(bench: Bench) -> None:
    """How many lines the chip has."""
    text, _ = bench.refused(chip="gpiochip0", line=54)
    assert text == "/dev/gpiochip0 line 54: the chip has 54 lines, 0 to 53"


def test_a_machine_without_pins_is_told_as_that(bare: Bench) -> None:
    """No permission would help."""
    text, hint = bare.refused(pin=21)
    assert text == "GPIO 21: this machine has no GPIO chip"
    assert "allow" not in hint


def test_no_chip_at_all_is_allowed_by_setup(bare: Bench) -> None:
    """The service sees none before that, though the kernel has one."""
    (bare.kernel.root / "sys/bus/gpio/devices/gpiochip0").mkdir(parents=True)
    text, hint = bare.refused(pin=21)
    assert text == "GPIO 21: no GPIO chip is at /dev"
    assert hint == "sudo pi-iot-agent setup --allow"
    text, hint = bare.refused(chip="gpiochip4", line=3)
    assert text == "gpiochip4 line 3: /dev/gpiochip4: there is no such chip"
    assert "sudo pi-iot-agent setup --allow" in hint


@pytest.mark.parametrize("make", [os.mkfifo, Path.touch, Path.mkdir])
def test_what_is_no_chip_is_told_at_once(bench: Bench, make: Any) -> None:  # noqa: ANN401 -- any maker
    """A pipe that nobody writes to does not hold it up."""
    make(bench.kernel.root / "dev/gpiochip7")
    text, _ = bench.refused(chip="gpiochip7", line=3)
    assert text == "gpiochip7 line 3: /dev/gpiochip7: this is no GPIO chip"
    bench.driver(pin=21).close()


@pytest.mark.parametrize(
    ("code", "trouble", "expected"),
    [
        (fake_kernel.CHIP_INFO, errno.ENODEV, "/dev/gpiochip0: the chip is gone"),
        (fake_kernel.CHIP_INFO, errno.EACCES, "/dev/gpiochip0: this user may not open it"),
        (fake_kernel.GET_LINE, errno.EPERM, "line 21 (GPIO21): this user may not open it"),
        (fake_kernel.GET_LINE, errno.EMFILE, "line 21 (GPIO21): Too many open files"),
        (fake_kernel.GET_LINE, errno.ENXIO, "line 21 (GPIO21): it has no interrupt"),
        (fake_kernel.LINE_INFO, errno.EIO, "/dev/gpiochip0 line 21: Input/output error"),
        (fake_kernel.GET_VALUES, errno.ENODEV, "line 21 (GPIO21): the chip is gone"),
    ],
)
def test_each_refusal_of_the_kernel_is_told_with_chip_and_line(
    bench: Bench, code: int, trouble: int, expected: str
) -> None:
    """And nothing is left open."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    bench.kernel.troubles[code] = trouble
    text, hint = bench.refused(pin=21)
    assert expected in text
    assert hint
    bench.kernel.close()
    assert len(list(descriptors.iterdir())) == before


def test_a_person_who_may_not_is_told_of_the_group(bench: Bench) -> None:
    """And the service's owner of setup."""
    bench.kernel.troubles[fake_kernel.CHIP_INFO] = errno.EACCES
    hint = bench.refused(pin=21)[1]
    assert "setup --allow" in hint
    assert "group gpio" in hint


def test_a_kernel_too_old_is_told(bench: Bench) -> None:
    """It knows chips, but not how we ask for lines."""
    bench.kernel.old = True
    text, _ = bench.refused(pin=21)
    assert text == "/dev/gpiochip0 line 21: this kernel is older than Linux 5.10, which it takes"


def test_a_chip_that_goes_is_an_error_at_the_next_look(bench: Bench) -> None:
    """And one that comes back, with another number, is found again."""
    motion = bench.sensor()
    bench.kernel.remove(bench.kernel.chips[0])
    with pytest.raises(SensorError, match=r"gpiochip0 line 21 \(GPIO21\): the chip is gone"):
        motion.drain()
    motion.close()
    bench.kernel.add("pinctrl-bcm2711", at=3)
    bench.driver(pin=21).close()


def test_events_that_were_read_are_told_though_the_level_is_out_of_reach(bench: Bench) -> None:
    """What happened before the chip went; then it is an error."""
    motion = bench.sensor()
    bench.clock.pass_by(1.0)
    bench.pulse(0.5)
    bench.kernel.remove(bench.kernel.chips[0])
    assert motion.drain().count == 1
    with pytest.raises(SensorError, match="the chip is gone"):
        motion.drain()
    motion.close()


def test_a_bus_that_fails_now_and_then_costs_nothing(bench: Bench) -> None:
    """The line stays open, and the next look tells; the third failure in a row is one."""
    motion = bench.sensor()
    for _ in range(3):
        bench.kernel.troubles[fake_kernel.GET_VALUES] = errno.EREMOTEIO
        bench.clock.pass_by(1.0)
        assert motion.drain() == Detections(0, 0.0)
        with pytest.raises(NoDataError, match=r"line 21 \(GPIO21\): Remote I/O error") as caught:
            motion.read()
        assert "bus" in caught.value.hint
        bench.pulse(0.5)
        assert motion.drain().count == 1
        bench.kernel.troubles.clear()
        assert motion.drain().count == 0
    bench.kernel.troubles[fake_kernel.GET_VALUES] = errno.EREMOTEIO
    for _ in range(2):
        assert motion.drain().count == 0
    with pytest.raises(SensorError, match="Remote I/O error"):
        motion.drain()
    motion.close()


def test_the_descriptor_is_readable_when_there_is_something_to_drain(bench: Bench) -> None:
    """Until it is drained; a minute later the level is looked at anyway."""
    driver = bench.driver(debounce_ms=0)
    poll = select.poll()
    poll.register(driver, select.POLLIN)
    assert not poll.poll(0)
    bench.edge(active=True)
    assert poll.poll(0)
    driver.drain()
    assert not poll.poll(0)
    assert driver.quiet_s() == 60.0
    driver.close()
    driver.close()
    assert driver.fileno() == -1


def test_only_a_pin_of_the_processor_is_asked_without_a_thread(bench: Bench) -> None:
    """A chip on a bus is asked over the bus, which may hang; its events are waited for as well."""
    pin = bench.sensor()
    bench.kernel.add("pcf8574", at=7)
    expander = bench.sensor(pin=None, chip="pcf8574", line=0)
    assert (pin.instant, expander.instant) == (True, False)
    assert None not in {pin.descriptor, expander.descriptor}
    for sensor in (pin, expander):
        sensor.close()


def test_a_line_of_ours_is_free_once_closed(bench: Bench) -> None:
    """Not before: one pin is one sensor's."""
    driver = bench.driver()
    assert "in use by pi-iot-agent" in bench.refused(pin=21)[0]
    driver.close()
    bench.driver().close()


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("", "sensors[0].pin: is missing; for a chip that is not the header's: chip and line"),
        ("pin = 54", "sensors[0].pin: must be from 0 to 53, got 54"),
        ("pin = -1", "sensors[0].pin: must be from 0 to 53, got -1"),
        ('pin = 21\nline = "a"\nchip = "b"', "sensors[0].line: does not go with pin"),
        ('pin = 21\nchip = "b"', "sensors[0].chip: does not go with pin"),
        ("line = 3", "sensors[0].chip: is missing; it goes with the number of a line"),
        ("line = true", "sensors[0].line: expected a number, or a name of at most 31 characters"),
        ('chip = "gpiochip0"', "sensors[0].pin: is missing"),
        ('pin = 21\nbias = "up"', 'bias: expected "pull-up" or "pull-down" or "off", got "up"'),
        ('pin = 21\nbias = "off"\npull = "up"', "sensors[0].pull: is the older name of bias"),
        ('pin = 21\nrole = "help"', 'role: expected "sos"'),
        ("pin = 21\nled_pin = 6", 'sensors[0].led_pin: goes with role = "sos" alone'),
        (
            'pin = 21\nrole = "sos"\nled_pin = 21',
            "sensors[0].led_pin: is the pin of the button; the LED takes another",
        ),
        ('pin = 21\nrole = "sos"\nled_night = "22-7"', "sensors[0].led_night: expected times as"),
        ('pin = 21\nrole = "sos"\nled_pin = "GPIO 6"', "led_pin: expected an integer"),
    ],
)
def test_keys_that_do_not_go_together_are_a_problem(
    tmp_path: Path, keys: str, problem: str
) -> None:
    """Told with the key."""
    path = tmp_path / "agent.toml"
    path.write_text(f'[[sensors]]\nname = "motion"\ndriver = "gpio"\n{keys}\n')
    with pytest.raises(ConfigError) as caught:
        load(path, options_of=options_of)
    assert problem in caught.value.text


@pytest.mark.parametrize("keys", ["pin = 0", 'line = "door"', 'chip = "gpiochip4"\nline = 0'])
def test_a_pin_or_a_line_is_enough(tmp_path: Path, keys: str) -> None:
    """Everything else has a default."""
    path = tmp_path / "agent.toml"
    path.write_text(f'[[sensors]]\nname = "motion"\ndriver = "gpio"\n{keys}\n')
    assert load(path, options_of=options_of).sensors[0].options
