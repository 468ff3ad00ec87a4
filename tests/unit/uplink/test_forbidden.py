"""What the broker forbids is left out for a while, told, and tried again."""

from __future__ import annotations

import math

import pytest

from agent.errors import LinkLostError
from agent.health.health import Health
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    SESSION_TAKEN_OVER,
    TOPIC_NAME_INVALID,
    ClosedError,
    ServerEndedError,
)
from agent.uplink.forbidden import SUBSCRIBE, Flight, Forbidden
from tests.fakes import Ticks

CLOSED = ClosedError("the broker closed the connection")
ROOM = "sensors/room"
YES = 0


class Bench:
    """The knowledge of a device whose connections end as the test says."""

    def __init__(self) -> None:
        self.ticks = Ticks()
        self.health = Health(wall_s=self.ticks, boot_s=self.ticks)
        self.forbidden = Forbidden("thing", health=self.health, monotonic_s=self.ticks)

    def end(self, *names: str, lost: LinkLostError = CLOSED, after_s: float = 0.1) -> None:
        """One connection that ends while packets of these names are unanswered."""
        flights = [Flight(name, self.ticks.now_s) for name in names]
        self.ticks.now_s += after_s
        self.forbidden.ended(lost, flights)

    def conditions(self) -> dict[str, str]:
        """What stands, with its text."""
        return {one.code: one.text for one in self.health.snapshot().conditions}


@pytest.fixture
def bench() -> Bench:
    """One that knows nothing yet."""
    return Bench()


def test_a_refused_topic_is_held_for_a_minute_and_told_by_name(bench: Bench) -> None:
    """Nothing else is."""
    bench.forbidden.answered(ROOM, NOT_AUTHORIZED)

    assert bench.forbidden.held() == {ROOM}
    assert bench.forbidden.wait_s() == 60.0
    assert bench.conditions() == {
        "not-authorized": "the broker forbids to publish on thing/sensors/room: not authorized; "
        "tried again in 1 min"
    }
    bench.ticks.now_s += 60.0
    assert bench.forbidden.held() == frozenset()
    assert bench.forbidden.wait_s() == math.inf
    assert "not-authorized" in bench.conditions()


@pytest.mark.parametrize("name", [ROOM, SUBSCRIBE])
def test_the_trials_grow_rare(bench: Bench, name: str) -> None:
    """After 1, 2, 4 … 60 minutes."""
    waits = []
    for _ in range(8):
        bench.forbidden.answered(name, NOT_AUTHORIZED)
        waits.append(bench.forbidden.wait_s() / 60)
        bench.ticks.now_s += bench.forbidden.wait_s()

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_was_on_its_way_does_not_lengthen_the_wait(bench: Bench) -> None:
    """A window of one topic gets a window of refusals."""
    for _ in range(20):
        bench.forbidden.answered(ROOM, NOT_AUTHORIZED)

    assert bench.forbidden.wait_s() == 60.0


def test_a_yes_forgets_it_all(bench: Bench) -> None:
    """Once the broker takes it again it is like new."""
    for _ in range(3):
        bench.forbidden.answered(ROOM, NOT_AUTHORIZED)
        bench.ticks.now_s += bench.forbidden.wait_s()
    bench.forbidden.answered(ROOM, YES)

    assert bench.conditions() == {}
    bench.forbidden.answered(ROOM, NOT_AUTHORIZED)
    assert bench.forbidden.wait_s() == 60.0


def test_a_yes_for_one_topic_is_none_for_another(bench: Bench) -> None:
    """Each has a condition of its own."""
    for name in (ROOM, "count", SUBSCRIBE):
        bench.forbidden.answered(name, NOT_AUTHORIZED)
    bench.forbidden.answered(ROOM, YES)

    assert bench.forbidden.held() == {"count", SUBSCRIBE}
    assert "thing/count" in bench.conditions()["not-authorized"]
    assert bench.conditions()["not-subscribed"] == (
        "the broker forbids SUBSCRIBE to thing/count: not authorized; tried again in 1 min"
    )


@pytest.mark.parametrize("reason", [0x80, 0x97, TOPIC_NAME_INVALID])
def test_other_refusals_forbid_no_topic(bench: Bench, reason: int) -> None:
    """They speak of the broker, or of the record."""
    bench.forbidden.answered(ROOM, reason)

    assert bench.forbidden.held() == frozenset()


@pytest.mark.parametrize("name", [ROOM, SUBSCRIBE])
@pytest.mark.parametrize("lost", [CLOSED, ServerEndedError(NOT_AUTHORIZED), ServerEndedError(0x80)])
def test_three_sudden_ends_running_are_a_refusal(
    bench: Bench, name: str, lost: LinkLostError
) -> None:
    """Each while nothing else was unanswered, and no answer to it between them."""
    for _ in range(2):
        bench.end(name, name, lost=lost)
        assert bench.forbidden.held() == frozenset()
    bench.end(name, lost=lost)

    assert bench.forbidden.held() == {name}
    assert any("it ends the connection" in text for text in bench.conditions().values())


def test_a_trial_that_ends_the_connection_is_a_refusal_at_once(bench: Bench) -> None:
    """It needs no three more connections."""
    for _ in range(3):
        bench.end(ROOM)
    bench.ticks.now_s += 60.0
    bench.end(ROOM)

    assert bench.forbidden.wait_s() == 120.0


@pytest.mark.parametrize(
    ("lost", "after_s"),
    [
        (LinkLostError("the network went away"), 0.1),
        (ServerEndedError(SESSION_TAKEN_OVER), 0.1),
        (ServerEndedError(0x8B), 0.1),
        (CLOSED, 5.1),
    ],
)
def test_an_end_for_another_reason_is_no_evidence(
    bench: Bench, lost: LinkLostError, after_s: float
) -> None:
    """The network's, one with a reason of its own, or one long after the publish."""
    for _ in range(9):
        bench.end(ROOM, lost=lost, after_s=after_s)

    assert not bench.forbidden.doubts(ROOM)
    assert bench.forbidden.held() == frozenset()


@pytest.mark.parametrize("names", [(), ("count", ROOM)])
def test_several_topics_at_once_are_no_evidence(bench: Bench, names: tuple[str, ...]) -> None:
    """Nor is none; but each goes alone from then on, until it has its answer."""
    for _ in range(9):
        bench.end(*names)

    assert bench.forbidden.held() == frozenset()
    for name in names:
        assert bench.forbidden.doubts(name)
        bench.forbidden.answered(name, YES)
        assert not bench.forbidden.doubts(name)


def test_each_topic_has_a_row_of_its_own(bench: Bench) -> None:
    """Several may be forbidden: one that ends a connection before another's turn proves nothing."""
    for _ in range(2):
        for name in (ROOM, "count", "sensors/hall"):
            bench.end(name)
    for name in (ROOM, "count"):
        bench.end(name)

    assert bench.forbidden.held() == {ROOM, "count"}


def test_what_ended_a_connection_lets_the_others_go_first(bench: Bench) -> None:
    """For five seconds of the next one, and untold, since the network may end any."""
    bench.end("count", ROOM)
    bench.forbidden.connected()
    assert bench.forbidden.held() == frozenset()
    bench.end(ROOM)
    bench.forbidden.connected()

    assert bench.forbidden.held() == {ROOM}
    assert bench.forbidden.wait_s() == 5.0
    assert bench.conditions() == {}
    bench.forbidden.retry()
    assert bench.forbidden.held() == frozenset()


def test_a_trial_is_one_though_others_ended_connections_meanwhile(bench: Bench) -> None:
    """What was forbidden once needs no new row."""
    for _ in range(3):
        bench.end(ROOM)
    bench.ticks.now_s += 60.0
    bench.end("count")
    bench.end(ROOM)

    assert bench.forbidden.wait_s() == 120.0


def test_an_answer_breaks_the_row(bench: Bench) -> None:
    """The broker has judged that topic without an end."""
    for _ in range(4):
        bench.end(ROOM)
        bench.end(ROOM)
        bench.forbidden.answered(ROOM, YES)

    assert bench.forbidden.held() == frozenset()


def test_while_subscribe_is_unanswered_no_publish_is_blamed(bench: Bench) -> None:
    """A forbidden SUBSCRIBE ends the connection that the publish was on."""
    for _ in range(3):
        bench.end(ROOM, SUBSCRIBE)

    assert bench.forbidden.held() == {SUBSCRIBE}
