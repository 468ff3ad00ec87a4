"""The end of an agent, in order or not, loses nothing and is told to the cloud."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from typing import TYPE_CHECKING, Any

from tests.integration.agent.conftest import FAST, PROTOCOLS, name_of, numbers
from tests.timing import allowed_s

if TYPE_CHECKING:
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws


def test_a_stop_is_orderly_and_loses_nothing(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """SIGTERM: the open window goes up as partial, then the farewell; exit 0 within 4 s."""
    agent = make_agent(sensors=FAST, count={"window_s": 3600}).start()
    name = name_of(agent)
    agent.wait_online()
    cloud.observer.wait(f"{name}/sensors/room", count=5)

    began_s = time.monotonic()
    assert agent.stop() == 0

    assert time.monotonic() - began_s < allowed_s(4.0)
    last = cloud.observer.wait(f"{name}/status", count=2)[-1].json()
    assert (last["state"], last["reason"]) == ("offline", "stopped")
    count = cloud.observer.wait(f"{name}/count")[-1].json()
    assert count["quality"] == "partial"
    assert count["detect_count"] > 0
    assert "no record waits" in agent.command("queue").stdout


def test_a_stop_does_not_wait_for_a_silent_broker(make_agent: MakeAgent) -> None:
    """SIGTERM ends the wait for TLS: exit 0 at once, and nobody is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent = make_agent(mqtt={"connect_timeout_s": 3600})
        assert agent.command("provision").returncode == 0
        port = f"port = {silent.getsockname()[1]}"
        agent.config.write_text(re.sub(r"(?m)^port = .*$", port, agent.config.read_text()))
        agent.start()
        with silent.accept()[0] as connection:
            assert connection.recv(1)  # of its ClientHello: now it waits
            began_s = time.monotonic()
            assert agent.stop() == 0

        assert time.monotonic() - began_s < allowed_s(3.0)
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


def _seen(mirror: dict[str, Any]) -> int:
    return sum(one["body"]["detect_count"] for one in mirror["windows"])


def test_a_crash_loses_no_detection_and_is_told(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """What the open window had counted is reported at the next start, whose birth says why."""
    motion = {"name": "motion", "driver": "simulated", "detections_per_s": 2}
    agent = make_agent(sensors=[motion], count={"window_s": 86_400}).start()
    agent.wait_online()
    name = name_of(agent)
    mirror = agent.directory / "runtime" / "window.json"
    until_s = time.monotonic() + 60
    seen = 0
    while seen < 6:
        assert time.monotonic() < until_s
        time.sleep(0.05)
        if mirror.exists():
            seen = _seen(json.loads(mirror.read_text()))
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
