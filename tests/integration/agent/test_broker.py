"""The broker's commands are obeyed once, and what it refuses is kept and told."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.integration.agent.conftest import FAST, PROTOCOLS, QUICK, name_of, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws


@PROTOCOLS
def test_commands_set_the_total_once(cloud: LocalAws, make_agent: MakeAgent, protocol: str) -> None:
    """A set counts on from its number, once per id; a reset zeroes; garbage changes nothing."""
    sensors = [{"name": "motion", "driver": "simulated", "detections_per_s": 0.001}]
    agent = make_agent(sensors=sensors, mqtt={"protocol": protocol, **QUICK}).start()
    name = name_of(agent)
    agent.wait_online()

    def commanded(status: Mapping[str, Any]) -> bool:  # again, until the subscription is there
        cloud.observer.command(name, {"set": 500, "id": "a"})
        return bool(status["total"] == 500)

    agent.wait_status(commanded)
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


def test_a_mode_marks_what_follows_until_it_is_ended(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """From the cloud, kept over a crash, told at the next connection, and ended by the command."""
    agent = make_agent(sensors=FAST, count={"window_s": 5}, mqtt=QUICK).start()
    name = name_of(agent)
    agent.wait_online()
    visit = {"mode": "visitor", "until": int(time.time()) + 86_400, "id": "a"}

    def visited(status: Mapping[str, Any]) -> bool:  # again, until the subscription is there
        cloud.observer.command(name, visit)
        return bool(status["mode"] == "visitor")

    status = agent.wait_status(visited)
    assert status["mode_until"] == visit["until"]
    assert agent.wait_condition("mode-set")["severity"] == "info"
    for kind in ("count", "sensors/room"):
        cloud.observer.wait(f"{name}/{kind}", matching=lambda it: b'"mode":"visitor"' in it.payload)
    told = agent.command("status").stdout
    assert "visitor until " in told
    assert "Quiet for " in told
    agent.kill()
    cloud.observer.clear()
    agent.start().wait_online()
    (birth,) = cloud.observer.wait(f"{name}/status", matching=lambda it: b"online" in it.payload)
    assert birth.json()["mode_until"] == visit["until"]

    assert "set by the cloud" in agent.command("mode").stdout
    assert "within a minute" in agent.command("mode", "off").stdout
    agent.wait_status(lambda status: status["mode"] is None)
    cloud.observer.command(name, visit)  # its id is known
    cloud.observer.command(name, {"reset": True, "id": "b"})
    cloud.observer.command(name, {"mode": "away", "until": 1, "id": "c"})
    status = agent.wait_status(lambda status: status["ignored"] == 1)
    assert status["mode"] is None
    assert agent.stop() == 0


def test_a_refused_publish_keeps_the_record_and_says_so(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """Not authorized on PUBACK: the record stays, a condition names it, and a grant ends both."""
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

    assert f"{name}/" in agent.wait_condition("not-authorized")["text"]
    waiting = agent.wait_status(lambda status: status["queued"] >= 4)
    cloud.iot.create_policy_version(policyName=policy, policyDocument=whole, setAsDefault=True)

    def taken(status: Mapping[str, Any]) -> bool:
        agent.signal(signal.SIGHUP)  # else it is tried again after a minute
        return bool(status["queued"] < 3 and status["acked"] > waiting["acked"] + 3)

    agent.wait_status(taken)
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
