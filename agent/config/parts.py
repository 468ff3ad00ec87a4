"""Parts that people wire to a board: which driver reads each, and what the kernel needs for it.

Only a mistake loads this. The overlays are those of Raspberry Pi's kernel
(arch/arm/boot/dts/overlays/README; the parts of `i2c-sensor` in i2c-sensor-common.dtsi), and
`device` is the name that the kernel's driver gives itself.
"""

from __future__ import annotations

import re

from agent.board import CONFIG_TXT
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


#: The key that tells a driver what to read.
_KEYS = {
    "exec": 'command = ["{}"]',
    "gpio": "pin = {}",
    "hwmon": 'device = "{}"',
    "iio": 'device = "{}"',
}


class _Read(Value):
    """The driver that reads a part, its device or pin, and what makes the kernel drive the part."""

    driver: str
    argument: str = ""
    kernel: str = ""


def _overlay(driver: str, overlay: str, device: str = "") -> _Read:
    return _Read(driver, device, f"dtoverlay={overlay}")


def _i2c_sensor(driver: str, part: str, parameter: str = "", device: str = "") -> _Read:
    return _overlay(driver, f"i2c-sensor,{parameter or part}", device or parameter or part)


def _new_device(driver: str, part: str, address: str) -> _Read:
    """A part without an overlay (Documentation/i2c/instantiating-devices.rst)."""
    new = "/sys/bus/i2c/devices/i2c-1/new_device"
    return _Read(driver, part, f"echo {part} {address} | sudo tee {new}, if the kernel drives it")


_PIN = _Read("gpio", "{pin}")
_ANALOG = _overlay("iio", "ads1115,cha_enable", "ads1015")
_ONE_WIRE = _overlay("onewire", "w1-gpio")
_DHT = _overlay("iio", "dht11,gpiopin={pin}", "dht11")
_OWN = _Read("exec", "/usr/local/bin/...")

#: By the part's name in small letters and digits.
_PARTS: dict[str, _Read] = {
    **dict.fromkeys(("dht11", "dht21", "dht22", "dht", "am2301", "am2302"), _DHT),
    **dict.fromkeys(
        (
            *("ds18b20", "ds18s20", "ds1820", "ds1822", "ds1825", "max31850", "max31851"),
            *("1wire", "onewire", "w1"),
        ),
        _ONE_WIRE,
    ),
    **{
        part: _i2c_sensor("iio", part)
        for part in (
            *("bme280", "bmp085", "bmp180", "bmp280", "bmp380", "bme680", "bh1750", "ccs811"),
            *("htu21", "sgp30", "sps30", "tsl4531", "veml6070", "mpu6050", "mpu9250"),
        )
    },
    **dict.fromkeys(("bmp388", "bmp390"), _i2c_sensor("iio", "bmp380")),
    "bme688": _i2c_sensor("iio", "bme680"),
    "htu21d": _i2c_sensor("iio", "htu21"),
    **dict.fromkeys(("si7020", "si7021"), _i2c_sensor("iio", "si7020", device="1-0040")),
    **dict.fromkeys(
        ("hdc1000", "hdc1008", "hdc1080"), _i2c_sensor("iio", "hdc100x", device="1-0040")
    ),
    **dict.fromkeys(("sht3x", "sht30", "sht31", "sht31d", "sht35"), _i2c_sensor("hwmon", "sht3x")),
    **dict.fromkeys(("sht4x", "sht40", "sht41", "sht45"), _i2c_sensor("hwmon", "sht4x")),
    **{
        part: _i2c_sensor("hwmon", part)
        for part in ("tmp102", "lm75", "ds1621", "aht10", "adt7410")
    },
    "mcp9808": _i2c_sensor("hwmon", "jc42,addr=0x18", device="jc42"),
    **{
        part: _new_device(driver, part, address)
        for driver, part, address in (
            ("hwmon", "aht20", "0x38"),
            ("hwmon", "ina219", "0x40"),
            ("hwmon", "ina226", "0x40"),
            ("hwmon", "ina3221", "0x40"),
            ("iio", "tmp117", "0x48"),
            ("iio", "scd30", "0x61"),
            ("iio", "scd40", "0x62"),
            ("iio", "scd41", "0x62"),
            ("iio", "tsl2561", "0x39"),
            ("iio", "tsl2591", "0x29"),
            ("iio", "veml7700", "0x10"),
            ("iio", "vl53l0x", "0x29"),
        )
    },
    **dict.fromkeys(("ads1115", "ads1015"), _ANALOG),
    "mcp3008": _overlay("iio", "mcp3008:spi0-0-present", "mcp3008"),
    "max31855": _overlay("iio", "maxtherm,spi0-0,max31855", "max31855"),
    "max6675": _overlay("iio", "maxtherm,spi0-0,max6675", "max6675"),
    **dict.fromkeys(
        (
            *("pir", "hcsr501", "sr501", "hcsr505", "sr505", "am312", "sr602", "rcwl0516", "rcwl"),
            *("motion", "movement", "presence", "button", "switch", "reed", "reedswitch", "magnet"),
            *("door", "doorcontact", "window", "contact", "tilt", "sw420", "vibration", "beam"),
            *("lightbarrier", "barrier", "e18d80nk", "tcrt5000", "infrared", "microwave"),
            *("gpiozero", "rpigpio", "gpiod", "libgpiod", "lgpio", "pigpio", "pin", "digital"),
        ),
        _PIN,
    ),
    **dict.fromkeys(
        ("cpu", "cputemp", "cputemperature", "cputhermal", "soc", "vcgencmd", "processor"),
        _Read("thermal"),
    ),
    **dict.fromkeys(
        ("wifi", "memory", "disk", "load", "uptime", "board", "voltage", "throttled", "psutil"),
        _Read("system"),
    ),
    **dict.fromkeys(("fan", "pwmfan"), _Read("hwmon", "pwmfan")),
    **dict.fromkeys(
        ("simulator", "simulation", "sim", "fake", "mock", "dummy", "demo", "random", "madeup"),
        _Read("simulated"),
    ),
    **dict.fromkeys(
        ("mq2", "mq7", "mq135", "ldr", "photoresistor", "soil", "soilmoisture", "potentiometer"),
        _ANALOG,
    ),
    **dict.fromkeys(
        (
            *(
                "hcsr04",
                "jsnsr04t",
                "ultrasonic",
                "hx711",
                "loadcell",
                "scale",
                "camera",
                "picamera",
            ),
            *(
                "microphone",
                "gps",
                "uart",
                "serial",
                "modbus",
                "rs485",
                "bluetooth",
                "ble",
                "zigbee",
            ),
            *("mqtt", "http", "rtl433", "sds011", "pms5003", "mhz19", "shell", "script", "python"),
        ),
        _OWN,
    ),
}

#: What people put round the name of a part.
_ROUND = re.compile(r"adafruit|grove|sensor|module|driver|detector|[^a-z0-9]")


def reader(name: str, known: Iterable[str], *, pin: object = None) -> str:
    """Driver that reads the part `name`, if that is known, in words that begin with "; ".

    `known` are the drivers that there are; `pin` is the pin that the part was given.
    """
    if same := _same(name, known):
        return f'; type driver = "{same}"'
    read = _PARTS.get(_bare(name))
    if not read:
        return ""
    if read is _OWN:
        return '; a program of yours may read it, by driver = "exec", or a plug-in'
    text = f'; it is read by driver = "{read.driver}"'
    text += f", {_KEYS[read.driver].format(read.argument)}" if read.argument else ""
    if read.kernel.startswith("dtoverlay"):
        text += f", with {read.kernel} in {CONFIG_TXT}"
    elif read.kernel:
        text += f", after: {read.kernel}"
    default = 21 if read is _PIN else 4
    return text.replace("{pin}", str(pin if type(pin) is int else default))


def as_flag(name: str, argument: str, known: Iterable[str]) -> str:
    """The driver and its argument, as DRIVER:ARGUMENT, that reads the part `name`; "" if none.

    `argument` is what the part was given; `known` are the drivers that there are.
    """
    read = _Read(same, argument) if (same := _same(name, known)) else _PARTS.get(_bare(name))
    if not read:
        return ""
    told = read.argument.replace("{pin}", argument or "21")
    return f"{read.driver}:{told}" if told else read.driver


def _bare(name: str) -> str:
    """A part's name in small letters and digits."""
    return _ROUND.sub("", name.lower())


def _same(name: str, known: Iterable[str]) -> str:
    """The driver that is called `name` but for capitals and signs; empty if none is."""
    return next((one for one in known if one == _bare(name) and one != name), "")
