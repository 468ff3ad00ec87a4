"""The inbox: messages on `<thing>/count`, taken as an echo, as a command, or as neither."""

from __future__ import annotations

import json
import logging
import math
import re
import time

from agent.facts import CLOUD, Mode, wanted
from agent.health import conditions
from agent.model import COUNT
from agent.mqtt.answers import WithheldError
from agent.store import BlockedError
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.facts import ModeFile
    from agent.health.health import Health
    from agent.store import Store

#: Largest integer that every JSON reader keeps exact (RFC 8259, section 6).
TOTAL_MAX = 2**53 - 1
COMMAND_ID_MAX = 256
_ID = re.compile(rf"[^\ud800-\udfff]{{1,{COMMAND_ID_MAX}}}")

#: Words of which a command has one.
COMMANDS = frozenset({"set", "reset", "mode"})

#: A mode that could not be written is asked for again after so long, by a new connection.
WRITE_AGAIN_S = 600.0

#: Counts acknowledged without an echo until the way back is taken for broken.
UNCONFIRMED = 3

log = logging.getLogger(__name__)


class Echo(Value):
    """Our own record `seq`, come back from the broker: the whole way works."""

    seq: int


class SetTotal(Value):
    """A command: the running total is to be `value`; once for each `command_id`, if it has one."""

    value: int
    command_id: str | None


class SetMode(Value):
    """A command: the mode of the device is to be `mode`; once for each `command_id`."""

    mode: Mode
    command_id: str


class Foreign(Value):
    """A message that means nothing to us; `reason` says why not."""

    reason: str


def classify(payload: bytes, *, epoch: str, now_s: float) -> Echo | SetTotal | SetMode | Foreign:
    """Tell what a message on `<thing>/count` is. Whatever the bytes are, nothing is raised.

    `now_s` is the wall clock, by which the end of a mode is judged.
    """
    try:
        message = json.loads(payload.decode())
    except (ValueError, RecursionError):  # not UTF-8, not JSON, too deep, too many digits
        return Foreign("not a JSON text")
    if not isinstance(message, dict):
        return _set_total(message, None)
    if "epoch" in message:
        return _record(message, epoch)
    return _command(message, now_s)


def _record(message: dict[str, object], epoch: str) -> Echo | Foreign:
    seq = message.get("seq")
    if message["epoch"] == epoch and isinstance(seq, int) and not isinstance(seq, bool):
        return Echo(seq)
    return Foreign("a record that is not ours")


def _command(message: dict[str, object], now_s: float) -> SetTotal | SetMode | Foreign:
    command_id = message.get("id")
    if not isinstance(command_id, str) or not _ID.fullmatch(command_id):
        return Foreign(f"no id of 1 to {COMMAND_ID_MAX} Unicode characters")
    if len(COMMANDS & message.keys()) != 1:
        return Foreign(f"not one alone of {', '.join(sorted(COMMANDS))}")
    match message:
        case {"set": value}:
            return _set_total(value, command_id)
        case {"mode": name}:
            return _set_mode(name, message.get("until"), command_id, now_s)
        case {"reset": True}:
            return SetTotal(0, command_id)
    return Foreign("a reset that is not true")


def _set_mode(name: object, until: object, command_id: str, now_s: float) -> SetMode | Foreign:
    try:
        return SetMode(wanted(name, until, now_s=now_s, by=CLOUD), command_id)
    except ValueError as reason:
        return Foreign(str(reason))


def _set_total(value: object, command_id: str | None) -> SetTotal | Foreign:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOTAL_MAX:
        return SetTotal(value, command_id)
    return Foreign("not an integer from 0 to 2^53-1")


class Totals(Value, frozen=False):
    """Figures of this process over all its sessions: sent, acknowledged, come back, ignored.

    `subscribed` names what the broker's session is subscribed to, as far as a SUBACK was seen.
    """

    subscribed: str = ""

    published: int = 0
    acked: int = 0
    confirmed: int = 0
    ignored: int = 0
    last_ack: float | None = None
    echoed_seq: int = 0
    #: Of counts without an echo: the number, and when acknowledged (time.monotonic).
    unconfirmed: tuple[tuple[int, float], ...] = ()
    announced: bool = False  # the cloud knows that this process began, and why

    def was_published(self) -> None:
        """Count a record that was sent."""
        self.published += 1

    def was_acknowledged(self, wall_s: float) -> None:
        """Count a record that has arrived, at `wall_s`."""
        self.acked += 1
        self.last_ack = round(wall_s, 3)

    def was_confirmed(self, seq: int) -> None:
        """Count a record that came back."""
        self.confirmed += 1
        self.unconfirmed = tuple(one for one in self.unconfirmed if one[0] > seq)
        self.echoed_seq = max(self.echoed_seq, seq)

    def unconfirmed_since_s(self, seq: int, now_s: float) -> float:
        """When the oldest of UNCONFIRMED counts was acknowledged, `seq` the newest; else infinite.

        Over all connections, since one may be too short for so many.
        """
        if seq > self.echoed_seq and len(self.unconfirmed) < UNCONFIRMED:
            self.unconfirmed += ((seq, now_s),)
        return self.unconfirmed[0][1] if len(self.unconfirmed) >= UNCONFIRMED else math.inf

    def was_ignored(self) -> bool:
        """Count a message that means nothing to us; True for the first."""
        self.ignored += 1
        return self.ignored == 1

    def was_announced(self) -> None:
        """Note that the cloud knows of this process."""
        self.announced = True


class Inbox:
    """Acts on what arrives on `<thing>/count`; called in the uplink thread before the PUBACK.

    A command that cannot be kept stays at the broker, and all that come behind it, which it would
    undo. `monotonic_s` is the clock of that.
    """

    def __init__(
        self,
        thing: str,
        store: Store,
        health: Health,
        totals: Totals,
        *,
        modes: ModeFile,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = f"{thing}/{COUNT}"
        self._store = store
        self._health = health
        self._totals = totals
        self._modes = modes
        self._monotonic_s = monotonic_s
        self._again_s = math.inf  # when a command may be kept that the broker has; infinite: none

    def message(self, topic: str, payload: bytes) -> None:
        """Take an echo as proof of the whole way, apply a command, count and log anything else.

        Raises WithheldError when a command cannot be made durable now.
        """
        found: object = topic
        if topic == self._topic:
            now_s = self._modes.wall_s()
            found = classify(payload, epoch=self._store.epoch, now_s=now_s)
        match found:
            case Echo(seq=seq):
                self._totals.was_confirmed(seq)
                self._health.clear(conditions.NOT_CONFIRMED)
            case SetTotal() | SetMode():
                self._apply(found)
            case other:
                if self._totals.was_ignored():
                    log.warning("ignored a message that is no command of ours: %.200r", other)
        self._health.update(confirmed=self._totals.confirmed, ignored=self._totals.ignored)

    def has_withheld(self) -> bool:
        """True if a command that could not be kept can be by now: a new connection brings it."""
        blocked = self._store.blocked or self._store.memory_only
        return self._monotonic_s() >= self._again_s and not blocked

    def _apply(self, command: SetTotal | SetMode) -> None:
        if self._again_s < math.inf:
            raise WithheldError  # it would be undone by the one before it, which comes again
        try:
            if isinstance(command, SetTotal):
                self._set_total(command)
            else:
                self._set_mode(command)
        except BlockedError as blocked:
            log.warning("a command of the cloud cannot be kept now: %s", blocked.text)
            self._again_s = self._monotonic_s()  # as soon as the store can
            raise WithheldError from blocked
        self._health.touch()

    def _set_total(self, command: SetTotal) -> None:
        if self._store.set_total(command.value, command.command_id):
            log.info("the running total is set to %s by the cloud", command.value)

    def _set_mode(self, command: SetMode) -> None:
        """Write the mode, then note the id: a crash in between writes it once more."""
        blocked = self._store.blocked
        if why := self._store.memory_only or (blocked.text if blocked else ""):
            raise BlockedError(why)  # before anything is done, since the command comes again
        if self._store.knows(command.command_id):
            return
        try:
            self._modes.set(command.mode)
        except OSError as error:
            log.warning("the mode of the cloud cannot be kept now: %s", error)
            self._again_s = self._monotonic_s() + WRITE_AGAIN_S
            raise WithheldError from error
        self._store.note_command(command.command_id)
        log.info("the mode is set by the cloud: %s", command.mode.text or "off")
