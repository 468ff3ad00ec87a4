"""A sensor is one flag, whose values become what its driver's keys want."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.questions import UsageError
from agent.cli.sensor_flags import problem, tables


@pytest.mark.parametrize(
    ("flag", "table"),
    [
        ("motion=gpio:21", {"driver": "gpio", "pin": 21}),
        ("hall=gpio,chip=gpiochip4,line=7", {"driver": "gpio", "chip": "gpiochip4", "line": 7}),
        ("hall=gpio,line=BUTTON", {"driver": "gpio", "line": "BUTTON"}),
        ("room=onewire", {"driver": "onewire"}),
        ("room=onewire:28-0119433bc5ff", {"driver": "onewire", "id": "28-0119433bc5ff"}),
        ("air=iio:bme280,at=1-0076", {"driver": "iio", "device": "bme280", "at": "1-0076"}),
        ("volts=hwmon:42", {"driver": "hwmon", "device": "42"}),
        ("cpu=thermal", {"driver": "thermal"}),
        ("board=system,interval_s=300", {"driver": "system", "interval_s": 300}),
        ("try=simulated:0.5", {"driver": "simulated", "detections_per_s": 0.5}),
        (
            "door=gpio:20,active=low,debounce_ms=20,test=true",
            {"driver": "gpio", "pin": 20, "active": "low", "debounce_ms": 20, "test": True},
        ),
        (
            "tank=exec:/bin/level --metric,quantity=level_m",
            {"driver": "exec", "command": ["/bin/level", "--metric"], "quantity": "level_m"},
        ),
        ("motion=gpio:GPIO21", {"driver": "gpio", "pin": 21}),
        ("motion=gpio,pin=bcm 21", {"driver": "gpio", "pin": 21}),
        (
            "tank=exec:/bin/level 'the tank' \"\" -m",
            {"driver": "exec", "command": ["/bin/level", "the tank", "", "-m"]},
        ),
        ("tank=exec:/bin/level 'the tank", {"driver": "exec", "command": "/bin/level 'the tank"}),
        ("x=plug-in,n=nan,t=1\nu=2", {"driver": "plug-in", "n": "nan", "t": "1\nu=2"}),
        ("x=plug-in,n=1" + 400 * "0", {"driver": "plug-in", "n": 10**400}),
        ("x=plug-in,depth=3,place=a b", {"driver": "plug-in", "depth": 3, "place": "a b"}),
    ],
)
def test_a_flag_is_a_table(flag: str, table: dict[str, object]) -> None:
    """Each value is of the kind that its key takes; a plug-in's is what TOML makes of it."""
    name = flag.partition("=")[0]
    assert tables([flag]) == {name: {"name": name, **table}}


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("motion", "--sensor motion: expected NAME=DRIVER"),
        ("=gpio:21", "expected NAME=DRIVER"),
        ("motion=", "expected NAME=DRIVER"),
        ("motion=gpio:", "expected NAME=DRIVER"),
        ("motion=gpio:21,", "expected KEY=VALUE instead of ''"),
        ("motion=gpio:21,low", "expected KEY=VALUE instead of 'low'"),
        ("motion=gpio:21,name=x", "expected KEY=VALUE instead of 'name'"),
        ("motion=gpio:21,pin=20", "pin is given twice"),
        ("board=system:all", "the driver system takes no argument"),
        ("x=plug-in:3", "a plug-in's argument has a key"),
    ],
)
def test_what_is_no_sensor_is_told(flag: str, words: str) -> None:
    """With the flag."""
    with pytest.raises(UsageError, match=f"--sensor {flag}") as caught:
        tables([flag])
    assert words in caught.value.text


@pytest.mark.parametrize(
    ("flag", "words", "hint"),
    [
        ("motion=pir:21", "'pir' is none of the built-in drivers; it is read by", "motion=gpio:21"),
        ("motion=PIR:GPIO17", 'it is read by driver = "gpio", pin = 17', "motion=gpio:17"),
        ("motion=GPIO:21", '; type driver = "gpio"', "motion=gpio:21"),
        ("air=IIO:bme280", '; type driver = "iio"', "air=iio:bme280"),
        ("room=dht22:4", "with dtoverlay=dht11,gpiopin=4 in", "room=iio:dht11"),
        ("room=DHT22:GPIO17", "with dtoverlay=dht11,gpiopin=17 in", "room=iio:dht11"),
        ("x=DS18B20:4", 'it is read by driver = "onewire", with', "x=onewire"),
        ("far=hc-sr04:23", "a program of yours may read it", "far=exec:/usr/local/bin/..."),
    ],
)
def test_a_part_is_told_with_the_flag_that_has_it_read(flag: str, words: str, hint: str) -> None:
    """Its argument goes where the driver takes one."""
    with pytest.raises(UsageError, match=f"--sensor {flag}: ") as caught:
        tables([flag])
    assert words in caught.value.text
    assert caught.value.hint == f"type --sensor {hint}"


def test_a_name_is_given_once() -> None:
    """Two sensors of one name would be one."""
    with pytest.raises(UsageError, match="a is given twice"):
        tables(["a=system", "b=system", "a=onewire"])


@pytest.mark.parametrize(
    ("driver", "key", "value", "words"),
    [
        ("gpio", "pin", 21, ""),
        ("gpio", "pin", 99, "53"),
        ("gpio", "no_such_key", 99, ""),
        ("", "name", "a b", "1 to 64 of the characters"),
        ("plug-in", "interval_s", 0, "0.05"),
    ],
)
def test_a_value_is_held_against_its_key(driver: str, key: str, value: object, words: str) -> None:
    """Those that every sensor has, and the driver's own."""
    told = problem(driver, key, value)
    assert words in told
    assert bool(told) == bool(words)


@given(st.text("ab=:,1.\n\"'[]{}#é \0") | st.text())
def test_whatever_is_typed_is_a_table_or_told(flag: str) -> None:
    """The table is a sensor's, whose values TOML has words for."""
    with suppress(UsageError):
        ((name, table),) = tables([flag]).items()
        assert (table["name"], flag.startswith(f"{name}={table['driver']}")) == (name, True)
        assert all(isinstance(value, str | int | float | list) for value in table.values())
