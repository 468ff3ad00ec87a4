"""A pool of threads for work that may block for ever: such a job is left behind, never waited for.

There are as many threads as jobs at one time, up to a bound, and a few that wait for the next. A
waiting thread sleeps without a timeout, so that it costs memory and nothing else. Nothing queues: a
job for which no thread is free is not begun.
"""

from __future__ import annotations

import threading
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Threads that are kept for the next job, and those that there are at most (TasksMax= of the unit
#: is for them and the programs they run). The last few are for what is proven: all else may hang.
SPARE = 2
THREADS_MAX = 48
RESERVED = 4


class Job:
    """One piece of work that runs in a thread of the pool."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._running = threading.Lock()  # held until the end; an Event costs ten times as much
        self._running.acquire()
        self._over = self._awaited = False
        self._disposal: Callable[[Any], object] | None = None
        self._results: list[Any] = []
        self._error: BaseException | None = None

    @property
    def done(self) -> bool:
        """True once there is a result."""
        return not self._running.locked()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end, at most `timeout_s`; whether it came."""
        if not self.done and timeout_s > 0:
            self._awaited = True
            if self._running.acquire(timeout=timeout_s):
                self._running.release()
            with self._lock:  # so that either this or `end` sees that the other was there
                self._awaited = False
        return self.done

    def result(self) -> Any:  # noqa: ANN401 -- the work's own, which nobody could say here
        """The result of the work, once done. Raises what it raised."""
        if self._error:
            raise self._error
        return self._results[0]

    def leave_behind(self, disposal: Callable[[Any], object]) -> bool:
        """Hand what the work may still return to `disposal`, in the job's thread; its errors too.

        False, and nothing done, if the work has ended meanwhile.
        """
        with self._lock:
            if not self._over:
                self._disposal = disposal
            return self._disposal is not None

    def run(self) -> None:
        """Do the work; called once."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 -- raised where the result is asked for
            self._error = error
        with self._lock:
            self._over = True
        if self._disposal and self._results:
            with suppress(Exception):  # nobody is left who could be told
                self._disposal(self._results[0])

    def end(self) -> bool:
        """Give out the result, after `run`; whether somebody waits for it at this moment."""
        with self._lock:
            self._running.release()
            return self._awaited


class Inbox:
    """Hands one thread a job, or None, at a time; nobody puts in another before that is taken.

    The module `queue`, which has such things, takes 80 KiB.
    """

    def __init__(self) -> None:
        self._job: Job | None = None
        self._empty = threading.Lock()  # held while there is nothing
        self._empty.acquire()

    def put(self, job: Job | None) -> None:
        """Put in a job, or None for no more."""
        self._job = job
        self._empty.release()

    def get(self) -> Job | None:
        """Wait for what is put in, and take it out."""
        self._empty.acquire()
        job, self._job = self._job, None
        return job


class Pool:
    """Starts jobs; any thread may call it.

    `on_done` is called in a job's thread at its end if nobody waits for it then, and not any more
    once `close` has returned. It must not block.
    """

    def __init__(self, *, on_done: Callable[[], object] = lambda: None) -> None:
        self._on_done = on_done
        self._lock = threading.Lock()
        self._spare: list[Inbox] = []
        self._busy = 0
        self._closed = False

    def start(self, work: Callable[[], Any], *, proven: bool = True) -> Job:
        """Run `work` in a thread of its own. Raises RuntimeError if there is none for it.

        `proven` says that such work has come to its end before.
        """
        job = Job(work)
        with self._lock:
            if self._busy >= THREADS_MAX - (0 if proven else RESERVED):
                raise RuntimeError("no thread is free")
            if self._spare:
                inbox = self._spare.pop()
            else:
                inbox = Inbox()
                # A thread stuck in a system call must not keep the process from ending.
                threading.Thread(target=self._serve, args=(inbox,), name="job", daemon=True).start()
            self._busy += 1
        inbox.put(job)
        return job

    @staticmethod
    def run(work: Callable[[], Any]) -> Job:
        """Do work that never blocks in the caller's own thread."""
        job = Job(work)
        job.run()
        job.end()
        return job

    def close(self) -> None:
        """Let the waiting threads end; more than once does no harm."""
        with self._lock:
            self._closed = True
            spare, self._spare = self._spare, []
        for inbox in spare:
            inbox.put(None)

    def _serve(self, inbox: Inbox) -> None:
        while job := inbox.get():
            job.run()
            with self._lock:
                self._busy -= 1
                if not self._closed and len(self._spare) < SPARE:
                    self._spare.append(inbox)
                else:
                    inbox.put(None)
            # Last of all, so that who is woken finds this thread asleep already.
            if not job.end():
                with self._lock:
                    if not self._closed:
                        self._on_done()
            del job  # nothing that it holds outlives it
