"""A reading wakes nobody more often than it must, and costs one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agent.sampling import Sampler
    from tests.unit.sampling.conftest import Bench


@pytest.fixture
def sampler(bench: Bench) -> Sampler:
    """Of three sensors that are due at the same time, once a minute."""
    return bench.sampler(*(bench.thermometer(name) for name in ("room", "hall", "attic")))


def test_a_step_hands_on_all_that_it_kept_at_once(bench: Bench, sampler: Sampler) -> None:
    """Last of all, just before it waits: who is woken in the middle waits for the interpreter."""
    for number in range(1, 4):
        bench.settled(sampler)
        assert len(bench.records()) == 3 * number
        assert bench.stored == number - 1
        sampler.wait(0.0)
        assert bench.stored == number
        bench.clock.pass_by(60.0)


@pytest.mark.parametrize(("online", "rests"), [(True, 0), (False, 1)])
def test_figures_are_shown_by_who_rests_last(
    bench: Bench, sampler: Sampler, *, online: bool, rests: int
) -> None:
    """Where the records go up, that is the uplink."""
    told: list[int] = []
    bench.online = online
    bench.health._on_rest = lambda: told.append(1)
    bench.settled(sampler)
    assert told == []
    sampler.wait(0.0)
    assert len(told) == rests


def test_a_reading_costs_one_commit(bench: Bench, sampler: Sampler) -> None:
    """The acknowledgement of the one before goes along, though it is due at the same time."""
    statements: list[str] = []
    bench.work(sampler, 1.0)
    bench.store._write_behind.db.set_trace_callback(statements.append)
    for _ in range(5):
        for record in bench.records():
            bench.store.acknowledge(record.seq)
        statements.clear()
        bench.work(sampler, 60.0)
        assert len(bench.records()) == 3
        assert statements.count("COMMIT") == 3


def test_where_commits_are_slow_a_record_waits_a_second_for_the_others(
    bench: Bench, sampler: Sampler
) -> None:
    """Not for all those of its step."""
    at: list[float] = []

    def commit(statement: str) -> None:
        bench.clock.pass_by(1.0 * (statement == "COMMIT"))

    def handed_on() -> bool:
        at.append(bench.clock.boot_s() - began_s)
        return True

    bench.recorders[0]._on_records = handed_on
    bench.store._write_behind.db.set_trace_callback(commit)
    began_s = bench.clock.boot_s()
    bench.settled(sampler)
    sampler.wait(0.0)
    assert at == [2.0, 3.0]
