"""Health keeps the facts and conditions of the agent, and says when they change."""

from __future__ import annotations

import json

import pytest

from agent.health import conditions
from agent.health.health import Health
from tests.fakes import Ticks


@pytest.fixture
def ticks() -> Ticks:
    """The clocks."""
    return Ticks()


@pytest.fixture
def health(ticks: Ticks) -> Health:
    """A healthy one."""
    health = Health(wall_s=ticks, boot_s=ticks)
    health.update(thing="living-room")
    return health


def test_offline_is_information_for_five_minutes(health: Health, ticks: Ticks) -> None:
    """A lost link is normal; one that lasts is a warning, without anybody saying so again."""
    health.report(conditions.OFFLINE, "the network is down")
    assert health.next_change_s() == 300.0
    assert [one.severity for one in health.snapshot().conditions] == ["info"]

    ticks.now_s += 300.0

    assert [one.severity for one in health.snapshot().conditions] == ["warning"]
    assert health.next_change_s() == float("inf")


def test_a_condition_keeps_since_when_its_words_change(health: Health, ticks: Ticks) -> None:
    """The time tells when the trouble began, not when it was described last."""
    health.report(conditions.OFFLINE, "timed out")
    ticks.now_s += 10.0
    health.report(conditions.OFFLINE, "refused")

    (standing,) = health.snapshot().conditions
    assert (standing.since, standing.text) == (1000.0, "refused")


def test_conditions_of_several_sensors_stand_side_by_side(health: Health) -> None:
    """Each failing sensor has its own, and clearing one leaves the other."""
    health.report(conditions.SENSOR_FAILING, "room: no answer", key="room")
    health.report(conditions.SENSOR_FAILING, "door: no answer", key="door")
    health.clear(conditions.SENSOR_FAILING, key="room")

    assert [one.text for one in health.snapshot().conditions] == ["door: no answer"]


def test_the_line_names_the_worst_first(health: Health) -> None:
    """`systemctl status` has one line: the state, the queue, the worst trouble and its remedy."""
    health.update(state="online", queued=2)
    health.report(conditions.CONFIG_WARNING, "odd topic")
    health.report(conditions.NO_AWS_CREDENTIALS, "there is no AWS key", hint="write it to /etc/x")

    assert health.snapshot().line() == (
        "online as living-room; 2 queued; no-aws-credentials: there is no AWS key "
        "(write it to /etc/x); also config-warning"
    )


def test_the_line_names_mode_and_rules_beside_the_worst(health: Health) -> None:
    """Each code once: of a mode its end, of rules their names, of others how many."""
    health.report(conditions.MODE_SET, "away until Tue 1 Dec 2026 18:00")
    for name in ("cold", "heat", "still", "wet", "dark"):
        health.report(conditions.RULE_ACTIVE, f"{name}: nobody seen: since 08:00", key=name)
    for name in ("room", "door", "pir"):
        health.report(conditions.SENSOR_FAILING, f"{name}: no answer", hint="look", key=name)

    assert health.snapshot().line().partition("; 0 queued; ")[2] == (
        "sensor-failing: room: no answer (look); also sensor-failing (2 times), "
        "mode-set (away until Tue 1 Dec 2026 18:00), rule-active (cold, heat, still, 2 more)"
    )


def test_a_snapshot_is_json_with_every_fact(health: Health) -> None:
    """status.json has every field of the contract from the first moment on."""
    health.sensor("room", last_s=None, ok=False, error="not open", took_s=0.7504)
    content = json.loads(json.dumps(health.snapshot().as_json()))

    assert content["sensors"] == {
        "room": {"last": None, "ok": False, "error": "not open", "took_ms": 750}
    }
    assert content.keys() >= {
        *[
            "state",
            "thing",
            "endpoint",
            "session_present",
            "queued",
            "published",
            "acked",
            "confirmed",
            "dropped",
        ],
        *["last_ack", "conditions", "sensors", "total", "version", "pid", "written"],
    }


def test_an_unknown_fact_is_a_defect(health: Health) -> None:
    """A misspelt fact would be lost silently."""
    with pytest.raises(KeyError):
        health.update(quued=1)


def test_only_changes_are_told(ticks: Ticks) -> None:
    """Saying the same again wakes nobody."""
    turns: list[int] = []
    rests: list[int] = []
    health = Health(
        on_turn=lambda: turns.append(1), on_rest=lambda: rests.append(1), wall_s=ticks, boot_s=ticks
    )
    for _ in range(2):
        health.update(queued=1)
        health.report(conditions.OFFLINE, "down")
        health.rest()

    assert (len(turns), len(rests)) == (1, 1)
    health.clear(conditions.SENSOR_FAILING, key="never raised")
    assert len(turns) == 1


def test_a_turn_is_told_at_once_and_figures_when_a_worker_rests(ticks: Ticks) -> None:
    """A reading changes several, which are told once: a person waits for none of them."""
    told: list[str] = []
    health = Health(
        on_turn=lambda: told.append("turn"),
        on_rest=lambda: told.append("rest"),
        wall_s=ticks,
        boot_s=ticks,
    )
    health.update(state="online", published=1)
    health.sensor("room", last_s=1.0, ok=True)
    assert told == ["turn", "turn"]
    health.update(acked=1, last_ack=1.0)
    health.sensor("room", last_s=2.0, ok=True)
    health.touch()
    assert told == ["turn", "turn"]
    health.rest()
    health.rest()
    assert told == ["turn", "turn", "rest"]
    health.sensor("room", last_s=2.0, ok=False, error="no such device")
    health.sensor("room", last_s=2.0, ok=False, error="no such bus")
    assert told[3:] == ["turn", "turn"]


def test_where_more_figures_come_they_are_told_together(ticks: Ticks) -> None:
    """A backlog that drains for hours is seen to drain, second by second."""
    rests: list[float] = []
    health = Health(on_rest=lambda: rests.append(ticks.now_s), wall_s=ticks, boot_s=ticks)
    began_s = ticks.now_s
    for number in range(1, 26):
        health.update(acked=number)
        health.rest(more=True)
        ticks.now_s += 0.1
    assert [round(at_s - began_s, 1) for at_s in rests] == [1.0, 2.1]
    health.rest()
    assert len(rests) == 3


def test_a_worker_that_does_not_beat_is_late(health: Health, ticks: Ticks) -> None:
    """Each worker says itself by when it will beat again."""
    health.beat("sampler", 10.0)
    health.beat("uplink", 60.0)
    ticks.now_s += 30.0

    assert health.late() == ["sampler"]
    health.beat("sampler", 10.0)
    assert health.late() == []


def test_stopping_is_the_last_state(health: Health) -> None:
    """A link that is lost while stopping does not make the agent offline."""
    health.update(state="stopping")
    health.update(state="offline", queued=3)

    assert health.snapshot().facts["state"] == "stopping"
    assert health.snapshot().facts["queued"] == 3


def test_live_facts_are_asked_for_at_each_snapshot(ticks: Ticks) -> None:
    """They are never older than the snapshot; a touch says that there is something new to show."""
    changes: list[int] = []
    waiting = [1, 2]
    health = Health(
        on_rest=lambda: changes.append(1),
        live=lambda: {"queued": len(waiting)},
        wall_s=ticks,
        boot_s=ticks,
    )
    assert health.snapshot().facts["queued"] == 2
    waiting.clear()
    health.touch()
    health.rest()

    assert changes == [1]
    assert health.snapshot().facts["queued"] == 0
    assert health.snapshot().line().startswith("starting as ; 0 queued")
