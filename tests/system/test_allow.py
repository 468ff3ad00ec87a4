"""The service gets the devices of its sensors from `setup`, and no others, on each release."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.device import CA_FILE, CONFIG, UNIT
from tests.tools.cloud.faults import ACCESS_DENIED
from tests.tools.cloud.local_aws import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

DROP_IN = f"/etc/systemd/system/{UNIT}.d/10-sensors.conf"
PIN = '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 20\n'
ALLOW = ("pi-iot-agent", "setup", "--allow")


@pytest.fixture
def pinned(device: Device) -> Iterator[Device]:
    """A device that has a sensor at a pin in its configuration, but was not set up since."""
    device.box.write(CONFIG, device.toml + PIN)
    yield device
    if device.installed:
        device.box.write(CONFIG, device.toml)
        device.box.run(*ALLOW)
        device.wait_online()


def exposure(device: Device) -> float:
    """Of the service, as systemd judges it."""
    judged = device.box.output("systemd-analyze", "security", "--no-pager", UNIT)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)
    assert found, judged
    return float(found[1])


def tells(text: str, status: Mapping[str, Any]) -> bool:
    """Whether the trouble of the sensor at the pin is this."""
    door = status["sensors"].get("door", {})
    return text in (door.get("error") or "")


def test_the_package_brings_the_group_and_the_rule(device: Device) -> None:
    """As Raspberry Pi OS has them; the service itself is not in the group."""
    rule = device.box.output("cat", "/usr/lib/udev/rules.d/60-pi-iot-agent.rules")

    assert 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"' in rule
    assert device.box.output("getent", "group", "gpio").startswith("gpio:")
    assert device.box.output("id", "-nG", "pi-iot-agent") == "pi-iot-agent"


def test_setup_allows_the_pins_and_takes_them_back(pinned: Device) -> None:
    """Without a question, and the service starts anew with what its sensors need, and only that."""
    box, pid = pinned.box, pinned.main_pid
    assert exposure(pinned) <= 1.1
    told = box.run(*ALLOW).stdout
    verified = box.run("systemd-analyze", "verify", UNIT, check=False)
    pinned.wait_online()

    assert DROP_IN in told
    assert box.output("stat", "-c%U:%G %a", DROP_IN) == "root:root 644"
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert "char-gpiochip rw" in pinned.show("DeviceAllow")
    assert pinned.show("PrivateDevices") == "no"
    assert pinned.show("NeedDaemonReload") == "no"
    assert pinned.main_pid != pid
    groups = box.output("grep", "^Groups:", f"/proc/{pinned.main_pid}/status").split()[1:]
    assert box.output("sh", "-c", "getent group gpio | cut -d: -f3") in groups
    assert 1.1 < exposure(pinned) <= 1.3

    box.write(CONFIG, pinned.toml)
    told = box.run(*ALLOW).stdout
    pinned.wait_online()

    assert "removed" in told
    assert box.run("test", "-e", DROP_IN.rpartition("/")[0], check=False).returncode == 1
    assert pinned.show("PrivateDevices") == "yes"
    assert "gpiochip" not in pinned.show("DeviceAllow")


def test_a_box_without_pins_says_so_and_the_other_sensors_go_on(pinned: Device) -> None:
    """What is told is true: allowed it is, but no chip is there."""
    pinned.box.run(*ALLOW)
    pinned.wait_status("it is told", partial(tells, "no GPIO chip"))

    status = pinned.status()
    (failing,) = (one for one in status["conditions"] if one["code"] == "sensor-failing")
    assert "setup --allow" not in failing["hint"]
    assert status["sensors"]["room"]["ok"]


def test_the_group_lets_the_service_open_a_chip(pinned: Device) -> None:
    """In all its sandbox; what stands for the chip is no chip, as is told once it is open."""
    chip = "/dev/gpiochip9"  # /dev/null by another name, which every service may open
    pinned.box.run("mknod", "-m", "0660", chip, "c", "1", "3")
    try:
        for group, told in (("gpio", "is no GPIO chip"), ("root", "may not open it")):
            pinned.box.run("chgrp", group, chip)
            pinned.box.run(*ALLOW)
            pinned.wait_status(f"group {group}: {told}", partial(tells, told))
    finally:
        pinned.box.run("rm", chip)


def test_only_root_may_allow_it(pinned: Device) -> None:
    """Whoever else tries is told to use sudo, and nothing changes."""
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    told = pinned.box.run(*nobody, *ALLOW, check=False)

    assert (told.returncode, "with sudo" in told.stderr) == (77, True), told.stderr
    assert pinned.box.run("test", "-e", DROP_IN, check=False).returncode == 1


def test_a_stopped_service_stays_stopped(pinned: Device) -> None:
    """And a file of somebody else in the place of the drop-in stays what it is."""
    pinned.systemctl("stop", UNIT)
    pinned.box.write(DROP_IN, "[Service]\nNice=5\n")
    told = pinned.box.run(*ALLOW, check=False)

    assert (told.returncode, "left as it is" in told.stderr) == (1, True), told.stderr
    pinned.box.run("rm", DROP_IN)
    pinned.box.run(*ALLOW)
    assert pinned.show("ActiveState") == "inactive"
    pinned.restart()


def test_a_remove_keeps_it_and_a_purge_takes_it_along(pinned: Device) -> None:
    """Removed and installed again the sensor has its pin; an owner's drop-in stays."""
    box, own = pinned.box, DROP_IN.replace("10-sensors", "own")
    box.run(*ALLOW)
    box.write(own, "[Service]\nNice=5\n")
    box.run("apt-get", "remove", "-y", "pi-iot-agent")
    pinned.install()
    assert "char-gpiochip rw" in pinned.show("DeviceAllow")

    pinned.purge()
    left = box.output("ls", DROP_IN.rpartition("/")[0])
    box.run("rm", "-r", DROP_IN.rpartition("/")[0])

    assert left == "own.conf"


def test_a_prepared_card_allows_its_sensors_too(fresh: Device) -> None:
    """From the first start on: systemd reads the drop-in before it starts the service."""
    key = {"access_key_id": ACCESS_KEY, "secret_access_key": "a-secret"}
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    fresh.box.write("/boot/firmware/pi-iot-agent.toml", fresh.toml_with(aws=key) + PIN)
    fresh.box.reboot()
    fresh.wait_online()

    groups = fresh.box.output("grep", "^Groups:", f"/proc/{fresh.main_pid}/status").split()[1:]
    assert fresh.box.output("sh", "-c", "getent group gpio | cut -d: -f3") in groups
    assert "char-gpiochip rw" in fresh.show("DeviceAllow")
    assert fresh.show("NRestarts") == "0"
    fresh.purge()
    assert fresh.box.run("test", "-e", DROP_IN.rpartition("/")[0], check=False).returncode == 1


def test_a_registration_that_fails_leaves_the_pins_allowed(fresh: Device) -> None:
    """The agent goes on with what `setup` was told: it registers later, and has its sensors."""
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    fresh.box.write(CONFIG, fresh.toml)
    fresh.cloud.faults.inject(ACCESS_DENIED, "CreateThing")
    try:
        flags = ["--access-key-id", ACCESS_KEY, "--secret-stdin", "--sensor", "door=gpio:20"]
        told = fresh.box.run("pi-iot-agent", "setup", *flags, stdin="a-secret\n", check=False)
    finally:
        fresh.cloud.faults.heal()

    assert told.returncode == 77, told.stderr
    assert "char-gpiochip rw" in fresh.show("DeviceAllow")
    groups = fresh.box.output("grep", "^Groups:", f"/proc/{fresh.main_pid}/status").split()[1:]
    assert fresh.box.output("sh", "-c", "getent group gpio | cut -d: -f3") in groups
    fresh.purge()
