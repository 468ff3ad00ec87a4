"""An empty machine registers itself and reports; whatever it lacks is told until it is there."""

from __future__ import annotations

import signal
import stat
from typing import TYPE_CHECKING

from tests.integration.agent.conftest import FAST, PROTOCOLS, QUICK, name_of, numbers
from tests.tools.cloud.faults import ACCESS_DENIED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws


@PROTOCOLS
def test_an_empty_machine_becomes_a_device_that_reports(
    cloud: LocalAws, make_agent: MakeAgent, protocol: str
) -> None:
    """No credentials, then thing, policy, certificate, session, readings and counts, by itself."""
    agent = make_agent(
        sensors=FAST, mqtt={"protocol": protocol, **QUICK}, count={"window_s": 5}
    ).start()
    name = name_of(agent)

    status = agent.wait_online()
    reading = cloud.observer.wait(f"{name}/sensors/room")[0].json()
    count = cloud.observer.wait(f"{name}/count", count=2, timeout_s=60)[-1].json()
    birth = cloud.observer.wait(f"{name}/status")[0].json()

    certs = agent.directory / "certs" / name
    assert {path.name for path in certs.iterdir()} >= {
        f"{name}-certificate.pem.crt",
        f"{name}-private.pem.key",
        f"{name}-public.pem.key",
        "AmazonRootCA1.pem",
        "identity.json",
    }
    assert stat.S_IMODE((certs / f"{name}-private.pem.key").stat().st_mode) == 0o600
    assert (status["thing"], status["endpoint"]) == (name, cloud.endpoint)
    assert birth["state"] == "online"
    assert reading.keys() == {"Timestamp", "temperature_c", "epoch", "seq"}
    assert isinstance(count["Timestamp"], int)
    assert count["Timestamp"] % 5 == 0
    assert (count["window_s"], count["observed_ms"], count["quality"]) == (5, 5000, "ok")
    assert abs(count["detect_count"] - 10) <= 1  # one may fall on the very end
    assert count["next_by"] == count["Timestamp"] + 5 + 10
    assert agent.stop() == 0
    assert sorted(numbers(cloud, agent)) == list(range(1, max(numbers(cloud, agent)) + 1))
    assert "Traceback" not in agent.log


def test_missing_aws_credentials_are_a_condition_that_adding_them_ends(
    cloud: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """Without an AWS key the agent samples, says what to write where, and waits for it."""
    key = tmp_path / "aws" / "credentials"
    agent = make_agent(sensors=FAST, provisioning={"credentials_file": str(key)})
    agent.environment["HOME"] = str(tmp_path)
    agent.start()

    condition = agent.wait_condition("no-aws-credentials")
    assert str(key) in condition["text"] + condition["hint"]
    assert agent.wait_status(lambda status: status["queued"] > 0)["state"] == "provisioning"
    assert agent.command("status").returncode == 1
    examined = agent.command("doctor")
    assert examined.returncode == 1
    failed = [line for line in examined.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1, examined.stdout  # the cause, and nothing that follows from it
    assert failed[0].startswith("FAIL  no-aws-credentials: ")
    assert "unprovisioned" not in examined.stdout

    key.parent.mkdir()
    key.write_text(cloud.credentials)
    assert agent.wait_online()["conditions"] == []


def test_a_refused_call_names_the_action_and_sighup_tries_again(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """AccessDenied says which IAM action is missing; SIGHUP tries again at once."""
    cloud.faults.inject(ACCESS_DENIED, "CreatePolicy")
    agent = make_agent(mqtt={"backoff_min_s": 3600, "backoff_max_s": 3600}).start()
    condition = agent.wait_condition("provisioning-refused")
    assert "iot:CreatePolicy" in condition["text"]
    examined = agent.command("doctor").stdout
    assert examined.count("FAIL") == 1, examined
    assert "FAIL  provisioning-refused: AWS refuses iot:CreatePolicy" in examined

    cloud.faults.heal()
    agent.signal(signal.SIGHUP)

    agent.wait_online()


def test_an_own_certificate_needs_no_registration(
    cloud: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """With cert_file, key_file and endpoint the control plane is never asked."""
    first = make_agent(name="own-certificate").start()
    first.wait_online()
    first.stop()
    certs = first.directory / "certs" / "own-certificate"
    (tmp_path / "mine.crt").write_bytes(
        (certs / "own-certificate-certificate.pem.crt").read_bytes()
    )
    (tmp_path / "mine.key").write_bytes((certs / "own-certificate-private.pem.key").read_bytes())
    calls = len(cloud.faults.calls)
    second = make_agent(
        name="second",
        thing={"name": "own-certificate"},
        mqtt={
            "endpoint": cloud.endpoint,
            "cert_file": str(tmp_path / "mine.crt"),
            "key_file": str(tmp_path / "mine.key"),
        },
    ).start()

    second.wait_online()

    assert len(cloud.faults.calls) == calls
    assert not (second.directory / "certs" / "own-certificate").exists()
