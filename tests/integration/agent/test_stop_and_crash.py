"""The main job, end to end: from an empty machine to readings arriving at the cloud."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.agent_process import ListeningSystemd

if TYPE_CHECKING:
    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

FAST = [
    {"name": "motion", "driver": "simulated", "detections_per_s": 2.0},
    {"name": "room", "driver": "simulated", "interval_s": 0.2},
]
QUICK = {"backoff_max_s": 2}
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def name_of(agent: AgentProcess) -> str:
    """The thing's name."""
    return agent.directory.name


def numbers(cloud: LocalAws, agent: AgentProcess) -> list[int]:
    """The seq of every record that arrived, in order of arrival."""
    return [
        message.json()["seq"]
        for message in cloud.observer.messages(f"{name_of(agent)}/#")
        if b'"seq"' in message.payload
    ]


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
    count = cloud.observer.wait(f"{name}/count", count=2, timeout_s=15)[-1].json()
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


def test_the_daemon_stays_small(make_agent: MakeAgent) -> None:
    """Provisioned and connected, its memory shows no boto3."""
    agent = make_agent().start()
    agent.wait_online()

    rollup = Path(f"/proc/{agent.pid}/smaps_rollup").read_text()
    rss_kib = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss"))

    assert rss_kib < 30 * 1024


@PROTOCOLS
def test_commands_set_the_total_once(cloud: LocalAws, make_agent: MakeAgent, protocol: str) -> None:
    """A set counts on from its number, once per id; a reset zeroes; garbage changes nothing."""
    sensors = [{"name": "motion", "driver": "simulated", "detections_per_s": 0.001}]
    agent = make_agent(sensors=sensors, mqtt={"protocol": protocol, **QUICK}).start()
    name = name_of(agent)
    agent.wait_online()
    time.sleep(0.5)  # the subscription

    cloud.observer.command(name, {"set": 500, "id": "a"})
    agent.wait_status(lambda status: status["total"] == 500)
    cloud.observer.command(name, "77")
    agent.wait_status(lambda status: status["total"] == 77)
    cloud.observer.command(name, {"set": 500, "id": "a"})
    for garbage in (b"\xff\xfe", b"{", b"[" * 50_000, b'{"set": -1, "id": "x"}', b"1e99", b"true"):
        cloud.observer.command(name, garbage)
    agent.wait_status(lambda status: status["ignored"] == 6)
    assert agent.status()["total"] == 77
    cloud.observer.command(name, {"set": 9, "id": "b"})
    agent.wait_status(lambda status: status["total"] == 9)
    assert agent.stop() == 0

    agent.start()
    assert agent.wait_online()["total"] == 9
    cloud.observer.command(name, {"reset": True, "id": "c"})
    agent.wait_status(lambda status: status["total"] == 0)


def test_a_stop_is_orderly_and_loses_nothing(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """SIGTERM: the open window goes up as partial, then the farewell; exit 0 within 4 s."""
    agent = make_agent(sensors=FAST, count={"window_s": 3600}).start()
    name = name_of(agent)
    agent.wait_online()
    cloud.observer.wait(f"{name}/sensors/room", count=5)

    began_s = time.monotonic()
    assert agent.stop() == 0

    assert time.monotonic() - began_s < 4.0
    last = cloud.observer.wait(f"{name}/status", count=2)[-1].json()
    assert (last["state"], last["reason"]) == ("offline", "stopped")
    count = cloud.observer.wait(f"{name}/count")[-1].json()
    assert count["quality"] == "partial"
    assert count["detect_count"] > 0
    assert "no record waits" in agent.command("queue").stdout


def test_a_stop_does_not_wait_for_a_silent_broker(make_agent: MakeAgent) -> None:
    """SIGTERM ends the wait for TLS: exit 0 at once, and nobody is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent = make_agent()
        assert agent.command("provision").returncode == 0
        port = f"port = {silent.getsockname()[1]}"
        agent.config.write_text(re.sub(r"(?m)^port = .*$", port, agent.config.read_text()))
        agent.start()
        with silent.accept()[0]:
            time.sleep(0.5)
            began_s = time.monotonic()
            assert agent.stop() == 0

        assert time.monotonic() - began_s < 3.0
        assert "left behind" not in agent.log


def test_the_last_will_tells_of_a_sudden_death(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """After SIGKILL the broker itself says offline."""
    agent = make_agent().start()
    agent.wait_online()
    agent.kill()

    will = cloud.observer.wait(f"{name_of(agent)}/status", count=2)[-1].json()

    assert will == {"state": "offline", "reason": "connection lost"}


@PROTOCOLS
def test_nothing_is_lost_when_the_broker_and_the_agent_die(
    cloud: LocalAws, make_agent: MakeAgent, protocol: str
) -> None:
    """A broker killed in mid-stream and an agent killed at random leave no gap in the numbers."""
    agent = make_agent(
        sensors=[{"name": "room", "driver": "simulated", "interval_s": 0.05}],
        mqtt={"protocol": protocol, "backoff_max_s": 1},
    ).start()
    name = name_of(agent)
    chance = random.Random(7)
    agent.wait_online()
    for round_ in range(6):
        cloud.observer.wait(f"{name}/sensors/room", count=len(numbers(cloud, agent)) + 5)
        time.sleep(chance.uniform(0, 0.3))
        agent.kill()
        if round_ == 2:
            cloud.broker.kill()
        agent.start()
        if round_ == 2:
            time.sleep(3)
            cloud.broker.start()
    agent.wait_online()
    assert agent.stop() == 0

    seen = set(numbers(cloud, agent))
    assert seen == set(range(1, max(seen) + 1))
    assert max(seen) > 50


def test_only_one_agent_runs_at_a_time(make_agent: MakeAgent) -> None:
    """A second one with the same configuration ends at once, temporarily, and says why."""
    agent = make_agent().start()
    agent.wait_online()

    second = agent.command("run")

    assert second.returncode == 75
    assert "running already" in second.stderr


def test_status_tells_running_from_not_running(make_agent: MakeAgent) -> None:
    """`status` exits 0 when healthy, 3 when there is no agent, whatever an old file says."""
    agent = make_agent()
    assert agent.command("status").returncode == 3
    agent.start().wait_online()
    agent.wait_status(lambda status: not status["conditions"])
    assert agent.command("status").returncode == 0
    assert json.loads(agent.command("status", "--json").stdout)["state"] == "online"
    agent.kill()
    assert agent.command("status").returncode == 3


def test_doctor_finds_a_sound_device_sound(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """While the agent runs it keeps its connection; without it doctor connects itself."""
    agent = make_agent().start()
    agent.wait_online()
    connects = len(cloud.broker.connects)

    beside = agent.command("doctor")
    assert beside.returncode == 0, beside.stdout
    assert "OK    connection: the agent holds it: online" in beside.stdout
    assert len(cloud.broker.connects) == connects
    assert agent.stop() == 0

    alone = agent.command("doctor")
    assert alone.returncode == 0, alone.stdout
    assert f"OK    connection: accepted as {name_of(agent)}; a session is kept" in alone.stdout


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

    key.parent.mkdir()
    key.write_text(cloud.credentials)
    assert agent.wait_online()["conditions"] == []


def test_a_refused_call_names_the_action_and_sighup_tries_again(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """AccessDenied says which IAM action is missing; SIGHUP tries again at once."""
    from tests.tools.cloud.faults import ACCESS_DENIED  # noqa: PLC0415

    cloud.faults.inject(ACCESS_DENIED, "CreatePolicy")
    agent = make_agent().start()
    condition = agent.wait_condition("provisioning-refused")
    assert "iot:CreatePolicy" in condition["text"]

    cloud.faults.heal()
    agent.signal(signal.SIGHUP)

    agent.wait_online(timeout_s=10)


def test_systemd_hears_the_whole_story(make_agent: MakeAgent, tmp_path: Path) -> None:
    """READY once sampling, STATUS on changes, WATCHDOG while all is well, STOPPING at the end."""
    agent = make_agent()
    with ListeningSystemd(tmp_path / "notify") as systemd:
        agent.environment |= {**systemd.environment, "WATCHDOG_USEC": "1500000"}
        agent.start().wait_online()
        time.sleep(1.5)
        assert agent.stop() == 0

    assert systemd.heard[0] == "READY=1"
    assert any(line.startswith("STATUS=provisioning as") for line in systemd.heard)
    assert any(line.startswith("STATUS=online as") for line in systemd.heard)
    assert systemd.count("WATCHDOG=1") >= 2
    assert systemd.heard.index("STOPPING=1") > systemd.heard.index("WATCHDOG=1")


def test_a_crash_loses_no_detection_and_is_told(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """What the open window had counted is reported at the next start, whose birth says why."""
    motion = {"name": "motion", "driver": "simulated", "detections_per_s": 2}
    agent = make_agent(sensors=[motion], count={"window_s": 86_400}).start()
    agent.wait_online()
    name = name_of(agent)
    mirror = agent.directory / "runtime" / "window.json"
    until_s = time.monotonic() + 30
    seen = 0
    while seen < 6:
        assert time.monotonic() < until_s
        time.sleep(0.05)
        if mirror.exists():
            seen = json.loads(mirror.read_text())["body"]["detect_count"]
    agent.kill()
    agent.start().wait_online()

    (count,) = cloud.observer.wait(f"{name}/count")
    births = cloud.observer.wait(
        f"{name}/status", count=2, matching=lambda message: b'"online"' in message.payload
    )
    first, second = births
    assert (count.json()["detect_count"] >= seen, count.json()["quality"]) == (True, "partial")
    assert first.json()["reason"] == "first start"
    assert second.json()["reason"] == "crash"
    assert 0 < second.json()["away_s"] < 60
    assert agent.status()["total"] == count.json()["total"]
    assert agent.stop() == 0
    agent.start().wait_online()
    third = cloud.observer.wait(
        f"{name}/status", matching=lambda message: b'"restart"' in message.payload
    )
    assert third[0].json()["state"] == "online"


def test_a_dead_network_never_starves_the_watchdog(make_agent: MakeAgent, tmp_path: Path) -> None:
    """Alive is not connected: with nobody at the broker's port WATCHDOG=1 goes on."""
    agent = make_agent()
    assert agent.command("provision").returncode == 0
    agent.config.write_text(re.sub(r"(?m)^port = .*$", "port = 9", agent.config.read_text()))
    with ListeningSystemd(tmp_path / "notify") as systemd:
        agent.environment |= {**systemd.environment, "WATCHDOG_USEC": "600000"}
        agent.start().wait_condition("offline")
        fed = systemd.count("WATCHDOG=1")
        time.sleep(2.5)
        assert systemd.count("WATCHDOG=1") >= fed + 2
        assert agent.stop() == 0


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


def test_a_refused_publish_keeps_the_record_and_says_so(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """Not authorized on PUBACK: the record stays, a condition stands, and a grant ends both."""
    agent = make_agent(
        sensors=[{"name": "room", "driver": "simulated", "interval_s": 0.5}],
        mqtt={"backoff_min_s": 1, "backoff_max_s": 2},
    ).start()
    name = name_of(agent)
    agent.wait_online()
    policy = f"{name}_subscribe"
    whole = cloud.iot.get_policy(policyName=policy)["policyDocument"]
    without: dict[str, Any] = json.loads(whole)
    without["Statement"] = [one for one in without["Statement"] if one["Action"] != "iot:Publish"]
    document = json.dumps(without)
    cloud.iot.create_policy_version(policyName=policy, policyDocument=document, setAsDefault=True)

    agent.wait_condition("not-authorized", timeout_s=15)
    waiting = agent.wait_status(lambda status: status["queued"] >= 4)
    cloud.iot.create_policy_version(policyName=policy, policyDocument=whole, setAsDefault=True)

    agent.wait_status(lambda s: s["queued"] < 3 and s["acked"] > waiting["acked"] + 3)
    agent.wait_status(lambda status: not status["conditions"])
    assert agent.stop() == 0
    seen = set(numbers(cloud, agent))
    assert seen == set(range(1, max(seen) + 1))


def test_a_refused_subscription_does_not_stop_the_readings(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """SUBACK 0x87: publishing goes on, and the condition says what is missing."""
    agent = make_agent(sensors=FAST)
    assert agent.command("provision").returncode == 0
    name = name_of(agent)
    policy = f"{name}_subscribe"
    document: dict[str, Any] = json.loads(cloud.iot.get_policy(policyName=policy)["policyDocument"])
    document["Statement"] = [
        one for one in document["Statement"] if one["Action"] != "iot:Subscribe"
    ]
    cloud.iot.create_policy_version(
        policyName=policy, policyDocument=json.dumps(document), setAsDefault=True
    )

    agent.start().wait_online()

    assert "iot:Subscribe" in agent.wait_condition("not-subscribed")["hint"]
    cloud.observer.wait(f"{name}/sensors/room", count=10)


def test_a_file_that_is_no_configuration_ends_with_78(tmp_path: Path) -> None:
    """`run` on a missing file: one clear message, no traceback, an exit code systemd obeys."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "run", "--config", str(tmp_path / "none.toml")],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )

    assert done.returncode == 78
    assert str(tmp_path / "none.toml") in done.stderr
    assert "Traceback" not in done.stderr
