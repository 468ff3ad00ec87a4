"""The service under systemd: started, disturbed, stopped, and what it may do."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import MEMORY_MIB
from tests.system.device import CONFIG, CREDENTIALS, EXAMPLES, UNIT
from tests.timing import allowed_s
from tests.tools.cloud.local_aws import ACCESS_KEY

if TYPE_CHECKING:
    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

#: Seconds for which a small machine is watched, if it is to be for long.
SOAK_S = float(os.environ.get("SOAK_S", "0"))

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

    bare.box.wait("a reading has arrived", publishing, timeout_s=allowed_s(15), every_s=0)
    took_s = time.monotonic() - started_s
    bare.box.wait(
        "STATUS tells that it is online",
        lambda: bare.show("StatusText").startswith(f"online as {bare.name}"),
        timeout_s=60,
    )

    seen = "\n".join(dict.fromkeys(told))
    assert took_s < allowed_s(15), f"{seen}\n{bare.box.report()}"
    assert f"provisioning as {bare.name}" in seen


def test_systemd_finds_nothing_to_say_about_the_unit(device: Device) -> None:
    """`systemd-analyze verify` is silent; `security` finds an exposure of at most 1.1."""
    verified = device.box.run("systemd-analyze", "verify", UNIT, check=False)
    judged = device.box.output("systemd-analyze", "security", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert exposure, judged
    assert float(exposure[1]) <= 1.1, judged


def test_a_daemon_that_hangs_is_started_again(device: Device) -> None:
    """Stopped by SIGSTOP, it misses the watchdog's deadline; systemd ends it and starts another."""
    drop_in = f"/run/systemd/system/{UNIT}.d/short-watchdog.conf"
    device.box.write(drop_in, "[Service]\nWatchdogSec=5\nTimeoutAbortSec=1\n")
    device.systemctl("daemon-reload")
    device.restart()
    hanging, cursor = device.main_pid, device.cursor()

    device.box.kill("STOP", hanging)
    try:
        device.box.wait("another", lambda: device.main_pid not in {hanging, "0"}, timeout_s=60)
        device.wait_online()
        device.box.wait("the cloud knows", lambda: device.birth() == "watchdog", timeout_s=60)
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
    device.box.wait("another", lambda: device.main_pid not in {killed, "0"}, timeout_s=60)
    device.wait_online()

    assert device.starts(cursor) == 1
    device.box.wait("the cloud knows", lambda: device.birth() == "crash", timeout_s=60)
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
        device.box.wait("failed", lambda: device.show("ActiveState") == "failed", timeout_s=60)
        journal = device.journal(cursor)

        # While systemd means to start it again, SubState is "auto-restart".
        assert (device.show("SubState"), device.show("ExecMainStatus")) == ("failed", "78")
        assert journal.count(f"Starting {UNIT}") == 1
        errors = device.box.output("journalctl", "-ocat", "--priority=err", "-n3", "-u", UNIT)
        assert "window_s" in errors
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
        device.box.wait("failed", lambda: device.show("ActiveState") == "failed", timeout_s=60)

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

    assert took_s < allowed_s(5)
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


def test_the_sensors_that_need_no_device_work_in_its_sandbox(device: Device) -> None:
    """Those of the kernel's files, and a program of the owner's."""
    sensors = (
        '[[sensors]]\nname = "board"\ndriver = "system"\ninterval_s = 1\n'
        '[[sensors]]\nname = "own"\ndriver = "exec"\ncommand = ["/bin/sh", "-c", "echo 21.5"]\n'
    )
    device.configure(device.toml + sensors)
    try:
        device.restart()
        device.wait_status(
            "both have a value",
            lambda status: all(status["sensors"][name]["last"] for name in ("board", "own")),
        )

        assert [name for name, one in device.status()["sensors"].items() if not one["ok"]] == []
    finally:
        device.configure()
    device.restart()


def test_the_drop_ins_of_the_examples_are_sound(device: Device) -> None:
    """All of them for devices and the network at once: systemd accepts them, the agent works."""
    directory = f"/etc/systemd/system/{UNIT}.d"
    device.box.run("groupadd", "--system", "--force", "i2c")
    device.box.run("mkdir", "-p", directory)
    for name in ("i2c", "proxy"):
        device.box.run("cp", f"{EXAMPLES}/{name}.conf", directory)
    try:
        device.systemctl("daemon-reload")
        verified = device.box.run("systemd-analyze", "verify", UNIT, check=False)
        device.restart()

        assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
        assert "char-i2c rw" in device.show("DeviceAllow")
    finally:
        device.box.run("rm", "-r", directory)
        device.systemctl("daemon-reload")
    device.restart()


@pytest.mark.timeout(900 + SOAK_S)
@pytest.mark.parametrize("memory_mib", [MEMORY_MIB, 256] if SOAK_S else [256])
def test_a_small_machine_runs_it(device: Device, memory_mib: int) -> None:
    """With 256 MiB for the whole machine it registers anew and runs without a restart.

    All other tests here run with 512. SOAK_S=600 in the environment has it run for 10 minutes with
    each.
    """
    device.box.run("pi-iot-agent", "deprovision", check=False)
    device.systemctl("stop", UNIT)
    device.box.run("rm", "-rf", device.certs)
    device.box.limit_memory(memory_mib)
    try:
        cursor = device.cursor()
        device.restart()
        pid, began_s, began_cpu_s = device.main_pid, time.monotonic(), device.cpu_s()
        while time.monotonic() < began_s + max(5, SOAK_S):
            assert device.main_pid == pid, device.box.report()
            time.sleep(1)
        busy = (device.cpu_s() - began_cpu_s) / (time.monotonic() - began_s)
    finally:
        device.box.limit_memory(MEMORY_MIB)

    assert busy < 0.1
    assert device.starts(cursor) == 1
    assert "oom" not in device.journal(cursor).lower()
    device.wait_status("all is sent", lambda status: status["queued"] == 0)


def test_a_support_archive_of_roots_has_the_journal_and_no_key(device: Device) -> None:
    """It is root's alone, and is not written where the service could lead root."""
    target = "/root/support.tar.gz"
    device.box.run("rm", "-f", target)
    device.box.run("pi-iot-agent", "doctor", "--bundle", target)

    assert device.box.output("stat", "-c%a %U", target) == "600 root"
    told = device.box.output("tar", "-xOzf", target)
    assert f"online as {device.name}" in told or '"state": "online"' in told
    assert "journal.txt: cannot be had" not in told
    assert "PRIVATE KEY" not in told
    assert ACCESS_KEY in device.box.output("cat", CREDENTIALS)
    assert ACCESS_KEY not in told
    refused = device.box.run(
        "pi-iot-agent", "doctor", "--bundle", "/var/lib/pi-iot-agent/x.tar.gz", check=False
    )
    assert refused.returncode == 77, refused.stderr


def test_a_page_of_roots_is_made_of_what_the_service_reads(device: Device) -> None:
    """It is root's alone, and is not written where the service could lead root."""
    target = "/root/report.html"
    device.box.run("rm", "-f", target)
    told = device.box.output("pi-iot-agent", "report")
    if "the history is empty" not in told:  # nothing was counted or read yet
        device.box.run("pi-iot-agent", "report", "--html", target)
        assert device.box.output("stat", "-c%a %U", target) == "600 root"
    elsewhere = ("pi-iot-agent", "report", "--html", "/var/lib/pi-iot-agent/x.html")
    refused = device.box.run(*elsewhere, check=False)
    assert refused.returncode == 77, refused.stderr


def test_root_has_the_certificate_replaced_by_the_service_and_gives_it_an_aws_key(
    device: Device,
) -> None:
    """Nothing there is root's afterwards, the key is nowhere, and the service goes on."""
    link = ("readlink", device.certs)
    before = device.box.output(*link)
    given = ("--access-key-id", ACCESS_KEY, "--secret-stdin")
    done = device.box.run("pi-iot-agent", "rotate", *given, stdin="a-secret-of-roots\n")
    assert "in use now" in done.stdout
    assert device.box.output(*link) != before
    certs = "/etc/pi-iot-agent/certs"
    assert device.box.output("find", certs, "-not", "-user", "pi-iot-agent") == ""
    everywhere = ("/etc/pi-iot-agent", "/var/lib/pi-iot-agent", "/run/pi-iot-agent", "/root")
    found = device.box.run("grep", "-rl", "a-secret-of-roots", *everywhere, check=False)
    assert found.stdout == ""
    device.wait_online()
