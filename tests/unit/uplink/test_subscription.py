"""When SUBSCRIBE is sent."""

from __future__ import annotations

import math

import pytest

from agent.uplink.subscription import FIRST_RETRY_S, LAST_RETRY_S, Subscription
from tests.fakes import Ticks


@pytest.fixture
def ticks() -> Ticks:
    """The subscription's clock."""
    return Ticks()


@pytest.fixture
def subscription(ticks: Ticks) -> Subscription:
    """One that knows nothing yet."""
    return Subscription(monotonic_s=ticks)


def drop_after_subscribe(subscription: Subscription) -> None:
    """A session that ends right after SUBSCRIBE, as AWS IoT does it under 3.1.1."""
    subscription.connected(session_present=False)
    subscription.sent()
    subscription.ended()


def test_a_present_session_is_not_subscribed_again(subscription: Subscription) -> None:
    """The broker remembers the subscription of a session that it kept."""
    subscription.connected(session_present=True)

    assert subscription.wait_s() == math.inf


def test_a_new_session_is_subscribed_at_once(subscription: Subscription) -> None:
    """Session present 0 means that the subscription is gone."""
    subscription.connected(session_present=False)

    assert subscription.wait_s() == 0.0
    subscription.sent()
    subscription.granted()
    assert subscription.wait_s() == math.inf


def test_a_session_lost_before_suback_is_subscribed_again(
    subscription: Subscription, ticks: Ticks
) -> None:
    """A session may be present without the subscription whose SUBACK never came."""
    subscription.connected(session_present=False)
    subscription.sent()
    ticks.now_s += 30.0
    subscription.ended()

    subscription.connected(session_present=True)

    assert subscription.wait_s() == 0.0


def test_three_sudden_ends_make_it_wait(subscription: Subscription, ticks: Ticks) -> None:
    """After three drops on SUBSCRIBE the next session publishes without it, for a minute first."""
    for _ in range(2):
        drop_after_subscribe(subscription)
        assert not subscription.forbidden
    drop_after_subscribe(subscription)

    assert subscription.forbidden
    subscription.connected(session_present=True)
    assert subscription.wait_s() == FIRST_RETRY_S
    ticks.now_s += FIRST_RETRY_S
    assert subscription.wait_s() == 0.0


def test_the_retries_grow_rare(subscription: Subscription, ticks: Ticks) -> None:
    """A refusal is tried again after 1, 2, 4 … 60 minutes."""
    waits = []
    for _ in range(8):
        subscription.connected(session_present=False)
        subscription.sent()
        subscription.refused()
        waits.append(subscription.wait_s() / 60)
        ticks.now_s += subscription.wait_s()

    assert waits == [1, 2, 4, 8, 16, 32, 60, LAST_RETRY_S / 60]


def test_a_grant_forgets_the_refusals(subscription: Subscription, ticks: Ticks) -> None:
    """Once granted it is like new."""
    for _ in range(3):
        drop_after_subscribe(subscription)
    ticks.now_s += FIRST_RETRY_S
    subscription.connected(session_present=False)
    subscription.sent()

    subscription.granted()

    assert not subscription.forbidden
    drop_after_subscribe(subscription)
    assert not subscription.forbidden


def test_it_can_be_sent_once_more(subscription: Subscription) -> None:
    """When no echo comes, the subscription is asked for again though the broker knows it."""
    subscription.connected(session_present=True)

    subscription.lose()

    assert subscription.wait_s() == 0.0
