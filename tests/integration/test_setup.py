"""`setup` against the local AWS: by flags, and at a terminal."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.arrival import Arrival
from agent.config import load
from agent.files import lock
from agent.sensors import options_of
from tests.integration.agent_process import AgentProcess
from tests.integration.terminal import Terminal
from tests.tools.cloud.faults import ACCESS_DENIED, INVALID_TOKEN
from tests.tools.cloud.local_aws import ACCESS_KEY
from tests.tools.cloud.mosquitto import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.tools.cloud import LocalAws

ROOT = Path(__file__).parents[2]
OTHER_KEY = "AKIAOTHERKEY00000000"
SECRET = "local"


@dataclass(frozen=True)
class Fresh:
    """A device on which nothing is set up; its owner has written a configuration of his own."""

    aws: LocalAws
    directory: Path

    @property
    def config(self) -> Path:
        """Its agent.toml."""
        return self.directory / "agent.toml"

    @property
    def credentials(self) -> Path:
        """The file for the AWS key."""
        return self.directory / "aws" / "credentials"

    def command(self, *arguments: str) -> list[str]:
        """`setup` with its arguments."""
        return [sys.executable, "-m", "agent", "setup", "--config", str(self.config), *arguments]

    def setup(
        self, *arguments: str, text: str = "", environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `setup` without a terminal, with `text` on its standard input."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env={**self.aws.environment, **(environment or {})},
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def terminal(self, *arguments: str) -> Terminal:
        """`setup` at a terminal."""
        return Terminal(self.command(*arguments), self.aws.environment)

    def provisioned(self, name: str) -> bool:
        """Whether that thing's certificate lies there."""
        return (self.directory / "certs" / name / "identity.json").is_file()


@pytest.fixture
def device(cloud: LocalAws, tmp_path: Path) -> Iterator[Fresh]:
    """A device with neither name, region nor key."""
    toml = cloud.agent_toml(
        tmp_path,
        thing={"name": None},
        aws={"region": None},
        provisioning={"credentials_file": str(tmp_path / "aws" / "credentials")},
    )
    fresh = Fresh(cloud, tmp_path)
    fresh.config.write_text(f"# mine\n{toml}")
    yield fresh
    cloud.faults.clear()


def flags(name: str, *, key: str = ACCESS_KEY, region: str = "ap-northeast-1") -> list[str]:
    """All but the secret."""
    return ["--name", name, "--region", region, "--access-key-id", key]


def test_flags_alone_set_a_device_up(device: Fresh) -> None:
    """Name and region are written, the device is registered, each step told; the key may stay."""
    before = device.config.read_text()
    device.config.chmod(0o640)
    secret = {"AWS_SECRET_ACCESS_KEY": SECRET}
    done = device.setup(*flags("by-flags"), "--keep-key", environment=secret)
    assert (done.returncode, done.stderr) == (0, "")
    assert device.provisioned("by-flags")
    for step in ("name by-flags, region ap-northeast-1", ACCESS_KEY, "certificate activated"):
        assert step in done.stdout
    text = device.config.read_text()
    assert (
        text.replace('name = "by-flags"\n', "").replace('region = "ap-northeast-1"\n', "") == before
    )
    assert stat.S_IMODE(device.config.stat().st_mode) == 0o640
    assert stat.S_IMODE(device.credentials.stat().st_mode) == 0o600
    assert device.credentials.read_text() == device.aws.credentials


def test_set_up_again_only_what_is_given_changes(device: Fresh) -> None:
    """Without flags all stays but the key, which is erased, and then not needed.

    Another name or region is another registration, and needs one.
    """
    secret = device.directory / "secret"
    secret.write_text(f"{SECRET}\n")
    done = device.setup(*flags("again"), "--secret-file", str(secret), "--keep-key")
    assert done.returncode == 0, done.stderr
    config = device.config.read_text()
    done = device.setup()
    assert done.returncode == 0, done.stderr
    assert "the AWS key is erased" in done.stdout
    assert device.config.read_text() == config
    assert not device.credentials.exists()
    done = device.setup()
    assert done.returncode == 0, done.stderr
    assert "again stays registered as it is" in done.stdout
    for other in (("--name", "other"), ("--region", "eu-west-1")):
        done = device.setup(*other)
        assert done.returncode == 2
        assert "--access-key-id" in done.stderr
    assert device.config.read_text() == config


@pytest.mark.parametrize(
    ("arguments", "text", "problem"),
    [
        ([], "", "this is missing: --region, --access-key-id, --secret-file, "),
        (flags("x"), "", "this is missing: --secret-file, --secret-stdin or AWS_SECRET_ACCESS_KEY"),
        (flags("a b"), "", "--name: expected 1 to 128 of the characters"),
        (flags(""), "", "--name: is empty"),
        (flags("x", region="Tokyo"), "", "--region: expected a region such as"),
        (flags("x", key="key"), "", "--access-key-id: expected 16 to 128 capital letters"),
        ([*flags("x"), "--secret-stdin"], "\n", "the secret access key is empty"),
        ([*flags("x"), "--secret-stdin"], "two words\n", "the secret access key expected one word"),
        (["--secret", "x"], "", "unrecognized arguments: --secret"),
        (["--erase-key", "--keep-key"], "", "not allowed with"),
    ],
)
def test_what_is_wrong_on_the_command_line_changes_nothing(
    device: Fresh, arguments: list[str], text: str, problem: str
) -> None:
    """Exit code 2, in words, and without a look at AWS."""
    before = device.config.read_text()
    done = device.setup(*arguments, text=text)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "two words" not in done.stderr
    assert device.config.read_text() == before
    assert not device.credentials.exists()


def test_a_secret_file_that_is_not_there_is_told(device: Fresh) -> None:
    """By its name."""
    done = device.setup(*flags("x"), "--secret-file", "/none")
    assert done.returncode == 2
    assert "--secret-file: /none: No such file" in done.stderr


def test_a_configuration_that_is_wrong_elsewhere_is_mended_first(device: Fresh) -> None:
    """Nobody is asked; a wrong name or region alone is what this is for."""
    device.config.write_text('[thing]\nname = "a b"\n[mqtt]\nport = 0\n')
    done = device.setup(*flags("x"), "--secret-stdin", text=SECRET)
    assert done.returncode == 78
    assert done.stderr.startswith(f"{device.config}: mqtt.port: ")
    assert "thing.name" not in done.stderr


def test_a_list_of_sensors_on_one_line_is_left_to_its_owner(device: Fresh) -> None:
    """The message says what to write by hand."""
    text = device.config.read_text().partition("[[sensors]]")[0]
    before = f'sensors = [{{ name = "a", driver = "system" }}]\n{text}'
    device.config.write_text(before)
    flag = ("--sensor", "b=simulated")
    done = device.setup(*flags("b"), *flag, "--secret-stdin", text=SECRET)
    assert done.returncode == 78
    assert "hint: write the [[sensors]] of b by hand" in done.stderr
    assert device.config.read_text() == before
    assert not device.credentials.exists()


def test_the_key_touches_the_card_only_where_it_is_needed_again(device: Fresh) -> None:
    """After success it was never there; after a failure the agent goes on with it."""
    assert device.setup(*flags("x"), "--secret-stdin", text=SECRET).returncode == 0
    assert not device.credentials.exists()
    device.aws.faults.inject(ACCESS_DENIED, "CreateThing")
    done = device.setup(*flags("y"), "--secret-stdin", text=SECRET)
    assert done.returncode == 77, done.stderr
    assert "allow iot:CreateThing" in done.stderr
    assert device.credentials.read_text() == device.aws.credentials
    assert stat.S_IMODE(device.credentials.stat().st_mode) == 0o600


@pytest.mark.parametrize(("region", "code"), [("us-east-1", 0), ('evil"\n[x]', 2), (7, 2)])
def test_no_region_is_written_that_only_the_services_files_tell(
    region: object, code: int, device: Fresh
) -> None:
    """Whoever is the service's user could write any; root's file stays as it is."""
    assert device.setup(*flags("mine"), "--secret-stdin", text=SECRET).returncode == 0
    text = device.config.read_text().replace('region = "ap-northeast-1"\n', "")
    device.config.write_text(text)
    identity = device.directory / "certs" / "mine" / "identity.json"
    identity.write_text(json.dumps({**json.loads(identity.read_text()), "region": region}))
    done = device.setup()
    assert done.returncode == code, done.stderr
    assert device.config.read_text() == text


def test_a_key_that_aws_does_not_know_is_written_nowhere(device: Fresh) -> None:
    """The agent could do nothing with it; one that lies there already is its owner's."""
    device.aws.faults.inject(INVALID_TOKEN, "GetCallerIdentity")
    done = device.setup(*flags("z"), "--secret-stdin", "--keep-key", text=SECRET)
    assert done.returncode == 77, done.stderr
    assert "AWS does not accept the AWS key" in done.stderr
    assert f"The AWS key {ACCESS_KEY} was written nowhere, since it is wrong." in done.stdout
    assert not device.credentials.exists()


def test_a_lost_output_ends_nothing_and_leaves_no_key(device: Fresh) -> None:
    """The work is done to its end; the exit code then says that something was not shown."""
    command = device.command(*flags("unseen"), "--secret-stdin")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=device.aws.environment,
            input=SECRET,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "the output cannot be written: No space left on device" in done.stderr
    assert device.provisioned("unseen")
    assert not device.credentials.exists()


def test_it_waits_for_another_registration(device: Fresh) -> None:
    """Somebody else's; the agent's own gives way by itself."""
    certs = device.directory / "certs"
    certs.mkdir()
    (certs.parent / "secret").write_text(SECRET)
    command = device.command(*flags("waits"), "--secret-file", str(certs.parent / "secret"))
    with ExitStack() as somebody:
        somebody.enter_context(lock(certs / ".by-hand", "somebody"))
        with subprocess.Popen(
            command, cwd=ROOT, env=device.aws.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                if "waiting for it" in line:
                    somebody.close()
    assert process.returncode == 0
    assert device.provisioned("waits")


def test_an_agent_without_a_key_says_what_to_do(device: Fresh) -> None:
    """The first start of all: it is up, and STATUS and status.json name the next command."""
    with AgentProcess(device.aws, device.directory, toml=device.config.read_text()) as agent:
        condition = agent.start().wait_condition("no-aws-credentials")
        assert condition["severity"] == "error"
        assert condition["text"] == "there is no AWS key to register this device with"
        assert condition["hint"] == (
            f"run `sudo pi-iot-agent setup`, or write an AWS key to {device.credentials}"
        )
        assert agent.stop() == 0


def test_at_a_terminal_it_asks(device: Fresh) -> None:
    """A wrong answer is asked again; the secret is not shown; the key is left nowhere."""
    terminal = device.terminal()
    terminal.answer("Name of this device in AWS IoT []: ", "a b\n")
    terminal.answer("Name of this device in AWS IoT []: ", "asked\n")
    terminal.answer("AWS region, such as ap-northeast-1: ", "\n")
    terminal.answer("AWS region, such as ap-northeast-1: ", "ap-northeast-1\n")
    terminal.answer("AWS access key id: ", "oops\n")
    terminal.answer("AWS access key id: ", f"{OTHER_KEY}\n")
    terminal.answer("AWS secret access key (not shown): ", "not one word\n")
    terminal.answer("AWS secret access key (not shown): ", "Zz9SECRETzZ\n")
    terminal.answer("(Enter: none): ", "\n")
    assert terminal.end() == 0, terminal.seen
    assert device.provisioned("asked")
    assert "SECRET" not in terminal.seen
    assert "not one word" not in terminal.seen
    assert not device.credentials.exists()
    assert 'name = "asked"' in device.config.read_text()


def test_at_a_terminal_enter_keeps_what_there_is(device: Fresh) -> None:
    """Name, region, key and secret; nothing is written anew."""
    done = device.setup(*flags("kept"), "--secret-stdin", "--keep-key", text=SECRET)
    assert done.returncode == 0, done.stderr
    before = device.config.stat().st_ino, device.credentials.stat().st_ino
    terminal = device.terminal("--keep-key")
    terminal.answer("Name of this device in AWS IoT []: ", "\n")
    terminal.answer("AWS region, such as ap-northeast-1 []: ", "\n")
    terminal.answer("AWS access key id []: ", "\n")
    terminal.answer("(not shown; Enter keeps it): ", "\n")
    terminal.answer("(Enter: none): ", "\n")
    assert terminal.end() == 0, terminal.seen
    assert (device.config.stat().st_ino, device.credentials.stat().st_ino) == before


def test_at_a_terminal_it_asks_what_is_wired(device: Fresh) -> None:
    """The board itself is always there; what is chosen is written, and not offered again.

    A second run needs no key.
    """
    terminal = device.terminal(*flags("wired"))
    terminal.answer("AWS secret access key (not shown): ", f"{SECRET}\n")
    terminal.answer("(Enter: none): ", "all\n")
    while "Name of system [board]: " not in terminal.seen:
        terminal.answer("]: ", "\n")  # whatever else this machine has
    assert terminal.end() == 0, terminal.seen
    terminal = device.terminal("--name", "wired", "--region", "ap-northeast-1")
    terminal.answer("AWS access key id (Enter: it stays registered as it is): ", "\n")
    assert terminal.end() == 0, terminal.seen
    assert "(the sensor board)" in terminal.seen
    assert device.config.read_text().count('driver = "system"') == 1


WALK = """
import sys
from functools import partial
from agent.cli import service, walk
from agent.clock import Clock
from agent.config import SensorConfig
from agent.sensors.simulated import Options
sensor = SensorConfig(name="motion", driver="simulated", options=Options(detections_per_s=20.0))
print("exit code", service.watch_as_service(partial(walk.trial, sensor, "this pin", Clock())))
print("went on:", input())
"""


@pytest.mark.parametrize("key", ["\n", "\n\n", "\x03"])
def test_a_walk_test_ends_with_enter_or_ctrl_c_and_setup_goes_on(key: str) -> None:
    """The lines that were typed answer no question."""
    terminal = Terminal([sys.executable, "-c", WALK], {**os.environ})
    terminal.answer("detected, 3 so far\r\n", key)
    terminal.answer("exit code 0\r\n", "on\n")
    assert terminal.end() == 0, terminal.seen
    assert re.search(r"motion: \d+ detections in \d+ s", terminal.seen)
    assert "went on: on" in terminal.seen


def test_the_first_record_of_sensors_by_flags_is_awaited(device: Fresh) -> None:
    """From nothing to an acknowledged count: what `setup` wrote is what the agent runs with."""
    empty = device.config.read_text().partition("[[sensors]]")[0]
    device.config.write_text(empty)
    sensors = ("--sensor", "pir=simulated:2", "--window-s", "5")
    done = device.setup(*flags("counts"), *sensors, "--secret-stdin", text=SECRET)
    assert done.returncode == 0, done.stderr
    toml = device.config.read_text()
    assert "detections_per_s = 2" in toml
    assert "sensor =" not in toml  # the only one that detects is meant

    with AgentProcess(device.aws, device.directory, toml=toml) as agent:
        agent.start()
        config = load(device.config, options_of=options_of, environment={})
        assert Arrival(config).wait(limit_s=90.0) == 0
        assert agent.stop() == 0


def test_a_broker_that_is_away_is_told_when_the_patience_ends(
    device: Fresh, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 75, with the cause though it is new, and what to do; the agent goes on."""
    assert device.setup(*flags("away"), "--secret-stdin", text=SECRET).returncode == 0
    (away,) = free_ports(1)
    toml = device.config.read_text().replace(f"port = {device.aws.port}", f"port = {away}")
    with AgentProcess(device.aws, device.directory, toml=toml) as agent:
        agent.start().wait_condition("offline")
        config = load(device.config, options_of=options_of, environment={})
        assert Arrival(config).wait(limit_s=90.0, patience_s=0.0) == 75
        assert agent.stop() == 0
    told = capsys.readouterr().out
    assert "the agent is not online yet" in told
    assert re.search(r"^offline: .*refused.*\n  hint: ", told, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sensor", "door=gpio:99"], "--sensor door: pin: must be from 0 to 53, got 99"),
        (["--sensor", "door=gpio"], "--sensor door: pin: is missing"),
        (["--sensor", "door=dht22"], '--sensor door: driver: no driver "dht22"; it is read by'),
        (["--sensor", "a b=system"], "--sensor a b: name: expected 1 to 64"),
        (["--sensor", "door=system,pin=3"], "--sensor door: pin: unknown key"),
        (["--sensor", "a=gpio:20", "--sensor", "b=gpio:20"], "GPIO20 is taken by the sensor"),
        (["--count", "nobody"], '--count: no sensor has the name "nobody"'),
        (["--window-s", "1"], "--window-s: must be from 5 to 86400"),
    ],
)
def test_a_sensor_that_cannot_be_changes_nothing(
    device: Fresh, arguments: list[str], words: str
) -> None:
    """Exit code 2, in words, before anybody is asked or AWS is."""
    before = device.config.read_text()
    done = device.setup(*flags("x"), *arguments, "--secret-stdin", text=SECRET)
    assert done.returncode == 2
    assert words in done.stderr
    assert device.config.read_text() == before
    assert not device.provisioned("x")


def test_what_is_worth_mending_is_told_at_once(device: Fresh) -> None:
    """A place of the header for a GPIO number, for one; it stops nothing."""
    pin = ("--sensor", "motion=gpio:40")
    done = device.setup(*flags("warned"), *pin, "--secret-stdin", text=SECRET)
    assert done.returncode == 0, done.stderr
    assert "warning: sensors: motion: no header has GPIO40 (its pin 40 is GPIO21)" in done.stdout


def test_a_second_run_changes_what_is_there(device: Fresh) -> None:
    """The keys that are given; a new detector is counted beside the one that was."""
    first = ("--sensor", "motion=simulated:1", "--sensor", "room=system,interval_s=300")
    done = device.setup(*flags("twice"), *first, "--secret-stdin", "--keep-key", text=SECRET)
    assert done.returncode == 0, done.stderr
    again = ("--sensor", "room=system,interval_s=60", "--sensor", "hall=simulated:1")
    done = device.setup(*again)
    assert done.returncode == 0, done.stderr
    config = load(device.config, options_of=options_of, environment={})
    assert [(one.name, one.interval_s) for one in config.sensors] == [
        ("motion", None),
        ("room", 60),
        ("hall", None),
    ]
    assert config.count.sensor == ("motion", "hall")
    assert device.config.read_text().startswith("# mine\n")


def test_the_end_of_the_input_changes_nothing(device: Fresh) -> None:
    """Ctrl-D at a question, exit code 2; Ctrl-C ends it too."""
    before = device.config.read_text()
    for key, code in (("\x04", 2), ("\x03", 130)):
        terminal = device.terminal()
        terminal.answer("Name of this device in AWS IoT []: ", "")
        # Again, since a signal just before input() reads is not seen until the next key.
        assert terminal.end(pressing=key) == code, terminal.seen
    assert device.config.read_text() == before
