"""The ledger: a plain list of what was recorded and commanded, held against store and broker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.model import COUNT
from agent.mqtt.answers import NOT_AUTHORIZED, PACKET_MAX, REFUSED
from tests.unit.path.device import BACKOFF_MAX_S
from tests.unit.uplink.broker import SUBSCRIBE

if TYPE_CHECKING:
    from agent.model import NewRecord, Record
    from tests.unit.path.device import Device

#: Refusals that condemn a record; the last one only if the broker has not told what it takes.
CONDEMNING = {0x90, 0x99, 0x95}

#: What is stamped anew by the best knowledge of the clock.
STAMPED = {"Timestamp", "epoch", "seq", "quality", "not_before", "not_after", "next_by"}

#: Half a window of a count and a half, by which it may move.
WINDOW_S = 600


@dataclass
class Entry:
    """A record by its number, and what became of it: waits, acknowledged, aside, dropped, lost."""

    seq: int
    new: NewRecord
    body: dict[str, Any]
    made_s: float
    state: str = "waits"
    durable: bool = False
    condemned: bool = False  # by the broker, its size or its row
    spoiled: bool = False
    known: bool = True  # to this process
    arrivals: int = 0


class Ledger:
    """Follows a device; its methods raise AssertionError where that is wrong."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.broker = device.broker
        self.epoch, self.last_seq = "", 0
        self.entries: dict[int, Entry] = {}
        self.waiting: dict[int, Entry] = {}
        self.total = self.durable_total = self.dropped = 0
        self.given_up: list[Entry] = []  # not counted on the disk yet
        self.told_dropped: int | None = 0
        self.skipped: set[int] = set()  # that the cloud knows of
        self.ids: set[str] = set()
        self.subscribed = self.subscribed_for_good = False  # as the device knows
        self.banned: set[str] = set()
        self.closed_on: set[str] = set()
        self.refused_s = self.idle_s = -1e9
        self.refused_on: object = None  # the newest link with a refusal
        self.idle_steps = 0
        self.stepped: dict[str, list[tuple[float, bool]]] = {}

    # What the machine does.

    def append(self, new: NewRecord, *, detections: int | None) -> None:
        """Store a record."""
        store, now_s = self.device.store, self.device.clock.boot_s()
        self.settle()
        record = store.append(new, detections=detections)
        assert record.epoch == self.epoch
        assert record.seq == self.last_seq + 1, "numbers have no holes but what is told as skipped"
        self.last_seq = record.seq
        assert record.seq not in self.entries
        entry = Entry(record.seq, new, dict(record.body), now_s)
        self.entries[record.seq] = self.waiting[record.seq] = entry
        if detections is not None:
            self.total += detections
            assert record.body["total"] == self.total
        self._told(record)
        self.device.uplink.record_waits()
        self.settle()

    def _told(self, record: Record) -> None:
        if isinstance(told := record.body.get("dropped"), dict):
            assert sum(map(int, map(str, told.values()))) == self.dropped
            self.told_dropped = self.dropped
        elif self.told_dropped is not None:
            assert self.told_dropped == self.dropped, "the next payload tells what was dropped"

    def started(self, *, killed: bool) -> None:
        """Compare what a new process has found; `killed` if the one before it lost its memory."""
        store, rows = self.device.store, self._rows()
        self.banned.clear()
        self.closed_on.clear()
        self.subscribed = self.subscribed and (self.subscribed_for_good or not killed)
        self.refused_s = self.idle_s = -1e9
        self.epoch = self.epoch or store.epoch
        assert store.epoch == self.epoch
        if killed:
            self._killed(rows)
        for entry in self.entries.values():
            entry.known = entry.state == "waits"
        assert store.newest_seq >= self.last_seq, "no number is given twice"
        assert killed or store.newest_seq == self.last_seq
        self.last_seq = store.newest_seq
        self.settle()

    def _killed(self, rows: set[int]) -> None:
        for entry in self.given_up:
            self.dropped -= 1
            entry.state = "lost"
        self.given_up.clear()
        for seq in rows - self.waiting.keys():
            assert self.entries[seq].state in {"acknowledged", "lost"}
            self.entries[seq].state = "waits"
        lost = self.waiting.keys() - rows
        assert not any(self.waiting[seq].durable for seq in lost), "what was promised is there"
        assert not lost or min(lost) > max(rows, default=0)
        for seq in lost:
            self.entries[seq].state = "lost"
        self.waiting = {seq: self.entries[seq] for seq in sorted(rows)}
        skipped = self.device.store.skipped or (0, 0)
        assert all(skipped[0] <= seq <= skipped[1] for seq in lost), "what is lost is told"
        self.total, self.told_dropped = self.durable_total, None

    def settle(self) -> None:
        """Compare the store with the list; what has gone must have had to."""
        store, rows = self.device.store, self._rows()
        assert rows <= self.waiting.keys()
        if gone := self.waiting.keys() - rows:
            self._gone(sorted(gone), rows)
            self.idle_s = -1e9
        assert store.queued == len(self.waiting)
        assert store.dropped == self.dropped, (store.dropped_for, self.dropped, self.given_up)
        assert store.total == self.total
        if not store._write_behind._given_up:
            self.given_up.clear()
        if store.blocked is None:
            self.durable_total = self.total
            self.subscribed_for_good = self.subscribed
            patience_s = self.device.config.store.commit_after_s
            for entry in self.waiting.values():
                entry.durable |= self.device.clock.boot_s() - entry.made_s >= patience_s

    def _gone(self, gone: list[int], rows: set[int]) -> None:
        store, bounded = self.device.store, list[Entry]()
        dead = {seq for (seq,) in store._write_behind.db.execute("SELECT seq FROM dead")}
        for seq in gone:
            entry = self.waiting.pop(seq)
            link, size = self.broker.current, len(json.dumps(entry.body))
            entry.condemned |= link is not None and size > link.maximum_packet_size
            if seq in dead:
                entry.state = "aside"
                assert entry.condemned, "a record is set aside only for what it is"
                continue
            self.dropped += 1
            entry.state = "dropped"
            (self.given_up if entry.condemned else bounded).append(entry)
        if bounded:
            assert bounded[-1].seq < min(rows)
            assert len(rows) == self.device.config.store.max_rows

    def _rows(self) -> set[int]:
        """The numbers that wait in the store."""
        content = self.device.store._write_behind
        rows = {row[0] for row in content.records.after(content.figures, 0)}
        return (rows - content.acknowledged) | {row[0] for row in content.buffer}

    # What is seen at the broker, in the device's thread.

    def sent(self, topic: str, payload: bytes) -> None:
        """Check that this may go, and goes next."""
        forbidden, flying = self.device.uplink._forbidden, self._flying()
        assert not (forbidden.careful and flying), "packets go one at a time"
        if topic == SUBSCRIBE:
            assert not (self.subscribed and self.broker.subscribed), "it is subscribed"
            return
        if (body := json.loads(payload)).get("seq") is None:
            return
        self.settle()
        entry, kind = self.entries[body["seq"]], topic.partition("/")[2]
        if entry.spoiled:
            return
        assert len(flying) < self.device.config.mqtt.max_inflight
        assert entry.state in {"waits", "dropped"}, "it has arrived"
        self._check_body(entry, kind, body)
        numbers = self._numbers_flying()
        assert entry.seq not in numbers
        assert kind not in forbidden.held()
        older = [
            seq
            for seq, one in self.waiting.items()
            if seq < entry.seq and one.new.kind not in forbidden.held() and not one.condemned
        ]
        counts = [one for one in self.entries.values() if one.new.kind == COUNT and one.known]
        ahead = kind == COUNT and entry.seq == max(one.seq for one in (*counts, entry))
        early = entry.state == "waits" and not ahead and set(older) - numbers
        assert not early, f"{entry.seq}, {kind}, goes before {early}"
        self._check_newest(entry, counts[-1:], numbers)
        self.idle_s = -1e9

    def _check_newest(self, entry: Entry, counts: list[Entry], flying: set[int]) -> None:
        """A count goes first that is the newest, unless the broker wants it otherwise."""
        link = self.broker.current
        if self.refused_on is link or COUNT in self.device.uplink._forbidden.held():
            self.refused_on = link
        for newest in counts:
            first = newest.state == "waits" and newest.seq not in flying and not newest.condemned
            assert not first or newest is entry or self.refused_on is link, "the newest goes first"

    def _check_body(self, entry: Entry, kind: str, body: dict[str, Any]) -> None:
        assert (body["epoch"], kind) == (self.epoch, entry.new.kind)
        plain = {name: value for name, value in body.items() if name not in STAMPED}
        assert plain == {name: value for name, value in entry.body.items() if name not in STAMPED}
        timestamp_s, moment = body["Timestamp"], entry.new.moment
        clocks = self.stepped[moment.boot_id]
        if timestamp_s == entry.new.timestamp_s and body.get("quality") not in {None, "ok"}:
            return  # it is estimated, and says so, or stands for no time at all
        near_s = 1.5 * WINDOW_S + 2 if kind == COUNT else 2.0
        assert any(
            abs(moment.boot_s + offset_s - timestamp_s) <= near_s
            for offset_s, is_set in clocks
            if is_set
        ), "an exact time is right"

    def taken(self, topic: str, payload: bytes) -> None:
        """Note what arrives."""
        body = json.loads(payload) if payload else {}
        if "seq" in body:
            self.entries[body["seq"]].arrivals += 1
        elif topic.endswith("/status") and "skipped" in body:
            first, last = body["skipped"]
            self.skipped |= set(range(first, last + 1))

    def answered(self, topic: str, payload: bytes, reason: int) -> None:
        """Note what the device knows now."""
        name = topic.partition("/")[2] or topic
        if reason >= REFUSED:
            self.refused_on = self.broker.current
        if reason < REFUSED:
            self.banned.discard(name)
            self.closed_on.discard(name)
            self.subscribed |= topic == SUBSCRIBE
        elif reason == NOT_AUTHORIZED:
            self.banned.add(name)
        told = self.broker.maximum_packet_size < PACKET_MAX
        condemning = CONDEMNING - ({0x95} if told else set())
        if reason >= REFUSED and reason != NOT_AUTHORIZED and reason not in condemning:
            self.refused_s = self.device.now_s
        if payload and (seq := json.loads(payload).get("seq")):
            entry = self.entries[seq]
            entry.condemned |= reason in condemning
            if reason < REFUSED:
                entry.state = "acknowledged"
                self.waiting.pop(seq, None)

    def message(self, payload: bytes) -> None:
        """Note a message that the device has taken: a command is applied once, and in order."""
        if (command := command_of(payload)) is None:
            return
        first = next(one for _, one in self.broker.pending if command_of(one) is not None)
        assert payload == first, "a command waits that was sent before"
        value, name = command
        if name in self.ids:
            return
        self.total = self.durable_total = value
        if name is not None:
            self.ids.add(name)
        for entry in self.waiting.values():
            entry.durable = True
        self.settle()

    def ended(self, topics: set[str]) -> None:
        """Note on what a link has ended."""
        self.closed_on |= {topic.partition("/")[2] or topic for topic in topics}

    def waits(self) -> None:
        """Check a wait of a session: nothing that may go is waited with."""
        self.settle()
        self._check_conditions()
        link, forbidden = self.broker.current, self.device.uplink._forbidden
        now_s, held, numbers = self.device.now_s, forbidden.held(), self._numbers_flying()
        assert link
        window = min(self.device.config.mqtt.max_inflight, link.receive_maximum)
        window = 1 if forbidden.careful else window
        may_go = any(
            seq not in numbers and entry.new.kind not in held and not entry.condemned
            for seq, entry in self.waiting.items()
        )
        if (
            not may_go
            or len(link.unanswered) >= window
            or now_s <= self.refused_s + BACKOFF_MAX_S
            or self.device.store.congested
            or self.device.waits.stopping
        ):
            self.idle_s = -1e9
        elif self.idle_s < 0:
            self.idle_s, self.idle_steps = now_s, 0
        else:
            self.idle_steps += 1
            idle = (now_s - self.idle_s, self.waiting, vars(self.device.outbox))
            assert idle[0] <= 2.5, f"something may go, and does not: {idle}"
            assert self.idle_steps < 100

    def _check_conditions(self) -> None:
        said = [
            one.text for one in self.device.health.snapshot().conditions if "forbids" in one.text
        ]
        names = {"SUBSCRIBE" if "SUBSCRIBE" in text else _topic(text) for text in said}
        assert self.banned <= names <= self.banned | self.closed_on

    def _flying(self) -> list[tuple[str, bytes]]:
        return list(self.broker.current.unanswered.values()) if self.broker.current else []

    def _numbers_flying(self) -> set[int]:
        bodies = [json.loads(payload) for _, payload in self._flying() if payload]
        return {body["seq"] for body in bodies if "seq" in body}


def _topic(text: str) -> str:
    return text.split("publish on ")[1].partition(":")[0].partition("/")[2]


def command_of(payload: bytes) -> tuple[int, str | None] | None:
    """Total and id that a sound command says."""
    try:
        told = json.loads(payload)
    except ValueError:
        return None
    name = None
    if isinstance(told, dict) and "id" in told and ("set" in told) != ("reset" in told):
        told, name = told.get("set", 0), told["id"]
    return (told, name) if isinstance(told, int) and told is not True and told >= 0 else None
