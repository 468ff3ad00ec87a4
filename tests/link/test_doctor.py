"""`doctor` against a scripted broker: each step has its verdict, in the words of the conditions."""

from __future__ import annotations

import fcntl
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.main import main
from tests.link import wire
from tests.link.bench import Bench
from tests.link.device import THING, write_toml

if TYPE_CHECKING:
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

    def examine(self) -> tuple[int, str]:
        """The exit code, and what was printed."""
        code = main(["doctor", "--config", str(self.config)])
        return code, self._capsys.readouterr().out


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
    """As the condition `unprovisioned` has it."""
    patient.config.write_text(f'[paths]\ncerts = "{patient.runtime}"\n[thing]\nname = "cat"\n')

    code, told = patient.examine()

    assert code == 1
    assert "FAIL  unprovisioned: " in told


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
    assert "OK    sensor: bath works" in told
    assert "WARN  quantity-missing: bath: humidity_pct cannot be 3310" in told


def test_a_wrong_configuration_ends_with_78(patient: Patient) -> None:
    """As with every command; nothing else is looked at."""
    patient.write(8883, "nonsense = 1\n")

    code, told = patient.examine()

    assert (code, told) == (78, "")


def test_a_running_agent_is_asked_and_not_thrown_out(patient: Patient) -> None:
    """No CONNECT is sent; its conditions are shown as it reports them."""
    conditions = [
        {"code": "taken-over", "severity": "warning", "since": 1, "text": "twice", "hint": "rename"}
    ]
    status = {"state": "online", "queued": 3, "conditions": conditions}
    (patient.runtime / "status.json").write_text(json.dumps(status))
    with (patient.runtime / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, told = patient.examine()

    assert code == 0
    assert "OK    connection: the agent holds it: online, 3 records wait" in told
    assert "WARN  taken-over: twice\n      hint: rename" in told
    assert patient.broker.seen(wire.CONNECT) == []


def test_a_running_agent_without_a_connection_is_a_fail(patient: Patient) -> None:
    """What it says of that is shown beside."""
    conditions = [
        {"code": "offline", "severity": "info", "since": 1, "text": "no CONNACK", "hint": "wait"}
    ]
    status = {"state": "offline", "queued": 3, "conditions": conditions}
    (patient.runtime / "status.json").write_text(json.dumps(status))
    with (patient.runtime / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, told = patient.examine()

    assert code == 1
    assert "FAIL  connection: the agent runs and has none: offline" in told
    assert "offline: no CONNACK\n      hint: wait" in told
