"""Pins that two want are told before anybody waits for what is never detected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import load
from agent.config.pins import OTHER, overlays
from agent.sensors import options_of

if TYPE_CHECKING:
    from pathlib import Path


def warned(directory: Path, *sensors: str, config_txt: str = "", path: str = "") -> list[str]:
    """Warnings of pins, of a configuration with these sensors."""
    place = directory / (path or "boot/firmware/config.txt")
    if config_txt:
        place.parent.mkdir(parents=True)
        place.write_text(config_txt)
    tables = [f'[[sensors]]\nname = "s{number}"\n{table}\n' for number, table in enumerate(sensors)]
    file = directory / "agent.toml"
    file.write_text("".join(tables) + '[count]\nsensor = "s0"\n')
    found = load(file, options_of=options_of, root=directory).warnings
    return [one for one in found if one.startswith("sensors: ")]


def pin(number: int) -> str:
    """A sensor at a pin."""
    return f'driver = "gpio"\npin = {number}'


def line(line: int | str, chip: str = "") -> str:
    """A sensor at a line."""
    name = f'"{line}"' if isinstance(line, str) else line
    return f'driver = "gpio"\nline = {name}' + (f'\nchip = "{chip}"' if chip else "")


ONEWIRE = 'driver = "onewire"'


def test_two_sensors_at_one_pin_are_a_warning(tmp_path: Path) -> None:
    """Both are named; one alone goes on to work."""
    assert warned(tmp_path, pin(21), pin(20), pin(21)) == [
        "sensors: s2 is at GPIO21, which the sensor s0 has: use another pin for one of them"
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (line(3, "gpiochip1"), line(3, "/dev/gpiochip1"), True),
        (line(3, "gpiochip1"), line(4, "gpiochip1"), False),
        (line(3, "gpiochip1"), line(3, "gpiochip2"), False),
        (line("door"), line("door"), True),
        (line("GPIO21"), pin(21), True),
        (line(21, "pinctrl-rp1"), pin(21), True),
        (line("GPIO21", "pinctrl-bcm2711"), pin(21), True),
        (line(21, "gpiochip0"), pin(21), True),
        (line(21, "0"), pin(21), True),
        (line(21, "/dev/gpiochip0"), line("GPIO21", "pinctrl-rp1"), True),
        (line("GPIO21", "gpiochip0"), pin(21), True),
        (line(21, "gpiochip1"), pin(21), False),
        (line(21, "gpiochip2"), pin(21), False),
        (line(21, "pca9555"), pin(21), False),
        (pin(0), pin(0), True),
    ],
)
def test_one_line_may_have_several_names(
    tmp_path: Path, one: str, other: str, *, same: bool
) -> None:
    """The header's chip is known by its label, and by its number where the kernel tells it."""
    for number, compatible in enumerate(("raspberrypi,rp1-gpio", "brcm,brcmstb-gpio")):
        node = tmp_path / f"sys/bus/gpio/devices/gpiochip{number}/of_node/compatible"
        node.parent.mkdir(parents=True)
        node.write_bytes(compatible.encode() + b"\0")
    assert bool(warned(tmp_path, one, other)) == same


@pytest.mark.parametrize(
    ("config_txt", "told"),
    [
        ("", "1-Wire (where config.txt says no other pin)"),
        ("dtoverlay=w1-gpio\n", "dtoverlay=w1-gpio in /boot/firmware/config.txt"),
        ("dtoverlay=w1-gpio,gpiopin=17\n", ""),
        ("[all]\nenable_uart=1\n", "1-Wire (where config.txt says no other pin)"),
    ],
)
def test_the_pin_that_1_wire_has_is_a_warning(tmp_path: Path, config_txt: str, told: str) -> None:
    """GPIO 4, unless config.txt says another."""
    found = warned(tmp_path, pin(4), ONEWIRE, config_txt=config_txt)
    pins = [f"sensors: s0 is at GPIO4, which {told} has: use another pin for one of them"]
    assert found == (pins if told else [])


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (40, " (its pin 40 is GPIO21)"),
        (29, " (its pin 29 is GPIO5)"),
        (39, ""),
        (50, ""),
    ],
)
def test_a_pin_that_no_header_has_is_a_warning(tmp_path: Path, number: int, advice: str) -> None:
    """Most who write one have counted the header's pins; who knows better names chip and line."""
    assert warned(tmp_path, pin(number), pin(27), line(41, "pinctrl-rp1")) == [
        f"sensors: s0: no header has GPIO{number}{advice}; if it is meant, give chip and line"
    ]


def test_without_1_wire_its_pin_is_free(tmp_path: Path) -> None:
    """As any other."""
    assert warned(tmp_path, pin(4), pin(17)) == []


@pytest.mark.parametrize("path", ["boot/firmware/config.txt", "boot/config.txt"])
def test_the_pin_that_an_overlay_has_is_a_warning(tmp_path: Path, path: str) -> None:
    """Whether a sensor of ours uses it or not."""
    text = "# dtoverlay=w1-gpio\n[pi4]\n dtoverlay=dht11,gpiopin=22\r\n"
    found = warned(tmp_path, pin(22), pin(4), config_txt=text, path=path)
    told = f"s0 is at GPIO22, which dtoverlay=dht11 in /{path} has"
    assert found == [f"sensors: {told}: use another pin for one of them"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dtoverlay=w1-gpio", [("w1-gpio", 4)]),
        (
            "dtoverlay=w1-gpio-pullup,gpiopin=17,extpullup=6",
            [("w1-gpio-pullup", 17), ("w1-gpio-pullup", 6)],
        ),
        ("dtoverlay=w1-gpio-pullup", [("w1-gpio-pullup", 4), ("w1-gpio-pullup", 5)]),
        (
            "dtoverlay=gpio-shutdown\ndtoverlay=gpio-fan,gpiopin=14,temp=60000",
            [("gpio-shutdown", 3), ("gpio-fan", 14)],
        ),
        ("dtoverlay=pps-gpio,gpiopin=27\ndtoverlay=vc4-kms-v3d", [("pps-gpio", 27)]),
        ("dtoverlay=w1-gpio:gpiopin=17", [("w1-gpio", 17)]),
        ("\ufeffdtoverlay = w1-gpio , gpiopin = 17 ", [("w1-gpio", 17)]),
        ("dtoverlay=dht11,gpiopin=0x11", [("dht11", 17)]),
        ("dtoverlay=dht11,gpiopin=0X1b\r\n", [("dht11", 27)]),
        ("dtoverlay=dht11,gpiopin=017", [("dht11", 17)]),
        ("device_tree_overlay=w1-gpio\ndevice_tree_param=gpiopin=18", [("w1-gpio", 18)]),
        ("dtoverlay=w1-gpio-pi5,pullup=on", [("w1-gpio-pi5", 4)]),
        ("dtoverlay=w1-gpio\ndtparam=gpiopin=18\ndtparam=i2c_arm=on", [("w1-gpio", 18)]),
        ("dtoverlay=dht11 , gpiopin=5  # cellar", [("dht11", 5)]),
        ("dtoverlay=w1-gpio\ndtoverlay=w1-gpio,gpiopin=5", [("w1-gpio", 4), ("w1-gpio", 5)]),
        ("dtoverlay=w1-gpio\ndtoverlay=\ndtparam=gpiopin=18", [("w1-gpio", 4)]),
        ("#dtoverlay=w1-gpio\ndtoverlay=vc4-kms-v3d\ngpiopin=3\n=\n\0,", []),
    ],
)
def test_overlays_are_read_as_the_firmware_does(text: str, expected: list[tuple[str, int]]) -> None:
    """Parameters stand behind the overlay, or in lines of their own after it."""
    assert list(overlays(text)) == expected


def test_a_config_txt_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """It is no part of our configuration."""
    (tmp_path / "boot/firmware/config.txt").mkdir(parents=True)
    assert warned(tmp_path, pin(4)) == []


def test_the_led_of_a_button_takes_a_pin_too(tmp_path: Path) -> None:
    """Of a sensor, of another LED, of the kernel's, or one that is not there."""
    button = f'{pin(5)}\nrole = "sos"\nled_pin = '
    assert warned(tmp_path, pin(6), button + "6") == [
        f"sensors: the LED of s1 is at GPIO6, which the sensor s0 has: {OTHER}"
    ]
    assert warned(tmp_path, button + "6", pin(6)) == [
        "sensors: s1 is at GPIO6, which the LED of s0 has: use another pin for one of them"
    ]
    assert warned(tmp_path, button + "40", pin(6)) == [
        "sensors: the LED of s0: no header has GPIO40 (its pin 40 is GPIO21); give led_pin another"
    ]
    (told,) = warned(tmp_path, button + "4", ONEWIRE)
    assert "the LED of s0 is at GPIO4, which 1-Wire" in told
