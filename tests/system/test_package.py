"""The package's whole life under systemd: installed, configured, disturbed, upgraded, removed."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.system.box import Box
from tests.system.conftest import MEMORY_MIB
from tests.system.device import CONFIG, CREDENTIALS, STORE, UNIT, newer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

#: What dpkg, apt and systemd remember of a package that was there.
HISTORY = {"/var/log/apt/history.log", "/root/pi-iot-agent.deb"}

#: Prints the addresses that the processes of a control group can be called at.
LISTENING = """
import os, pathlib, sys
pids = pathlib.Path("/sys/fs/cgroup" + sys.argv[1], "cgroup.procs").read_text().split()
held = {os.readlink(f"/proc/{pid}/fd/{fd}") for pid in pids for fd in os.listdir(f"/proc/{pid}/fd")}
assert any(name.startswith("socket:") for name in held), held
for kind, waiting in {"tcp": "0A", "udp": "07", "raw": "07"}.items():
    for suffix in ("", "6"):
        for line in pathlib.Path(f"/proc/net/{kind}{suffix}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == waiting and f"socket:[{rest[5]}]" in held:
                print(kind, local)
"""


def test_installed_without_a_question_it_runs_and_tells_what_to_do(bare: Device) -> None:
    """Active within 5 s; STATUS names the one command, or file, that configures it."""
    if bare.installed:
        bare.purge()

    bare.install()
    bare.box.wait("active", lambda: bare.show("ActiveState") == "active", timeout_s=5)

    assert bare.show("UnitFileState") == "enabled"
    bare.box.wait(
        "STATUS tells what to do next",
        lambda: "pi-iot-agent setup" in bare.show("StatusText"),
        timeout_s=10,
    )
    assert bare.show("NRestarts") == "0"


def test_it_is_a_device_within_15_seconds_and_tells_each_stage(bare: Device) -> None:
    """Configuration and AWS key given, it registers, connects and publishes; STATUS follows."""
    if not bare.installed:
        bare.install()
    bare.configure()
    told: list[str] = []
    started_s = time.monotonic()
    bare.systemctl("restart", UNIT)

    def publishing() -> bool:
        told.append(bare.show("StatusText"))
        return bool(bare.cloud.observer.messages(f"{bare.name}/sensors/room"))

    bare.box.wait("a reading has arrived", publishing, timeout_s=60, every_s=0)
    took_s = time.monotonic() - started_s
    bare.box.wait(
        "STATUS tells that it is online",
        lambda: bare.show("StatusText").startswith(f"online as {bare.name}"),
        timeout_s=10,
    )

    assert took_s < 15, told
    assert any(text.startswith(f"provisioning as {bare.name}") for text in told), told


def test_systemd_finds_nothing_to_say_about_the_unit(device: Device) -> None:
    """`systemd-analyze verify` is silent; `security` finds an exposure of at most 1.3."""
    verified = device.box.run("systemd-analyze", "verify", UNIT, check=False)
    judged = device.box.output("systemd-analyze", "security", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert exposure, judged
    assert float(exposure[1]) <= 1.3, judged


def test_a_daemon_that_hangs_is_started_again(device: Device) -> None:
    """Stopped by SIGSTOP, it misses the watchdog's deadline; systemd ends it and starts another."""
    drop_in = f"/run/systemd/system/{UNIT}.d/short-watchdog.conf"
    device.box.write(drop_in, "[Service]\nWatchdogSec=5\n")
    device.systemctl("daemon-reload")
    device.restart()
    hanging, cursor = device.main_pid, device.cursor()

    device.box.kill("STOP", hanging)
    try:
        device.box.wait("another", lambda: device.main_pid not in {hanging, "0"}, timeout_s=60)
        device.wait_online()
    finally:
        device.box.run("rm", drop_in)
        device.systemctl("daemon-reload")

    assert "Watchdog timeout" in device.journal(cursor)
    assert device.starts(cursor) == 1
    device.restart()


def test_a_daemon_that_is_killed_is_started_again(device: Device) -> None:
    """SIGKILL, as from the kernel that wants memory: another runs after 5 s, nothing is missing."""
    killed, cursor = device.main_pid, device.cursor()

    device.box.kill("KILL", killed)
    device.box.wait("another", lambda: device.main_pid not in {killed, "0"}, timeout_s=30)
    device.wait_online()

    assert device.starts(cursor) == 1
    device.wait_status("all is sent", lambda status: status["queued"] == 0)
    assert device.missing() == []


def test_a_wrong_configuration_ends_it_for_good_and_the_journal_says_where(device: Device) -> None:
    """Failed with exit code 78, not tried again; file, key and line are named."""
    wrong = device.toml.replace("window_s = 5", "window_s = 2")
    line = wrong.splitlines().index("window_s = 2") + 1
    device.box.write(CONFIG, wrong)
    cursor = device.cursor()
    try:
        device.box.run("systemctl", "restart", UNIT, check=False)
        device.box.wait("failed", lambda: device.show("ActiveState") == "failed", timeout_s=20)
        time.sleep(7)  # longer than RestartSec
        journal = device.journal(cursor)

        assert (device.show("ActiveState"), device.show("ExecMainStatus")) == ("failed", "78")
        assert journal.count(f"Starting {UNIT}") == 1
        assert CONFIG in journal
        assert "window_s" in journal
        assert re.search(rf"line {line}\b|:{line}\b", journal), journal
    finally:
        device.box.write(CONFIG, device.toml)
    device.restart()


def test_text_that_is_no_toml_is_named_by_its_line(device: Device) -> None:
    """A slip of the finger is found by the line number in the journal."""
    device.box.write(CONFIG, "[thing]\nname = unquoted\n")
    cursor = device.cursor()
    try:
        device.box.run("systemctl", "restart", UNIT, check=False)
        device.box.wait("failed", lambda: device.show("ActiveState") == "failed", timeout_s=20)

        assert device.show("ExecMainStatus") == "78"
        assert "line 2" in device.journal(cursor)
    finally:
        device.box.write(CONFIG, device.toml)
    device.restart()


def test_a_stop_takes_less_than_5_s_and_loses_nothing(device: Device) -> None:
    """Stopped while the broker is away; what was read until then arrives after the next start."""
    device.cloud.broker.stop()
    try:
        device.wait_status("readings wait", lambda status: status["queued"] >= 3)
        waiting = int(device.status()["queued"])
        started_s = time.monotonic()
        device.systemctl("stop", UNIT)
        took_s = time.monotonic() - started_s
    finally:
        device.cloud.broker.start()
    result = device.show("Result")
    before = len(device.numbers())
    device.restart()
    device.wait_status("all is sent", lambda status: status["queued"] == 0)

    assert took_s < 5
    assert result == "success"
    assert len(device.numbers()) >= before + waiting
    assert device.missing() == []


def test_the_service_has_no_right_beyond_its_own_directories(device: Device) -> None:
    """Its user reads nobody's secrets, writes nothing else, has no capability, hears no call."""
    box, pid = device.box, device.main_pid
    box.write("/home/neighbour/letter", "private")
    box.write("/srv/neighbour", "private", mode="0600")
    status = dict(
        line.split(":\t", 1) for line in box.output("cat", f"/proc/{pid}/status").splitlines()
    )
    in_the_unit = ["nsenter", "-t", pid, "-m", "setpriv", "--no-new-privs", "--clear-groups"]
    in_the_unit += ["--reuid=pi-iot-agent", "--regid=pi-iot-agent", "--bounding-set=-all"]
    # Links have no mode of their own, and who listens on a socket decides for himself.
    search = ["find", "/", "-path", "/proc", "-prune", "-o", "-not", "-type", "l"]
    search += ["-not", "-type", "s", "-writable", "-print"]
    writable = box.output(*in_the_unit, *search, check=False)
    own = ("/etc/pi-iot-agent/certs", "/var/lib/pi-iot-agent", "/run/pi-iot-agent")
    private = ("/tmp", "/var/tmp", "/dev")  # noqa: S108  # its own, by PrivateTmp and PrivateDevices
    for secret in ("/home/neighbour/letter", "/srv/neighbour", "/etc/shadow", "/proc/1/environ"):
        assert box.run(*in_the_unit, "cat", secret, check=False).returncode, secret
    group = f"/sys/fs/cgroup{device.show('ControlGroup')}"  # its own (MemoryPressureWatch=)
    allowed = (*own, *private, group)
    foreign = [path for path in writable.splitlines() if not path.startswith(allowed)]
    assert foreign == []
    assert set(own) <= set(writable.splitlines())
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert box.output("stat", "-c", "%a %U", f"{device.certs}/{device.name}-private.pem.key") == (
        "600 pi-iot-agent"
    )
    assert box.output("stat", "-c", "%a %U", CREDENTIALS) == "600 pi-iot-agent"


def test_nothing_of_it_listens(device: Device) -> None:
    """No process of the service holds a socket that accepts or receives from anybody."""
    listening = device.box.output("python3", "-c", LISTENING, device.show("ControlGroup"))

    assert listening == ""


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


@pytest.mark.parametrize("memory_mib", [512, 256])
def test_a_small_machine_runs_it(device: Device, memory_mib: int) -> None:
    """With 512 and 256 MiB for the whole machine it registers anew and runs without a restart."""
    soak_s = float(os.environ.get("SOAK_S", "12"))
    device.box.run("pi-iot-agent", "deprovision", check=False)
    device.systemctl("stop", UNIT)
    device.box.run("rm", "-rf", device.certs)
    device.box.limit_memory(memory_mib)
    try:
        cursor = device.cursor()
        device.restart()
        pid, until_s = device.main_pid, time.monotonic() + soak_s
        while time.monotonic() < until_s:
            assert device.main_pid == pid, device.box.report()
            time.sleep(1)
    finally:
        device.box.limit_memory(MEMORY_MIB)

    assert device.starts(cursor) == 1
    assert "oom" not in device.journal(cursor).lower()
    device.wait_status("all is sent", lambda status: status["queued"] == 0)


def test_a_purge_leaves_nothing_and_says_what_remains_at_aws(device: Device) -> None:
    """No file, unit or process is left; the thing at AWS is named, with the way to remove it."""
    said = device.purge()

    assert device.name in said
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
            timeout_s=20,
        )
