"""Retries wait longer and longer under a cap, and end at a refusal."""

from __future__ import annotations

import pytest

from agent.errors import RefusedError, TransientCloudError
from agent.provisioning.retry import Retry


class TestAttempts:
    """The retry policy, without waiting."""

    def test_waits_grow_under_a_cap(self) -> None:
        """Full jitter from half a second, never above half a minute."""
        waits_s: list[float] = []
        left = iter(range(12))

        def act() -> str:
            if next(left, None) is None:
                return "done"
            raise TransientCloudError("busy")

        retry = Retry(lambda _: None, patience_s=60, sleep=waits_s.append)
        assert retry.run("thing", act) == "done"
        assert len(waits_s) == 12
        for number, wait_s in enumerate(waits_s):
            assert 0 <= wait_s <= min(30.0, 0.5 * 2**number)

    def test_a_refusal_is_not_tried_again(self) -> None:
        """A person has to act first."""
        made = []

        def act() -> None:
            made.append(1)
            raise RefusedError("no")

        retry = Retry(lambda _: None, patience_s=60, sleep=lambda _: None)
        with pytest.raises(RefusedError):
            retry.run("thing", act)
        assert len(made) == 1

    def test_patience_ends_by_the_clock(self) -> None:
        """The last error is raised by the first attempt that ends after it; `run` may ask more."""
        now_s = [0.0]
        made_s = []

        def act() -> None:
            made_s.append(now_s[0])
            now_s[0] += 4.0
            raise TransientCloudError("busy")

        retry = Retry(lambda _: None, patience_s=10, sleep=lambda _: None, clock=lambda: now_s[0])
        with pytest.raises(TransientCloudError):
            retry.run("thing", act)
        assert made_s == [0.0, 4.0, 8.0]
        with pytest.raises(TransientCloudError):
            retry.run("thing", act, patience_s=13)
        assert made_s[3:] == [12.0, 16.0, 20.0, 24.0]

    def test_a_shortest_wait_holds(self) -> None:
        """Two CONNECTs are at least so far apart."""
        waits_s: list[float] = []
        errors = iter([TransientCloudError("busy")])

        def act() -> None:
            for error in errors:
                raise error

        Retry(lambda _: None, patience_s=60, sleep=waits_s.append).run("proof", act, at_least_s=1.1)
        assert waits_s[0] >= 1.1
