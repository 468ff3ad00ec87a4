"""Threads for work that may block for ever."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from agent.sampling import Pool
from agent.sampling.pool import RESERVED, SPARE, THREADS_MAX, Job

#: Threads of the tests before, which end in their own time, or never.
others: set[threading.Thread] = set()


def threads() -> int:
    """How many threads of this test's pools there are."""
    return sum(one.name == "job" and one not in others for one in threading.enumerate())


@pytest.fixture(autouse=True)
def alone() -> None:
    """Count the threads of one test alone."""
    others.clear()
    others.update(threading.enumerate())


def settled(count: int) -> bool:
    """Whether there are soon no more threads than that."""
    deadline_s = time.monotonic() + 10.0
    while threads() > count and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return threads() <= count


def test_a_job_returns_what_its_work_returns() -> None:
    """Its work is done in another thread."""
    pool = Pool()
    job = pool.start(lambda: threading.current_thread() is threading.main_thread())

    assert job.wait(10.0)
    assert (job.done, job.result()) == (True, False)
    pool.close()


def test_an_end_is_told_to_who_does_not_wait_for_it() -> None:
    """Once for each job, whether somebody was about to wait, or has given up waiting."""
    told = threading.Event()
    release = threading.Event()
    pool = Pool(on_done=told.set)
    job = pool.start(lambda: release.wait(30.0))
    assert not job.wait(0.01)
    assert not told.is_set()
    release.set()
    assert told.wait(10.0)
    assert job.wait(0.0)
    pool.close()


def test_an_end_is_not_told_to_who_waits_for_it() -> None:
    """He need not be woken twice."""
    told: list[int] = []
    pool = Pool(on_done=lambda: told.append(1))

    def let(job: Job, go: threading.Event) -> None:
        while not job._awaited:
            time.sleep(0.001)
        go.set()

    for _ in range(20):
        waiting = threading.Event()
        job = pool.start(partial(waiting.wait, 10.0))
        threading.Thread(target=let, args=(job, waiting)).start()
        assert job.wait(10.0)
    pool.close()
    assert told == []


def test_no_end_is_missed_however_long_somebody_waits() -> None:
    """Either the wait tells of it or the call does."""
    told: list[int] = []
    pool = Pool(on_done=lambda: told.append(1))
    seen = 0
    for number in range(500):
        job = pool.start(lambda: time.sleep(0.0005))
        known = len(told)
        seen += job.wait(number % 10 * 0.0002)
        until_s = time.monotonic() + 10.0
        while not job.done or len(told) + seen < number + 1:
            assert time.monotonic() < until_s, f"the end of job {number} was told to nobody"
            time.sleep(0.0001)
        assert len(told) <= known + 1
    pool.close()


def test_what_the_work_raises_is_raised_where_the_result_is_asked_for() -> None:
    """Whatever it is; the pool goes on."""
    pool = Pool()
    nothing: list[int] = []
    job = pool.start(lambda: nothing[0])
    assert job.wait(10.0)

    with pytest.raises(IndexError):
        job.result()
    again = pool.start(lambda: 7)
    assert again.wait(10.0)
    assert again.result() == 7
    pool.close()


def test_jobs_that_hang_hold_up_no_other() -> None:
    """There are as many threads as jobs at one time; few stay for the next one."""
    before = threads()
    release = threading.Event()
    pool = Pool()
    hanging = [pool.start(lambda: release.wait(30.0)) for _ in range(20)]
    quick = pool.start(lambda: 1)

    assert quick.wait(10.0)
    assert not any(job.done for job in hanging)
    assert threads() >= before + 20
    release.set()
    assert all(job.wait(10.0) for job in hanging)
    assert settled(before + SPARE)
    pool.close()
    assert settled(before)


def test_there_are_not_more_threads_than_the_service_may_have() -> None:
    """The last few are for work that has come to an end before."""
    before = threads()
    release = threading.Event()
    pool = Pool()
    hanging = partial(release.wait, 30.0)
    jobs = [pool.start(hanging, proven=False) for _ in range(THREADS_MAX - RESERVED)]
    with pytest.raises(RuntimeError, match="no thread is free"):
        pool.start(hanging, proven=False)
    jobs += [pool.start(hanging) for _ in range(RESERVED)]
    with pytest.raises(RuntimeError, match="no thread is free"):
        pool.start(hanging)
    assert threads() == before + THREADS_MAX
    release.set()
    assert all(job.wait(10.0) for job in jobs)
    pool.close()
    assert settled(before)


def test_a_thread_that_is_free_again_is_free_for_all() -> None:
    """Many at one time, time and again: each is counted until its job ends, and not longer."""
    before = threads()
    pool = Pool()
    for _ in range(5):
        release = threading.Event()
        jobs = [pool.start(partial(release.wait, 30.0)) for _ in range(THREADS_MAX)]
        release.set()
        assert all(job.wait(10.0) for job in jobs)
        assert settled(before + SPARE)
    pool.close()
    assert settled(before)


def test_a_thread_is_used_again() -> None:
    """A hundred jobs one after the other do with the few that are kept."""
    before = threads()
    pool = Pool()
    seen = set()
    for _ in range(100):
        job = pool.start(threading.get_ident)
        assert job.wait(10.0)
        seen.add(job.result())
        assert threads() <= before + SPARE + 1
    pool.close()
    assert settled(before)


def test_what_was_left_behind_is_disposed_of_when_it_comes() -> None:
    """Nobody waits for it, and what it held is given back."""
    release, disposed = threading.Event(), threading.Event()
    pool = Pool()
    job = pool.start(lambda: release.wait(30.0))

    assert job.leave_behind(lambda result: disposed.set() if result else None)
    assert not disposed.is_set()
    release.set()
    assert disposed.wait(10.0)
    pool.close()


def test_a_disposal_that_hangs_holds_up_no_other_job() -> None:
    """Its thread takes no more work."""
    release, hang = threading.Event(), threading.Event()
    pool = Pool()
    job = pool.start(lambda: release.wait(30.0))
    assert job.leave_behind(lambda _: hang.wait(30.0))
    release.set()
    for number in range(50):
        assert pool.start(partial(int, number)).wait(10.0)
    hang.set()
    pool.close()


def test_what_has_ended_cannot_be_left_behind() -> None:
    """Its result is there to be taken."""
    pool = Pool()
    job = pool.start(lambda: 7)
    assert job.wait(10.0)

    assert not job.leave_behind(lambda _: pytest.fail("it was taken"))
    assert job.result() == 7
    pool.close()


def test_a_closed_pool_tells_nobody() -> None:
    """What it would wake may be gone."""
    before = threads()
    release = threading.Event()
    told: list[int] = []
    pool = Pool(on_done=lambda: told.append(1))
    job = pool.start(lambda: release.wait(30.0))
    pool.close()
    pool.close()
    release.set()

    assert job.wait(10.0)
    assert settled(before)
    assert told == []
