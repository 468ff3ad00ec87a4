"""Faults that the control plane shows on demand, and the record of all calls to it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: The access key of calls that are the test's own: no fault meets them and no record is kept.
OPERATOR = "OPERATOR"


@dataclass(frozen=True, slots=True)
class Fault:
    """How a call goes wrong.

    An error answer instead of the effect (`status`, `code`); the connection reset before the effect
    or, with `after_effect`, in place of the answer; or a delay of `hang_s` and then all as usual.
    """

    status: int = 0
    code: str = ""
    text: str = ""
    sts_code: str = ""
    hang_s: float = 0
    reset: bool = False
    after_effect: bool = False


NONE = Fault()
THROTTLED = Fault(400, "ThrottlingException", "Rate exceeded", sts_code="Throttling")
INTERNAL_FAILURE = Fault(
    500, "InternalFailureException", "An internal failure occurred", sts_code="InternalFailure"
)
UNAVAILABLE = Fault(
    503, "ServiceUnavailableException", "Service is unavailable", sts_code="ServiceUnavailable"
)
ACCESS_DENIED = Fault(403, "AccessDeniedException", sts_code="AccessDenied")
INVALID_TOKEN = Fault(
    403,
    "UnrecognizedClientException",
    "The security token included in the request is invalid.",
    sts_code="InvalidClientTokenId",
)
EXPIRED_TOKEN = Fault(
    403,
    "ExpiredTokenException",
    "The security token included in the request is expired",
    sts_code="ExpiredToken",
)
SIGNATURE_EXPIRED = Fault(
    403,
    "InvalidSignatureException",
    "Signature expired: 20000101T000000Z is now earlier than 20261126T063033Z",
    sts_code="SignatureDoesNotMatch",
)
CONNECTION_RESET = Fault(reset=True)
RESPONSE_LOST = Fault(reset=True, after_effect=True)


def hang(seconds: float) -> Fault:
    """A call that takes effect and is answered only after `seconds`."""
    return Fault(hang_s=seconds)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made: its number from 1 on, boto3's name for it, how it ended."""

    number: int
    operation: str
    status: int
    code: str = ""
    access_key: str = ""
    time_s: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a call brought: boto3's name for it, its path with the query (or topic), its body."""

    operation: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that is under way."""

    number: int
    operation: str
    access_key: str
    fault: Fault
    record: int

    def ended(self, status: int, code: str = "") -> Call:
        """What to record of it."""
        return Call(self.number, self.operation, status, code, self.access_key)


@dataclass(frozen=True, slots=True)
class _Rule:
    fault: Fault
    operation: str
    nth: int
    first: int

    def fits(self, operation: str, own: int, overall: int) -> bool:
        """Whether it applies to this operation's `own`-th call, the `overall`-th of all."""
        if self.operation not in ("", operation):
            return False
        number = own if self.operation else overall
        return self.nth in (0, number) and (not self.first or own <= self.first)


class Faults:
    """What shall go wrong, and what was called; any thread.

    `on_call(operation, number)` is called after each call's effect and before its answer leaves:
    a test may kill the agent there. `number` counts all calls from 1 on. AWS's clock is `ahead_s`
    ahead of ours; `on_clock()` is called when that is set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._record = 0
        self._started = 0
        self._counts: dict[str, int] = {}
        self._calls: list[Call] = []
        self._sent: list[Sent] = []
        self._ahead_s = 0.0
        self.on_call: Callable[[str, int], None] | None = None
        self.on_clock: Callable[[], None] = lambda: None
        self.stopping = threading.Event()

    @property
    def ahead_s(self) -> float:
        """How far AWS's clock is ahead of ours; may be set."""
        return self._ahead_s

    @ahead_s.setter
    def ahead_s(self, seconds: float) -> None:
        self._ahead_s = seconds
        self.on_clock()

    @property
    def now_s(self) -> float:
        """What AWS's clock shows, epoch seconds."""
        return time.time() + self._ahead_s

    def inject(self, fault: Fault, operation: str = "", *, nth: int = 0, first: int = 0) -> None:
        """Have calls go wrong from now on.

        `nth=3`: the third call of `operation`, or of all where none is named. `first=2`: the first
        two calls of `operation`, or of each operation. Neither: every call. Counting is that of the
        whole record. The first rule that fits is taken.
        """
        with self._lock:
            self._rules.append(_Rule(fault, operation, nth, first))

    def clear(self) -> None:
        """Nothing goes wrong any more; the record starts anew, without calls still under way."""
        with self._lock:
            self._record += 1
            self._rules.clear()
            self._counts.clear()
            self._calls.clear()
            self._sent.clear()
            self._started = 0
            self.on_call = None
            self._ahead_s = 0.0

    def heal(self) -> None:
        """Nothing goes wrong any more; the record goes on."""
        with self._lock:
            self._rules.clear()

    @property
    def calls(self) -> list[Call]:
        """All calls that have ended, in that order."""
        with self._lock:
            return list(self._calls)

    def operations(self) -> list[str]:
        """The names of all calls that have ended, in that order."""
        return [call.operation for call in self.calls]

    @property
    def sent(self) -> list[Sent]:
        """What all calls brought, also those that failed, in the order of their arrival."""
        with self._lock:
            return list(self._sent)

    def begin(self, sent: Sent, access_key: str) -> Begun:
        """Count a call, and say what happens to it."""
        operation = sent.operation
        with self._lock:
            self._sent.append(sent)
            self._started += 1
            self._counts[operation] = self._counts.get(operation, 0) + 1
            own, overall = self._counts[operation], self._started
            fault = next(
                (rule.fault for rule in self._rules if rule.fits(operation, own, overall)), NONE
            )
            return Begun(overall, operation, access_key, fault, self._record)

    def end(self, begun: Begun, status: int, code: str = "") -> None:
        """Record a call and tell the test."""
        with self._lock:
            if begun.record != self._record:
                return
            self._calls.append(begun.ended(status, code))
            on_call = self.on_call
        if on_call is not None:
            on_call(begun.operation, begun.number)
