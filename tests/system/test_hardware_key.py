"""A key that never leaves a token: the request, the session and its faults, on each release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import HARDWARE
from tests.system.device import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

PIN = "/etc/pi-iot-agent/pin"
TOKENS = "/var/lib/softhsm/tokens"
URI = (
    f"pkcs11:token=device;object=key;type=private?pin-source=file:{PIN}"
    "&module-path=/usr/lib/softhsm/libsofthsm2.so"
)
DROP_IN = f"/etc/systemd/system/{UNIT}.d/token.conf"
MAKE = """
set -e
softhsm2-util --init-token --free --label device --so-pin 5678 --pin 1234
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /root/key.pem
softhsm2-util --import /root/key.pem --token device --label key --id 01 --pin 1234
rm /root/key.pem
chown -R pi-iot-agent: /var/lib/softhsm/tokens
"""
REQUEST = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=own \\
    -keyout /root/own.key -out /root/own.pem
"""
WRAPPED = "-----BEGIN PKCS#11 PROVIDER URI-----"


@pytest.fixture
def holder(fresh: Device) -> Iterator[Device]:
    """A device, registered with a key of a file, that is given a token and may reach it."""
    box = fresh.box
    if HARDWARE[box.suite]:
        fresh.configure()
        fresh.restart()
    fresh.configure(fresh.toml_with(mqtt={"key_file": URI}))
    box.write(PIN, "1234\n", mode="0600", owner="pi-iot-agent")
    if HARDWARE[box.suite]:
        box.write(DROP_IN, f"[Service]\nSupplementaryGroups=softhsm\nReadWritePaths={TOKENS}\n")
        fresh.systemctl("daemon-reload")
        box.run("sh", "-c", MAKE)
    yield fresh
    box.run("sh", "-c", f"rm -rf {TOKENS}/* {DROP_IN} {PIN}")
    fresh.systemctl("daemon-reload")


def test_the_key_of_a_token_is_certified_and_used(holder: Device) -> None:
    """Request and session are signed there; a token that goes and comes back is told, and mended.

    Debian 12 has no provider for it, which `check` says.
    """
    box = holder.box
    if HARDWARE[box.suite]:
        box.run("sh", "-c", f"chown -R root: {TOKENS}")
    checked = box.run("pi-iot-agent", "check", check=False)
    if not HARDWARE[box.suite]:
        assert checked.returncode == 78, checked
        assert "Debian 13 has it" in checked.stdout + checked.stderr
        return
    assert checked.returncode == 78, checked
    assert "let the user pi-iot-agent open the token" in checked.stderr
    doctor = box.run("pi-iot-agent", "doctor", check=False).stdout
    assert "FAIL  credentials-invalid: " in doctor
    assert doctor.count("FAIL") == 1, doctor
    box.run("sh", "-c", f"chown -R pi-iot-agent: {TOKENS}")
    box.run("pi-iot-agent", "check")
    holder.restart()
    assert box.output("cat", f"{holder.certs}/{holder.name}-private.pem.key").startswith(WRAPPED)
    assert exposure(holder) <= 1.1
    box.wait("the other key's certificate is gone", lambda: len(owned(holder)) == 1, timeout_s=60)

    box.run("sh", "-c", f"mv {TOKENS} {TOKENS}.away && mkdir {TOKENS}")
    holder.systemctl("restart", UNIT)
    holder.wait_status("it is told", lambda status: "no token 'device' is there" in str(status))
    box.run("sh", "-c", f"rmdir {TOKENS} && mv {TOKENS}.away {TOKENS}")
    holder.wait_online()
    assert len(owned(holder)) == 1

    box.write(PIN, "9999\n", mode="0600", owner="pi-iot-agent")
    holder.systemctl("restart", UNIT)
    holder.wait_status("the PIN is told", lambda status: "was given a wrong PIN" in str(status))
    box.write(PIN, "1234\n", mode="0600", owner="pi-iot-agent")
    holder.wait_online()


def test_an_own_key_that_the_service_may_not_read_is_told_to_root(fresh: Device) -> None:
    """Once, and not with advice that root has followed already."""
    box = fresh.box
    own = {"cert_file": "/root/own.pem", "key_file": "/root/own.key"}
    box.run("sh", "-c", REQUEST)
    fresh.configure(fresh.toml_with(mqtt={**own, "endpoint": fresh.cloud.endpoint}))
    checked = box.run("pi-iot-agent", "check", check=False)
    assert checked.returncode == 78, checked
    assert "may not be read by pi-iot-agent" in checked.stderr
    doctor = box.run("pi-iot-agent", "doctor", check=False).stdout
    assert doctor.count("may not be read") == doctor.count("FAIL") == 1, doctor
    assert "sudo chown pi-iot-agent /root/own" in doctor
    assert "run this with sudo" not in doctor + checked.stderr


def owned(device: Device) -> list[str]:
    """The ids of the certificates that are attached to its thing."""
    return [one.certificate_id for one in device.cloud.certificates() if device.name in one.things]


def exposure(device: Device) -> float:
    """Of the service, as systemd judges it."""
    judged = device.box.output("systemd-analyze", "security", "--no-pager", UNIT)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)
    assert found, judged
    return float(found[1])
