"""An installed package becomes a device: by flags, by a prepared card, by a credential."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.system.device import CA_FILE, CONFIG, CREDENTIALS, EXAMPLES, UNIT
from tests.tools.cloud.local_aws import ACCESS_KEY

if TYPE_CHECKING:
    from tests.system.device import Device

pytestmark = pytest.mark.timeout(900)  # the first use of a box may have to make its root

SECRET = "Zz9/TheSecretOfThisTest+zZ9"
PRESEED = "/boot/firmware/pi-iot-agent.toml"
PRESEED_UNIT = "pi-iot-agent-preseed.service"
COMPLETION = "/usr/share/bash-completion/completions/pi-iot-agent"

#: Runs a command at a terminal of its own.
TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

#: The same with what is typed first, until the text of the second word is shown: then it hangs up.
HANG_UP = """
import os, pty, sys
child, terminal = pty.fork()
if not child:
    os.execvp(sys.argv[3], sys.argv[3:])
os.write(terminal, sys.argv[1].encode())
shown = ""
while sys.argv[2] not in shown:
    shown += os.read(terminal, 1000).decode(errors='replace')
print(shown)
"""

#: Has the agent stopped, tells how its unit is, and gets the signal.
STOPPED = """
import os, signal, subprocess, sys
sys.path.insert(0, "/usr/lib/pi-iot-agent")
from agent import config, sensors
from agent.cli.service_unit import stopped
with stopped(config.load(config.DEFAULT_PATH, options_of=sensors.options_of)):
    subprocess.run(["systemctl", "is-active", "pi-iot-agent"])
    if sys.argv[1] != "SIG":
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
        signal.pause()
"""

#: Asks bash what it would put in the place of the last word.
COMPLETE = f"""
. {COMPLETION}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"
echo "${{COMPREPLY[@]}}"
"""


def test_flags_alone_make_it_a_device_and_the_key_is_erased(fresh: Device) -> None:
    """Unattended, as root: it is online under its name, and the AWS key is nowhere any more."""
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    fresh.box.write(CONFIG, fresh.toml_with(thing={"name": None}, aws={"region": None}))
    flags = ["--name", fresh.name, "--region", fresh.cloud.region, "--access-key-id", ACCESS_KEY]
    done = fresh.box.run(
        "pi-iot-agent", "setup", *flags, "--secret-stdin", "--erase-key", stdin=f"{SECRET}\n"
    )
    fresh.wait_online()

    assert done.stdout.rstrip().endswith("Done. `pi-iot-agent status` tells how it is.")
    assert f'name = "{fresh.name}"' in fresh.box.output("cat", CONFIG)
    assert places_of(SECRET, fresh) == []
    assert fresh.box.run("test", "-e", CREDENTIALS, check=False).returncode == 1
    # (Whose a link is does not matter; the directory that it lies in is the agent's.)
    foreign = ["find", "/etc/pi-iot-agent/certs", "-not", "-user", "pi-iot-agent", "-not"]
    assert fresh.box.output(*foreign, "-type", "l") == ""
    fresh.restart()  # it needs no key from now on


def test_a_claim_makes_it_a_device_without_an_aws_key(fresh: Device) -> None:
    """The template names it, in one and the same process; the claim is the service's user's."""
    fresh.cloud.fleet.create_template("home", ThingName=f"{fresh.name}-named")
    for path in fresh.cloud.fleet.claim(fresh.package.parent / "claim", template="home"):
        fresh.box.write(f"/root/claim/{path.name}", path.read_text(), mode="0600")
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    fresh.box.write(CONFIG, fresh.toml_with(thing={"name": None}, aws={"region": None}))
    flags = ["--claim", "/root/claim", "--template", "home", "--endpoint", fresh.cloud.endpoint]
    # What the service can lead root to is not read, wherever it leads.
    lead = "mkdir d && ln -s /root/claim/key d/ && ln -s /root/claim l"
    service = ("setpriv", "--reuid=pi-iot-agent", "--regid=pi-iot-agent", "--clear-groups")
    fresh.box.run(*service, "sh", "-c", f"cd /var/lib/pi-iot-agent && {lead}")
    for name in ("d", "l"):
        led = ["--claim", f"/var/lib/pi-iot-agent/{name}", *flags[2:]]
        refused = fresh.box.run("pi-iot-agent", "setup", *led, check=False)
        assert (refused.returncode, "lead root elsewhere" in refused.stderr) == (2, True)

    done = fresh.box.run("pi-iot-agent", "setup", *flags)
    fresh.wait_online()
    assert done.stdout.rstrip().endswith("Done. `pi-iot-agent status` tells how it is.")
    assert fresh.status()["thing"] == f"{fresh.name}-named"
    claim = "/etc/pi-iot-agent/certs/.claim/private.pem.key"
    assert fresh.box.output("stat", "-c", "%U %a", claim) == "pi-iot-agent 600"
    foreign = ["find", "/etc/pi-iot-agent/certs", "-not", "-user", "pi-iot-agent", "-not"]
    assert fresh.box.output(*foreign, "-type", "l") == ""
    fresh.restart()


def test_three_commands_lead_to_the_first_acknowledged_count(fresh: Device) -> None:
    """`apt install`, `setup`, `status`: no file is edited, and each step is told with its time.

    A second `setup` changes what is there. (Where the cloud is, a device of a test must be told.)
    """
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    empty = fresh.toml_with(thing={"name": None}, aws={"region": None}, count={"window_s": None})
    fresh.box.write(CONFIG, empty.partition("[[sensors]]")[0])
    setup = ["pi-iot-agent", "setup", "--secret-stdin", "--access-key-id", ACCESS_KEY]
    flags = ["--name", fresh.name, "--region", fresh.cloud.region, "--window-s", "5"]
    motion = ["--sensor", "motion=simulated:1"]
    done = fresh.box.run(*setup, *flags, *motion, stdin=f"{SECRET}\n")

    for step in (r"registered, \d", r"online, \d", r"first count acknowledged \d\d:\d\d:\d\d, \d"):
        assert re.search(f"^{step}", done.stdout, re.MULTILINE), done.stdout
    assert "motion/" not in done.stderr
    assert fresh.box.run("pi-iot-agent", "status").returncode == 0
    fresh.cloud.observer.wait(
        f"{fresh.name}/count", matching=lambda message: bool(message.json()["detect_count"])
    )

    again = ["--sensor", "motion=simulated:2", "--sensor", "room=simulated"]
    done = fresh.box.run("pi-iot-agent", "setup", *again)
    assert "first reading acknowledged" in done.stdout
    # A person at a terminal: name, region and key stay, what is found is added, as it is called.
    terminal = ["python3", "-c", TERMINAL, "pi-iot-agent", "setup"]
    done = fresh.box.run(*terminal, stdin="\n\n\n1\nstate\n")
    assert "Sensors so far: motion (simulated 2), room (simulated)" in done.stdout
    assert "1 system: " in done.stdout
    assert "first reading acknowledged" in done.stdout
    text = fresh.box.output("cat", CONFIG)
    assert [text.count(f'name = "{name}"') for name in ("motion", "room", "state")] == [1, 1, 1]
    assert "detections_per_s = 2" in text


def test_a_pin_is_allowed_with_its_sensor_and_a_wrong_one_is_refused(fresh: Device) -> None:
    """The drop-in comes and goes with the sensor at a pin; nothing is written of what is wrong."""
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    fresh.box.write(CONFIG, fresh.toml)
    setup = ["pi-iot-agent", "setup", "--secret-stdin", "--access-key-id", ACCESS_KEY]
    for wrong in ("door=gpio:99", "door=dht22", "door=system:1"):
        done = fresh.box.run(*setup, "--sensor", wrong, stdin=f"{SECRET}\n", check=False)
        assert (done.returncode, "--sensor door" in done.stderr) == (2, True), done.stderr
    assert fresh.box.output("cat", CONFIG) == fresh.toml.rstrip("\n")

    done = fresh.box.run(*setup, "--sensor", "door=gpio:20", stdin=f"{SECRET}\n")
    assert "sensor-failing: door: " in done.stdout  # this machine has no pins
    assert "char-gpiochip rw" in fresh.show("DeviceAllow")
    assert fresh.status()["sensors"]["room"]["ok"]
    fresh.box.run(*setup, "--sensor", "door=system", stdin=f"{SECRET}\n")
    assert "gpiochip" not in fresh.show("DeviceAllow")


@pytest.mark.parametrize("end", ["", "HUP", "TERM"])
def test_a_walk_test_keeps_the_agent_stopped_no_longer_than_it_lasts(
    end: str, device: Device
) -> None:
    """However it ends: a connection that breaks sends a hang-up."""
    pid = device.main_pid
    code = 128 + signal.Signals[f"SIG{end}"] if end else 0
    done = device.box.run("python3", "-c", STOPPED, f"SIG{end}", check=False)

    assert (done.stdout, done.returncode) == ("inactive\n", code), done.stderr
    device.wait_online()
    assert device.main_pid not in {"0", pid}


@pytest.mark.parametrize("why", ["masked", "group"])
def test_a_service_that_cannot_start_is_told(why: str, device: Device) -> None:
    """No success is told, by `--allow` neither; later, one that does not start at boot is told."""
    drop_in = f"/etc/systemd/system/{UNIT}.d/own.conf"
    device.systemctl("stop", UNIT)
    device.systemctl("disable", UNIT)
    if why == "masked":
        device.systemctl("mask", "--runtime", UNIT)
    else:
        device.box.write(drop_in, "[Service]\nSupplementaryGroups=no-such-group\n")
        device.systemctl("daemon-reload")
    try:
        done = device.box.run("pi-iot-agent", "setup", check=False)
        assert (done.returncode, "Done." in done.stdout) == (1, False)
        assert "the service does not start" in done.stderr
        assert "journalctl -u pi-iot-agent" in done.stderr
    finally:
        device.systemctl("unmask", "--runtime", UNIT)
        device.box.run("rm", "-f", drop_in)
        device.box.run("pi-iot-agent", "setup", "--allow")  # which has it read by systemd, too
        done = device.box.run("pi-iot-agent", "setup")
        device.systemctl("enable", UNIT)
    assert "It will not start at boot: sudo systemctl enable" in done.stdout
    assert device.show("NeedDaemonReload") == "no"


def test_a_hang_up_at_a_question_starts_the_service_all_the_same(device: Device) -> None:
    """A connection that breaks after the registration leaves no dead device."""
    device.box.run("pi-iot-agent", "setup")  # from now on no key is asked for
    pid = int(device.main_pid)
    hang_up = ["timeout", "60", "python3", "-c", HANG_UP, "\n\n\n", "Add which of these"]
    done = device.box.run(*hang_up, "pi-iot-agent", "setup")
    assert "What is wired to this board?" in done.stdout
    device.wait_status("another agent is there", lambda status: status["pid"] != pid)


def test_certificates_elsewhere_are_the_services_own(fresh: Device) -> None:
    """Where `[paths] certs` does not exist yet, root makes it for the service, and all below too.

    Without sudo nothing is called spoiled that this user just may not read.
    """
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    fresh.box.write(CONFIG, fresh.toml_with(paths={"certs": "/srv/iot/certs"}))
    flags = ["--access-key-id", ACCESS_KEY, "--secret-stdin"]
    fresh.box.run("pi-iot-agent", "setup", *flags, stdin=f"{SECRET}\n")
    fresh.wait_online()

    foreign = ["find", "/srv/iot/certs", "-not", "-user", "pi-iot-agent"]
    assert fresh.box.output(*foreign) == ""
    assert fresh.box.output("stat", "-c%a %U", "/srv/iot", "/srv/iot/certs").split("\n") == [
        "755 root",
        "700 pi-iot-agent",
    ]
    assert places_of(SECRET, fresh) == []
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "pi-iot-agent")
    doctor = fresh.box.run(*nobody, "doctor", check=False)
    assert "FAIL" not in doctor.stdout
    assert "sudo" in doctor.stdout
    assert doctor.returncode == 0
    assert fresh.box.run(*nobody, "status", check=False).returncode == 0
    for command in (["queue"], ["provision"]):
        told = fresh.box.run(*nobody, *command, check=False)
        assert (told.returncode, "with sudo" in told.stderr) == (77, True), told.stderr


def test_a_prepared_card_makes_it_a_device_at_its_first_boot(fresh: Device) -> None:
    """The file on the boot partition is taken over before the service starts, once, and wiped.

    Its AWS key is then in the credentials file alone: root's, and the agent may read it.
    """
    fresh.box.write(CA_FILE, fresh.cloud.ca_file.read_text())
    key = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET}
    fresh.box.write(PRESEED, fresh.toml_with(aws=key))

    fresh.box.reboot()
    fresh.wait_online()

    taken_us = int(shown(fresh, "ExecMainExitTimestampMonotonic"))
    assert 0 < taken_us < int(fresh.show("ExecMainStartTimestampMonotonic"))
    assert fresh.box.output("ls", "-A", "/boot/firmware") == ""
    assert places_of(SECRET, fresh) == [CREDENTIALS]
    assert fresh.box.output("stat", "-c%a %U:%G", CREDENTIALS) == "640 root:pi-iot-agent"
    assert fresh.box.output("stat", "-c%a %U:%G", CONFIG) == "644 root:root"
    fresh.restart()
    assert shown(fresh, "ConditionResult") == "no"


def test_a_card_that_was_prepared_wrongly_leaves_it_running(device: Device) -> None:
    """The service starts with what it has; a file on the boot partition says what is wrong."""
    device.box.write(PRESEED, device.toml + '[mqtt]\nport = "wrong"\n')
    try:
        device.restart()

        assert shown(device, "Result") == "exit-code"
        assert device.box.output("cat", CONFIG) == device.toml.rstrip("\n")
        assert "Nothing of the file has been taken over." in (
            device.box.output("cat", f"{PRESEED}.error")
        )
    finally:
        device.box.run("rm", "-rf", "/boot/firmware")


def test_the_key_may_come_from_systemd(fresh: Device) -> None:
    """With the drop-in of the examples it registers with a key that only root can read."""
    fresh.configure()
    fresh.box.run("rm", CREDENTIALS)
    fresh.box.write("/root/.aws/credentials", fresh.cloud.credentials, mode="0600")
    drop_in = f"/etc/systemd/system/{UNIT}.d/aws-credential.conf"
    fresh.box.run("install", "-D", f"{EXAMPLES}/aws-credential.conf", drop_in)
    try:
        fresh.systemctl("daemon-reload")
        fresh.restart()
    finally:
        fresh.box.run("rm", drop_in)
        fresh.systemctl("daemon-reload")


def test_bash_completes_its_commands_and_options(fresh: Device) -> None:
    """The file loads where bash-completion looks for it, by the command's name."""

    def completed(*words: str) -> list[str]:
        return fresh.box.output("bash", "-c", COMPLETE, "bash", *words).split()

    assert completed("pi-iot-agent", "set") == ["setup"]
    assert completed("pi-iot-agent", "setup", "--erase-k") == ["--erase-key"]
    assert completed("pi-iot-agent", "run", "--config", "/etc/pi-iot-agent/agent.t") == [CONFIG]


def shown(device: Device, name: str) -> str:
    """A property of the unit that takes a prepared card over."""
    return device.box.output("systemctl", "show", "--value", "-p", name, PRESEED_UNIT)


def places_of(text: str, device: Device) -> list[str]:
    """The files on the disk that contain it, and the journal if it does."""
    where = ["/boot", "/etc", "/home", "/root", "/run", "/srv", "/tmp", "/var"]  # noqa: S108  # any
    grep = ["grep", "--recursive", "--files-with-matches", "--devices=skip", "--fixed-strings"]
    found = device.box.output(*grep, "--regexp", text, *where, check=False)
    logged = device.box.output("journalctl", "--output=cat")
    return [*found.splitlines(), *(["journal"] if text in logged else [])]
