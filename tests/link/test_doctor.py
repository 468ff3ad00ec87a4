"""`doctor` against a scripted broker: each step has its verdict, in the words of the conditions."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.examination import examine
from agent.cli.main import main
from agent.clock import Clock
from agent.config import load
from agent.provisioning.access_key import AccessKey, text_of
from tests.link import wire
from tests.link.bench import Bench
from tests.link.certificates import DAY
from tests.link.device import THING, write_toml

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from tests.link.broker import Broker


class Patient:
    """A configuration, and what `doctor` says about it."""

    def __init__(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        self.broker: Broker = bench.broker()
        self.config = bench.directory / "agent.toml"
        self.runtime = bench.directory / "runtime"
        self.runtime.mkdir()
        self._bench = bench
        self._capsys = capsys
        self.write(self.broker.port)

    def write(self, port: int, more: str = "") -> None:
        """Write the configuration."""
        path = write_toml(
            self._bench.directory,
            self._bench.certificates.device,
            port,
            "5",
            mqtt={"connect_timeout_s": 2},
        )
        path.write_text(path.read_text() + more)

    def unregister(self) -> None:
        """Have it be a device that has nothing yet; an AWS key would be in the file `key`."""
        self.config.write_text(
            f'[paths]\ncerts = "{self.runtime}"\nstate = "{self.runtime}"\n'
            f'runtime = "{self.runtime}"\n[thing]\nname = "cat"\n'
            f'[provisioning]\ncredentials_file = "{self.runtime / "key"}"\n'
        )

    def examine(self, *flags: str) -> tuple[int, str]:
        """The exit code, and what was printed."""
        code = main(["doctor", *flags, "--config", str(self.config)])
        return code, self._capsys.readouterr().out

    def examine_beside(self, state: str, *standing: tuple[str, str, str]) -> tuple[int, str]:
        """The same, while an agent runs that reports these: code, severity, text."""
        conditions = [
            {"code": code, "severity": severity, "since": 1, "text": text, "hint": "do it"}
            for code, severity, text in standing
        ]
        status = {"state": state, "queued": 3, "conditions": conditions}
        (self.runtime / "status.json").write_text(json.dumps(status))
        with (self.runtime / "agent.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self.examine()


@pytest.fixture
def patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Patient]:
    """Someone to examine, with a broker that works."""
    with ExitStack() as stack:
        yield Patient(Bench(tmp_path, "5", stack), capsys)


def test_a_sound_device_is_ok_from_the_configuration_to_the_subscription(patient: Patient) -> None:
    """Exit 0; the device connects, subscribes and leaves in order, without a last will."""
    code, told = patient.examine()

    assert code == 0, told
    for what in ("configuration", "store", "credentials", "name look-up", "TLS", "connection"):
        assert f"OK    {what}: " in told
    assert f"OK    subscription: {THING}/count is granted" in told
    (connect,) = patient.broker.seen(wire.CONNECT)
    assert connect.will_topic == ""
    patient.broker.wait(wire.DISCONNECT)


def test_a_closed_port_is_a_fail_with_the_hint_of_the_condition(patient: Patient) -> None:
    """Exit 1; what came before it is OK."""
    patient.write(1)

    code, told = patient.examine()

    assert code == 1
    assert "OK    name look-up" in told
    assert "FAIL  offline: localhost port 1 cannot be reached: connection refused" in told
    assert "hint: nothing serves this port" in told


def test_a_refused_connect_is_called_as_the_condition_is(patient: Patient) -> None:
    """TLS is OK, CONNECT is not."""
    patient.broker.on[wire.CONNECT] = lambda peer, _: peer.send(
        wire.connack(five=True, reason=0x87)
    )

    code, told = patient.examine()

    assert code == 1
    assert "OK    TLS" in told
    assert "FAIL  not-authorized: the broker refuses the connection: not authorized" in told


@pytest.mark.parametrize("kept", [True, False])
def test_a_message_that_waited_is_left_to_the_agent(patient: Patient, *, kept: bool) -> None:
    """It comes in the same breath as CONNACK, and gets no PUBACK; the device was let in."""
    message = wire.publish(f"{THING}/count", b"x", five=True, mid=7)
    patient.broker.on[wire.CONNECT] = lambda peer, _: peer.send(
        wire.connack(five=True, present=kept) + message
    )

    code, told = patient.examine()

    assert code == 0, told
    assert "OK    connection: accepted" in told
    assert not patient.broker.seen(wire.PUBACK)


@pytest.mark.parametrize("answer", ["refused", "dropped"])
def test_a_refused_subscription_is_a_warning(patient: Patient, answer: str) -> None:
    """Publishing works without it: exit 0."""
    patient.broker.on[wire.SUBSCRIBE] = lambda peer, packet: (
        peer.send(wire.suback(packet.mid, b"\x87", five=True))
        if answer == "refused"
        else peer.close()
    )

    code, told = patient.examine()

    assert code == 0
    assert "WARN  not-subscribed: " in told
    assert "iot:Subscribe" in told


def test_missing_credentials_are_a_fail(patient: Patient) -> None:
    """Named with their path; the network is then not tried."""
    Path(patient._bench.certificates.device.key).unlink()

    code, told = patient.examine()

    assert code == 1
    assert "FAIL  credentials-invalid: " in told
    assert str(patient._bench.certificates.device.key) in told
    assert patient.broker.peers == []


def test_a_device_that_is_not_registered_is_told_so(patient: Patient) -> None:
    """The cause alone: the AWS key that is missing, and what follows from it is not tried."""
    patient.unregister()

    code, told = patient.examine()

    assert code == 1
    assert "FAIL  no-aws-credentials: " in told
    assert "not provisioned yet, and" in told
    assert told.count("FAIL") == 1


def test_a_device_with_an_aws_key_is_only_not_registered_yet(patient: Patient) -> None:
    """Nothing is wrong with the key, so only the registration is missing."""
    patient.unregister()
    (patient.runtime / "key").write_text(text_of("default", AccessKey("AKIA" + "A" * 16, "secret")))

    code, told = patient.examine()

    assert code == 1
    assert "FAIL  unprovisioned: " in told
    assert told.count("FAIL") == 1


def test_a_key_that_cannot_be_one_is_the_cause(patient: Patient) -> None:
    """It is told where it is wrong, and not that there is no certificate too."""
    patient.unregister()
    (patient.runtime / "key").write_text("[default]\naws_access_key_id = x\n")

    code, told = patient.examine()

    assert code == 1
    assert "FAIL  provisioning-refused: " in told
    assert told.count("FAIL") == 1


def test_sensors_are_read_once_if_no_agent_holds_them(patient: Patient) -> None:
    """One that fails is a warning: the others go on."""
    patient.write(
        patient.broker.port,
        '[[sensors]]\nname = "room"\ndriver = "simulated"\n'
        '[[sensors]]\nname = "shed"\ndriver = "exec"\ncommand = ["/nowhere"]\n'
        '[[sensors]]\nname = "bath"\ndriver = "exec"\n'
        """command = ["/bin/echo", '{"humidity_pct": 3310, "temperature_c": 20}']\n""",
    )

    code, told = patient.examine()

    assert code == 0, told
    assert "OK    sensor: room works" in told
    assert "WARN  sensor-failing: shed" in told
    assert "OK    sensor: bath works in part: humidity_pct cannot be 3310" in told


def test_a_wrong_configuration_ends_with_78(patient: Patient) -> None:
    """As with every command; nothing else is looked at. A program is told by JSON as well."""
    patient.write(8883, "nonsense = 1\n")

    assert patient.examine() == (78, "")
    code, told = patient.examine("--json")

    (found,) = json.loads(told)["findings"]
    assert (code, found["verdict"], found["what"]) == (78, "FAIL", "configuration")
    assert f"{patient.config}: " in found["text"]
    assert "nonsense" in found["text"]
    assert "check" in found["hint"]


def test_a_running_agent_is_asked_and_not_thrown_out(patient: Patient) -> None:
    """No CONNECT is sent; its conditions are shown as it reports them."""
    code, told = patient.examine_beside("online", ("taken-over", "warning", "twice"))

    assert code == 0
    assert "OK    connection: the agent holds it: online, 3 records wait" in told
    assert "WARN  taken-over: twice\n      hint: do it" in told
    assert patient.broker.seen(wire.CONNECT) == []


def test_information_is_no_verdict(patient: Patient) -> None:
    """The agent tells it, and its code is not said to be OK."""
    code, told = patient.examine_beside("online", ("config-changed", "info", "is newer"))

    assert code == 0
    assert "OK    agent: is newer\n      hint: do it" in told
    assert "config-changed" not in told


def test_a_running_agent_without_a_connection_is_a_fail(patient: Patient) -> None:
    """The condition says why, and nothing says it again."""
    code, told = patient.examine_beside("offline", ("offline", "info", "no CONNACK"))

    assert code == 1
    assert (
        "FAIL  offline: no CONNACK (the agent is offline, 3 records wait)\n      hint: do it"
    ) in told
    assert told.count("FAIL") == told.count("CONNACK") == 1


def test_each_warning_of_the_configuration_is_told_once(patient: Patient) -> None:
    """The agent has those that were found here, and others of its own."""
    sensor = '[[sensors]]\nname = "pir"\ndriver = "simulated"\ntest = true\n'
    patient.write(patient.broker.port, sensor)
    (here,) = load(patient.config, options_of=lambda _: dict, environment={}).warnings

    told = patient.examine_beside(
        "online", ("config-warning", "warning", here), ("config-warning", "warning", "of its own")
    )[1]

    assert told.count(here) == 1
    assert "WARN  config-warning: of its own" in told


@pytest.mark.parametrize(
    ("standing", "cause"),
    [
        (("no-aws-credentials", "unprovisioned"), "no-aws-credentials"),
        (("unprovisioned", "provisioning-refused"), "provisioning-refused"),
        (("unprovisioned",), "unprovisioned"),
    ],
)
def test_a_device_whose_agent_cannot_register_has_one_cause(
    patient: Patient, standing: tuple[str, ...], cause: str
) -> None:
    """The one that the agent tells; the missing certificate follows from it."""
    patient.unregister()

    code, told = patient.examine_beside(
        "provisioning", *((one, "warning", f"as to {one}") for one in standing)
    )

    assert code == 1
    assert f"FAIL  {cause}: as to {cause} (the agent is provisioning, 3 records wait)" in told
    assert told.count("FAIL") == 1
    assert told.count("as to") == 1


def test_what_is_found_here_is_not_told_again_by_the_agent(patient: Patient) -> None:
    """A port that is closed is why the agent is offline, whatever it said of the broker before."""
    patient.write(1)
    standing = ("offline", "not-authorized", "credentials-invalid", "no-aws-credentials")
    code, told = patient.examine_beside(
        "offline", *((one, "warning", "lost it") for one in standing)
    )

    assert code == 1
    assert "FAIL  offline: localhost port 1 cannot be reached: connection refused" in told
    assert "OK    agent: it runs, and is offline, 3 records wait" in told
    assert "lost it" not in told
    assert told.count("FAIL") == 1


def test_a_certificate_tells_its_dates(patient: Patient) -> None:
    """One that ends soon is a warning: with the day, the key and the id that AWS calls it by."""
    told = patient.examine()[1]

    assert "WARN  certificate-expiring: ends in less than a day: RSA 2048, from 20" in told
    pem = Path(patient._bench.certificates.device.certificate).read_text()
    assert f"id {hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()}" in told


@pytest.mark.parametrize(
    ("begins", "ends", "verdict"),
    [
        (-2 * DAY, -DAY, "FAIL  certificate-expiring: has ended on "),
        (DAY, 2 * DAY, "FAIL  certificate: is not valid yet: "),
        (-DAY, 90.5 * DAY, "OK    certificate: RSA 2048, from "),
        (-DAY, 1.5 * DAY, "WARN  certificate-expiring: ends in 1 day: "),
    ],
)
def test_a_certificate_out_of_its_dates_is_the_one_cause(
    patient: Patient, begins: dt.timedelta, ends: dt.timedelta, verdict: str
) -> None:
    """That TLS would fail follows from it, and is not tried."""
    patient._bench.certificates.renew(begins=begins, ends=ends)

    code, told = patient.examine()

    assert verdict in told
    failed = verdict.startswith("FAIL")
    assert (code, told.count("FAIL")) == (failed, failed)
    assert ("TLS:" in told) is not failed
    assert ("90 days left" in told) is (ends > 90 * DAY)


def test_a_clock_that_is_wrong_is_the_one_cause(patient: Patient) -> None:
    """By it no certificate can be judged, neither ours nor the broker's."""
    config = load(patient.config, options_of=lambda _: dict, environment={})
    found = list(examine(config, clock=Clock(built_s=2.0**40)))

    assert [one.what for one in found if one.verdict == "FAIL"] == ["clock-unset"]
    assert {one.what for one in found} >= {"credentials", "name look-up"}
    assert not {one.what for one in found} & {"certificate", "certificate-expiring", "TLS"}


@pytest.mark.parametrize(
    ("host", "problem", "right"),
    [
        (
            "a1b2.iot.nowhere-1.amazonaws.com",
            "a1b2.iot.nowhere-1.amazonaws.com is the old endpoint",
            "a1b2-ats.iot.nowhere-1.amazonaws.com",
        ),
        (
            "a1b2-ats.iot.us-eats-1.amazonaws.com",
            "us-eats-1 is no AWS region that this version knows",
            "did you mean us-east-1",
        ),
    ],
)
def test_an_endpoint_that_cannot_be_is_told_once_with_the_right_one(
    patient: Patient, host: str, problem: str, right: str
) -> None:
    """As what to do about the failure, here that no such name is known."""
    text = patient.config.read_text()
    text = text.replace('endpoint = "localhost"', f'endpoint = "{host}"')
    patient.config.write_text(re.sub("ca_file = .*", "", text))

    code, told = patient.examine()

    assert code == 1
    assert f"FAIL  offline: the name {host} cannot be looked up" in told
    assert f"hint: {problem}" in told
    assert told.count(right) == 1


def test_findings_are_one_document_for_programs(patient: Patient) -> None:
    """In ASCII, with the same verdicts, and the same exit code."""
    patient.write(1)

    code, told = patient.examine("--json")

    document = json.loads(told)
    assert code == 1
    assert told.isascii()
    assert document["failed"] is True
    assert document["thing"] == THING
    assert {one["what"]: one["verdict"] for one in document["findings"]} | {"offline": "FAIL"} == {
        "configuration": "OK",
        "topics": "OK",
        "clock": "OK",
        "store": "OK",
        "agent": "WARN",
        "credentials": "OK",
        "certificate-expiring": "WARN",
        "name look-up": "OK",
        "offline": "FAIL",
    }
    assert set(document["findings"][0]) == {"verdict", "what", "text", "hint"}
