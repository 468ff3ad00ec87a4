"""The package's whole life: installed, upgraded, downgraded, removed, purged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.box import Box
from tests.system.device import CONFIG, STORE, UNIT
from tests.system.package import newer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

#: What dpkg, apt and systemd remember of a package that was there.
HISTORY = {"/var/log/apt/history.log", "/root/pi-iot-agent.deb"}


def test_installed_without_a_question_it_runs_and_tells_what_to_do(fresh: Device) -> None:
    """Active; STATUS names the one command, or file, that configures it."""
    fresh.box.wait("active", lambda: fresh.show("ActiveState") == "active", timeout_s=60)

    assert fresh.show("UnitFileState") == "enabled"
    # The drop-in by which the delay grows; bookworm's systemd does not know the property.
    assert fresh.show("RestartSteps") == {"bookworm": "", "trixie": "10"}[fresh.box.suite]
    fresh.box.wait(
        "STATUS tells what to do next",
        lambda: "pi-iot-agent setup" in fresh.show("StatusText"),
        timeout_s=60,
    )
    assert fresh.show("NRestarts") == "0"


def test_nothing_of_it_is_a_conffile(fresh: Device) -> None:
    """An upgrade by unattended-upgrades, which leaves out what would ask, is never put off."""
    assert fresh.box.output("dpkg-query", "-Wf${Conffiles}", "pi-iot-agent") == ""
    assert "sudo pi-iot-agent setup" in fresh.box.output("cat", "/etc/pi-iot-agent/README")


def test_upgrade_and_downgrade_keep_what_is_the_owners(device: Device, tmp_path: Path) -> None:
    """Configuration, certificates and store stay as they are; one restart each; nothing is lost."""
    device.box.write(CONFIG, device.toml + "# a remark of the owner\n")
    kept = ["sh", "-c", f"cat {CONFIG} {device.certs}/* | sha256sum"]
    before, identity = device.box.output(*kept), device.box.output("stat", "-c%i", STORE)
    certificates = len(device.cloud.certificates())
    version = device.box.output("dpkg-query", "-Wf${Version}", "pi-iot-agent")

    for package in (newer(device.package, tmp_path, f"{version}+next"), device.package):
        cursor = device.cursor()
        device.install(package, "--allow-downgrades")
        assert device.starts(cursor) == 1
        device.wait_online()
        assert device.box.output(*kept) == before

    device.wait_status("all is sent", lambda status: status["queued"] == 0)
    assert device.box.output("stat", "-c%i", STORE) == identity
    assert len(device.cloud.certificates()) == certificates
    assert device.missing() == []
    device.box.write(CONFIG, device.toml)


def test_a_newer_systemd_brings_the_growing_delay(device: Device) -> None:
    """From the day on that the machine is upgraded to a systemd that knows it; nothing restarts."""
    drop_in = f"/usr/lib/systemd/system/{UNIT}.d/growing-delay.conf"
    device.box.run("rm", "-f", drop_in)
    pid = device.main_pid

    upgraded = ["dpkg-trigger", "--no-await", "--by-package=systemd", "/usr/lib/systemd/systemd"]
    device.box.run(*upgraded)
    device.box.run("dpkg", "--triggers-only", "--pending")

    known = device.box.run("test", "-e", drop_in, check=False).returncode == 0
    assert known == (device.box.suite == "trixie")
    assert device.main_pid == pid


def test_a_remove_keeps_what_a_second_install_needs(device: Device) -> None:
    """Removed and installed again it is the same device, with the same certificate."""
    certificates = [each.certificate_id for each in device.cloud.certificates()]

    device.box.run("apt-get", "remove", "-y", "pi-iot-agent")
    processes = device.processes()
    device.install()
    device.wait_online()

    assert processes == []
    assert [each.certificate_id for each in device.cloud.certificates()] == certificates
    assert device.missing() == []


def test_a_purge_leaves_nothing_and_says_what_remains_at_aws(device: Device) -> None:
    """No file, unit or process is left; the thing at AWS is named, with the way to remove it."""
    name = device.name
    said = device.purge()

    assert name in said
    assert "deprovision" in said
    search = ["find", "/", "-xdev", "-path", "/proc", "-prune", "-o"]
    found = device.box.output(*search, "-name", "*pi*iot*agent*", "-print").splitlines()
    assert [path for path in found if path not in HISTORY] == []
    assert device.box.run("systemctl", "cat", UNIT, check=False).returncode
    assert device.processes() == []


def test_all_it_depends_on_comes_from_debian_main(
    suite: str, package: Path, tmp_path: Path
) -> None:
    """In a Debian of systemd alone, `apt-get install` finds the rest, and the service runs."""
    with Box(tmp_path / "box", suite) as box:
        box.run("apt-get", "-qq", "update", timeout_s=300)
        box.copy_in(package, "/root/pi-iot-agent.deb")
        install = ["apt-get", "install", "-y", "--no-install-recommends", "/root/pi-iot-agent.deb"]
        box.run(*install, timeout_s=600)

        box.wait(
            "active",
            lambda: box.output("systemctl", "is-active", UNIT, check=False) == "active",
            timeout_s=60,
        )
