"""The service's user, taken over by somebody, gets nothing of root by any command of root's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system import hostile
from tests.system.device import CONFIG, CREDENTIALS, UNIT
from tests.system.package import newer
from tests.system.test_allow import ALLOW, PIN
from tests.tools.cloud.local_aws import ACCESS_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

USER = "pi-iot-agent"
AS_SERVICE = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "sh", "-c")
STATE = "/var/lib/pi-iot-agent"
TANK = f'[[sensors]]\nname = "tank"\ndriver = "exec"\ncommand = ["{STATE}/tank"]\n'


def test_a_hostile_service_gets_nothing_of_root(device: Device) -> None:
    """It plants links and start files and swaps them while root runs each command ten times.

    Afterwards nothing outside its own directories has another owner, mode or content, nothing that
    it wrote ran as root or with root's terminal, and no command hung.
    """
    box = device.box
    toml = device.toml + TANK + PIN
    box.write(CONFIG, toml)
    box.write("/root/prepared.toml", toml)
    box.run(*ALLOW)
    device.systemctl("stop", UNIT)
    box.run(*AS_SERVICE, hostile.PLANT)
    before = box.output("sh", "-c", hostile.SNAPSHOT).splitlines()

    swapping = ["systemd-run", "--unit=hostile", "-p", f"User={USER}", "-p", "UMask=0000"]
    box.run(*swapping, "sh", "-c", hostile.SWAP, "sh", device.name)
    try:
        shown = box.run(
            "sh", "-c", hostile.ROOT, "sh", device.name, "secret", ACCESS_KEY, timeout_s=600
        ).stdout
    finally:
        box.run("systemctl", "stop", "hostile", check=False)

    after = box.output("sh", "-c", hostile.SNAPSHOT).splitlines()
    assert sorted(set(after) ^ set(before)) == []
    assert "\x1b" not in shown
    assert "HANGS" not in shown
    assert "internal error" not in shown
    assert box.output("cat", f"{STATE}/ran", check=False) == ""
    ran_as = set(box.output("cat", f"{STATE}/as").split())
    assert ran_as, "the sensor's program did run"
    assert "0" not in ran_as
    owners = box.output("stat", "-c%U:%G %a", "/etc/pi-iot-agent", CONFIG, "/etc/pi-iot-agent/aws")
    assert owners.split("\n") == ["root:root 755", "root:root 644", f"root:{USER} 750"]
    device.purge()


def test_an_upgrade_takes_back_what_older_versions_gave_away(
    device: Device, tmp_path: Path
) -> None:
    """The AWS key's directory, its files and the home; a link that was planted leads nowhere."""
    box = device.box
    directory = CREDENTIALS.rpartition("/")[0]
    box.run("systemctl", "stop", UNIT)
    box.run("usermod", "--home", STATE, USER)
    box.run("sh", "-c", f"echo secret >{CREDENTIALS}; echo old >{directory}/old")
    box.run("chown", "-R", f"{USER}:{USER}", directory)
    box.run("chmod", "0700", directory)
    box.run("chmod", "0644", CREDENTIALS, f"{directory}/old")
    box.run(*AS_SERVICE, f"ln -s /etc/shadow {directory}/evil")
    shadow = box.output("stat", "-c%U:%G %a", "/etc/shadow")
    # It holds the file open for writing from before. (Not as the user: while he has a process
    # usermod(8) does not change his home.)
    late = f"exec >>{CREDENTIALS}; until [ -e /run/now ]; do sleep 0.1; done; echo late"
    box.run("systemd-run", "--unit=held", "sh", "-c", late)

    device.systemctl("start", UNIT)  # one that its owner has stopped would stay stopped
    version = box.output("dpkg-query", "-Wf${Version}", USER)
    device.install(newer(device.package, tmp_path, f"{version}+next"))
    box.run("touch", "/run/now")
    ended = ("systemctl", "is-active", "held")
    box.wait("it wrote", lambda: box.output(*ended, check=False) != "active", timeout_s=60)

    listed = box.output("find", directory, "-printf", r"%f %u:%g %m %y\n").splitlines()
    assert sorted(one for one in listed if not one.startswith("evil")) == [
        f"aws root:{USER} 750 d",
        f"credentials root:{USER} 640 f",
        f"old root:{USER} 640 f",
    ]
    assert box.output("cat", CREDENTIALS) == "secret"
    assert box.output("stat", "-c%U:%G %a", "/etc/shadow") == shadow
    assert box.output("sh", "-c", f"getent passwd {USER} | cut -d: -f6") == "/nonexistent"
    assert device.show("ActiveState") == "active"
    device.purge()
