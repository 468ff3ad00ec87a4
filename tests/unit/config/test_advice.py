"""What is typed or pasted wrongly is told with its line and with what to type instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import sensors
from agent.config import load
from agent.errors import ConfigError
from tests.unit.config.conftest import check_told, write

if TYPE_CHECKING:
    from pathlib import Path

#: Rows that are wrong, and the advice on each.
TYPED = {
    "// mine": "a remark begins with #",
    "; mine": "a remark begins with #",
    "-- mine": "a remark begins with #",
    "REM mine": "a remark begins with #",
    "{": "this is TOML, not JSON",
    "<html>": "save the file as plain text",
    "{\\rtf1": "save the file as plain text",
    "```toml": "leave out what is not of the file itself",
    "$ nano agent.toml": "leave out what is not of the file itself",
    "export NAME=attic": "a line is [table], key = value, or # and a remark",
    "*": "a line is [table], key = value, or # and a remark",
    "[mqtt": "[ ends with ]",
    "[[sensors]": "[[ ends with ]]",
    "[my thing]": "the name of a table is one word",
    "[mqtt]:": "a header stands alone on its line",
    "[mqtt] port = 1": "a header stands alone on its line",
    "mqtt]": "[ is missing",
    'name: "a"': "type = instead of :",
    'name := "a"': "type = instead of :",
    'name => "a"': "type = instead of =>",
    'name == "a"': "type one = only",
    'name = = "a"': "type one = only",
    'name "a"': "= is missing",
    "name =": "the value is missing",
    "name = # none": "the value is missing",
    "name = attic": 'a text needs quotes: "..."',
    "name = `attic`": 'a text needs quotes: "..."',
    "name = &quot;a&quot;": 'a text needs quotes: "..."',
    "name = /etc/x": 'a text needs quotes: "..."',
    "name = 10.0.0.7": 'a text needs quotes: "..."',
    "name = 3.1.1": 'a text needs quotes: "..."',
    "name = 28-0119433bc5ff": 'a text needs quotes: "..."',
    "name = [a, b]": 'a text needs quotes: "..."',
    "name = ''a''": "a text stands in one pair of quotes",
    'name = "a" b"': "a text stands in one pair of quotes",
    'name = "a': "a quote is missing",
    "name = 'a": "a quote is missing",
    'name = ["a" "b"]': "a , between two values is missing, or the ] at the end",
    'name = ("a", "b")': "a list stands in [ ]",
    "test = True": "write true or false in small letters",
    "test = yes": "type true or false",
    "name = None": "leave out the whole line",
    "max_mib = 0,5": "type a point for decimals, as 0.5",
    "max_rows = 1,000,000": "type a point for decimals, as 0.5, and nothing between thousands",
    "max_mib = .5": "a number begins with a digit, as 0.5",
    "max_mib = 5.": "a number ends with a digit, as 5.0",
    "port = 08883": "a number does not begin with 0",
    "port = 0X22": "write 0x in small letters",
    "port = ++1": "type one sign only",
    "window_s = 600s": "leave out the unit",
    "max_mib = 50 %": "leave out the unit",
    'name = "a" // mine': "a remark begins with #",
    'name = "a";': "nothing stands at the end of the line",
    "port = 1,": "nothing stands at the end of the line",
    'ca_file = "C:\\Users\\ca.pem"': 'in "..." a \\ begins an escape; type / or \\\\',
    'ca_file = "C:\\certs\\ca.pem"': 'in "..." a \\ begins an escape; type / or \\\\',
    "[thing]": "put what stands below both into one table",
    "first = 2": "the key is there twice; take one out",
}

#: Rows with a character that was pasted, and what is told of it.
PASTED = {
    "name = \u201cattic\u201d": 'U+201C (LEFT DOUBLE QUOTATION MARK); type " instead',
    "\u201cname\u201d = 'attic'": 'U+201C (LEFT DOUBLE QUOTATION MARK); type " instead',
    "[\u201cmqtt\u201d]": 'U+201C (LEFT DOUBLE QUOTATION MARK); type " instead',
    "name = [\u201ca\u201d, \u201cb\u201d]": 'U+201C (LEFT DOUBLE QUOTATION MARK); type " instead',
    'name = ["a\u201d, "b"]': 'U+201D (RIGHT DOUBLE QUOTATION MARK); type " instead',
    'name = "a\u201d': 'U+201D (RIGHT DOUBLE QUOTATION MARK); type " instead',
    "name = \u2018attic\u2019": "U+2018 (LEFT SINGLE QUOTATION MARK); type ' instead",
    "name = \u201eattic\u201c": 'U+201E (DOUBLE LOW-9 QUOTATION MARK); type " instead',
    "name = \u2033attic\u2033": 'U+2033 (DOUBLE PRIME); type " instead',
    "\xa0name = 1": "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    "name\xa0= 1": "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    "name =\xa01": "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    "name = 1\xa0": "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    "[mqtt]\xa0": "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    "name\u202f= 1": "U+202F (NARROW NO-BREAK SPACE); type a plain space instead",
    "name\u2007= 1": "U+2007 (FIGURE SPACE); type a plain space instead",
    "name =\u20031": "U+2003 (EM SPACE); type a plain space instead",
    "na\u200bme = 1": "U+200B (ZERO WIDTH SPACE); take it out",
    "\ufeffname = 1": "U+FEFF (ZERO WIDTH NO-BREAK SPACE); take it out",
    "\u200ename = 1": "U+200E (LEFT-TO-RIGHT MARK); take it out",
    "na\xadme = 1": "U+00AD (SOFT HYPHEN); take it out",
    "name\u2028= 1": "U+2028 (LINE SEPARATOR); take it out",
    "name \uff1d 1": "U+FF1D (FULLWIDTH EQUALS SIGN); type = instead",
    "port = \uff18\uff18\uff18\uff13": "U+FF18 (FULLWIDTH DIGIT EIGHT); type 8 instead",
    "\uff3bmqtt\uff3d": "U+FF3B (FULLWIDTH LEFT SQUARE BRACKET); type [ instead",
    "\uff03 mine": "U+FF03 (FULLWIDTH NUMBER SIGN); type # instead",
    "\u2014 mine": "U+2014 (EM DASH); type - instead",
    "n\u0430me = 1": "U+0430 (CYRILLIC SMALL LETTER A)",
    "name = 1\0": "U+0000 (NULL); take it out",
    "# mine\0": "U+0000 (NULL); take it out",
    "name = 1\f": "U+000C (FORM FEED); take it out",
    "\x1b[0mname = 1": "U+001B (ESCAPE); take it out",
    "name = 1\rport = 2": "U+000D (CARRIAGE RETURN); take it out",
}

PIN = "[[sensors]]\nname = 'x'\ndriver = 'gpio'\n"
EXEC = "[[sensors]]\nname = 'x'\ndriver = 'exec'\ncommand = "

#: Values that are wrong within their quotes.
VALUES = {
    '[thing]\nname = "living\xa0room"': "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    '[thing]\nname = "a\u201cb"': 'U+201C (LEFT DOUBLE QUOTATION MARK); type " instead',
    '[aws]\nregion = "eu\u2013west\u20131"': "U+2013 (EN DASH); type - instead",
    '[aws]\nprofile = "\u201cmine\u201d"': "has quotes within its quotes; take them out",
    '[mqtt]\nprotocol = "5\u200b"': "U+200B (ZERO WIDTH SPACE); take it out",
    '[mqtt]\nca_file = "\u201c/etc/ca.pem\u201d"': "has quotes within its quotes; take them out",
    '[mqtt]\nport = "8883"': 'expected an integer, got "8883"; leave out the quotes',
    '[store]\nmax_mib = "0.5"': 'expected a number, got "0.5"; leave out the quotes',
    '[thing]\n"name\xa0" = "a"': "unknown key: U+00A0 (NO-BREAK SPACE)",
    '[[sensors]]\nname = "a"\ndriver = "gpio\xa0"': "U+00A0 (NO-BREAK SPACE)",
    '[count]\nsensor = "mo\u2013tion"': "U+2013 (EN DASH); type - instead",
    "[thing]\nNAME = 'a'": "unknown key; did you mean name?",
    "[thing]\nregion = 'a'": "unknown key; it belongs below [aws]",
    f"[mqtt]\nport = {'5' * 5000}": "a number has too many digits",
    "[aws]\nregion = 'EU-WEST-1'": 'in small letters: "eu-west-1"',
    "window_s = 5": "unknown key; it belongs below [count]",
    "name = 'a'": "unknown key; it belongs below [thing] or [[sensors]]",
    "pin = 5": "unknown key; a key stands below the header of its table, such as [thing]",
}

#: Entries of drivers that are built in.
ENTRIES = {
    f"{PIN}pin = 'GPIO21'": "write it without quotes: pin = 21",
    f"{PIN}pin = 'bcm 7'": "write it without quotes: pin = 7",
    f"{PIN}pin = '21'": 'expected an integer, got "21"; write it without quotes: pin = 21',
    f"{PIN}chip = 'gpiochip0'\nline = '5'": 'got "5"; leave out the quotes',
    f"{PIN}pin = ' '": 'expected an integer, got " "',
    "[[sensors]]\nname = 'x'\ndriver = 'onewire'\nid = '28-0119433BC5FF'": (
        'in small letters: "28-0119433bc5ff"'
    ),
    f"{EXEC}['']": "command: the program is missing: the first string is empty",
    f"{EXEC}[]": 'expected a list of strings such as ["a", "b"], got an empty list',
    f"{EXEC}'echo 3'": 'got "echo 3"; type ["echo", "3"]',
    f"{EXEC}['a\xa0b']": "U+00A0 (NO-BREAK SPACE); type a plain space instead",
    f'{EXEC}["a\\u0000b"]': "U+0000 (NULL); take it out",
}

#: Files in another encoding, or spoiled.
FILES = {
    "[thing]\n".encode("utf-16"): "save it as UTF-8, not as UTF-16, which Notepad calls Unicode",
    "\ufeff[thing]\n".encode("utf-16-be"): "save it as UTF-8, not as UTF-16",
    "[thing]\n".encode("utf-16-le"): "U+0000 (NULL); save the file anew, as UTF-8",
    bytes(512): "U+0000 (NULL); save the file anew, as UTF-8",
    "name = \u201ca\u201d".encode(
        "cp1252"
    ): "(byte 0x93); save it as UTF-8; it is U+201C (LEFT DOUBLE QUOT",
    "name\xa0= 1".encode("cp1252"): "(byte 0xa0); save it as UTF-8; it is U+00A0 (NO-BREAK SPACE",
}


@pytest.mark.parametrize(("row", "advice"), [*TYPED.items(), *PASTED.items()])
def test_a_row_that_is_no_toml_is_told_with_what_to_type(
    tmp_path: Path, row: str, advice: str
) -> None:
    """Its line comes first, whatever stands in the lines above."""
    found = check_told(tmp_path, f"[thing]\nfirst = 1\n{row}", "line 3: ")
    assert f": {advice}" in found


@pytest.mark.parametrize(("content", "advice"), [*VALUES.items(), *FILES.items()])
def test_what_is_wrong_within_quotes_or_in_the_whole_file_is_told(
    tmp_path: Path, content: str | bytes, advice: str
) -> None:
    """A character that cannot be seen is named."""
    assert advice in check_told(tmp_path, content, "")


@pytest.mark.parametrize("row", ["-", "x = -", "[a ", "a = ,", "a = 1 ;", "a ", "a = ' ", "a='='"])
def test_a_row_as_long_as_a_file_may_be_is_told_too(tmp_path: Path, row: str) -> None:
    """No rule looks at the rest of the row from each of its places, which would take hours."""
    check_told(tmp_path, row + row[-2:] * 500_000, "line 1: ")


@pytest.mark.parametrize(("entry", "advice"), ENTRIES.items())
def test_what_is_wrong_in_an_entry_is_told_with_what_to_type(
    tmp_path: Path, entry: str, advice: str
) -> None:
    """Once, by its key."""
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, entry), options_of=sensors.options_of, environment={}, root=tmp_path)
    (problem,) = caught.value.problems
    assert advice in problem


def test_a_key_of_another_name_leaves_its_own_missing(tmp_path: Path) -> None:
    """Both are told, so that nobody takes the line out and is told the other next."""
    path = write(tmp_path, f"{PIN}gpio = 21")
    with pytest.raises(ConfigError) as caught:
        load(path, options_of=sensors.options_of, environment={}, root=tmp_path)
    unknown, missing = caught.value.problems
    assert "gpio: unknown key; did you mean pin?" in unknown
    assert "pin: is missing; for a chip" in missing


def driver_advice(directory: Path, driver: str, more: str = "") -> str:
    """What is told of a sensor with this driver."""
    path = write(directory, f"[[sensors]]\nname = 'room'\ndriver = '{driver}'\n{more}")
    with pytest.raises(ConfigError) as caught:
        load(path, options_of=sensors.options_of, environment={}, root=directory)
    (problem,) = caught.value.problems
    assert problem.isascii()
    assert problem.endswith("system, thermal (line 3)")
    return problem.partition("; ")[2].partition("; known: exec")[0]


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        *(
            (part, 'driver = "iio", device = "dht11", with dtoverlay=dht11,gpiopin=4 in /boot/fir')
            for part in ("dht22", "DHT-22", "DHT 22", "AM2302", "dht11", "Adafruit DHT")
        ),
        *(
            (part, 'driver = "gpio", pin = 21')
            for part in ("pir", "HC-SR501", "am312", "RCWL-0516", "button", "reed switch", "tilt")
        ),
        *((part, 'driver = "gpio", pin = 21') for part in ("E18-D80NK", "gpiozero", "RPi.GPIO")),
        ("DS18B20", 'driver = "onewire", with dtoverlay=w1-gpio in /boot/firmware/config.txt'),
        ("BME-280", 'driver = "iio", device = "bme280", with dtoverlay=i2c-sensor,bme280 in'),
        ("bmp390", 'driver = "iio", device = "bmp380", with dtoverlay=i2c-sensor,bmp380 in'),
        ("si7021", 'driver = "iio", device = "1-0040", with dtoverlay=i2c-sensor,si7020 in'),
        ("SHT31-D", 'driver = "hwmon", device = "sht3x", with dtoverlay=i2c-sensor,sht3x in'),
        ("sht40", 'driver = "hwmon", device = "sht4x", with dtoverlay=i2c-sensor,sht4x in'),
        ("mcp9808", 'driver = "hwmon", device = "jc42", with dtoverlay=i2c-sensor,jc42,addr=0x18'),
        ("ads1115", 'driver = "iio", device = "ads1015", with dtoverlay=ads1115,cha_enable in'),
        ("ina219", 'driver = "hwmon", device = "ina219", after: echo ina219 0x40 | sudo tee /sys'),
        ("max31855", 'driver = "iio", device = "max31855", with dtoverlay=maxtherm,spi0-0,max3185'),
        ("cpu_temp", 'driver = "thermal"'),
        ("vcgencmd", 'driver = "thermal"'),
        ("wifi", 'driver = "system"'),
        ("INA3221", 'driver = "hwmon", device = "ina3221", after: echo ina3221 0x40 | sudo tee /s'),
        ("VEML7700", 'driver = "iio", device = "veml7700", after: echo veml7700 0x10 | sudo tee'),
        ("tsl2591", 'driver = "iio", device = "tsl2591", after: echo tsl2591 0x29 | sudo tee'),
        ("VL53L0X", 'driver = "iio", device = "vl53l0x", after: echo vl53l0x 0x29 | sudo tee'),
        *((part, 'driver = "onewire", with dtoverlay=w1-gpio') for part in ("ds1825", "MAX31850")),
        ("simulator", 'driver = "simulated"'),
    ],
)
def test_a_part_is_told_with_the_driver_that_reads_it(
    tmp_path: Path, part: str, advice: str
) -> None:
    """Whatever signs, letters and words stand round its name, and with what the kernel needs."""
    assert driver_advice(tmp_path, part).startswith(f"it is read by {advice}")


def test_the_pin_of_a_part_stays_its_pin(tmp_path: Path) -> None:
    """It stands in the entry, or in the line for the kernel."""
    assert driver_advice(tmp_path, "pir", "pin = 17").endswith('driver = "gpio", pin = 17')
    assert "gpiopin=17 in" in driver_advice(tmp_path, "dht22", "pin = 17")
    assert "gpiopin=4 in" in driver_advice(tmp_path, "dht22", "pin = true")


def test_what_nothing_reads_is_left_to_a_program(tmp_path: Path) -> None:
    """Or to a plug-in; a name that nobody knows only has the list."""
    for part in ("HC-SR04", "hx711", "camera", "gps", "MH-Z19"):
        advice = 'a program of yours may read it, by driver = "exec", or a plug-in'
        assert driver_advice(tmp_path, part) == advice
    assert driver_advice(tmp_path, "GPIO") == 'type driver = "gpio"'
    assert driver_advice(tmp_path, "gpoi").startswith("known: ")
