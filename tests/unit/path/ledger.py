"""The ledger: a plain list of what was recorded and commanded, held against store and broker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.model import NewRecord, Record
    from tests.unit.path.device import Device


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
        self.subscribed = False  # as the device knows
        self.banned: set[str] = set()
        self.closed_on: set[str] = set()
        self.refused_s = self.idle_s = -1e9
        self.served: object = None  # the newest link that was looked at
        self.refused_on: object = None  # the newest link with a refusal
        self.idle_steps = self.answered_lately = 0
        self.stepped: dict[str, list[tuple[float, bool]]] = {}

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
        self.device.uplink.records_wait()
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
        self.subscribed = self.subscribed and not killed
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
            if self.dropped > self.device.store.dropped:
                self.dropped -= 1
                entry.state = "lost"
        self.given_up.clear()
        for seq in rows - self.waiting.keys():
            assert self.entries[seq].state in {"acknowledged", "lost"}
            self.entries[seq].state = "waits"
        lost, aside = self.waiting.keys() - rows, self._dead()
        for seq in lost & aside:
            self.entries[seq].state = "aside"
        lost -= aside
        assert not any(self.waiting[seq].durable for seq in lost), "what was promised is there"
        assert not lost or min(lost) > max(rows, default=0)
        for seq in lost:
            self.entries[seq].state = "lost"
        self.waiting = {seq: self.entries[seq] for seq in sorted(rows)}
        skipped = self.device.store.skipped or (0, 0)
        assert all(skipped[0] <= seq <= skipped[1] for seq in lost), (lost, skipped, rows)
        if self.device.store.total != self.total:  # else the last commit came with the end
            self.total = self.durable_total
        self.told_dropped = None

    def settle(self) -> None:
        """Compare the store with the list; what has gone must have had to."""
        store, rows = self.device.store, self._rows()
        assert rows <= self.waiting.keys()
        if gone := self.waiting.keys() - rows:
            self._gone(sorted(gone), rows)
            self.idle_s = -1e9
        if 0 < store.dropped - self.dropped <= self.answered_lately:
            self.dropped = store.dropped  # a commit came between two answers of one step
        self.answered_lately = 0
        assert store.queued == len(self.waiting)
        assert store.dropped == self.dropped, (store.dropped_for, self.dropped, self.given_up)
        assert store.total == self.total
        if not store._write_behind._given_up:
            self.given_up.clear()
        if store.blocked is None:
            self.durable_total = self.total
            patience_s = self.device.config.store.commit_after_s
            for entry in self.waiting.values():
                entry.durable |= self.device.clock.boot_s() - entry.made_s >= patience_s

    def _gone(self, gone: list[int], rows: set[int]) -> None:
        bounded, dead = list[Entry](), self._dead()
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
            waited = len(rows) + len(gone) + self.answered_lately
            assert waited > self.device.config.store.max_rows, "nothing goes before there is need"

    def _dead(self) -> set[int]:
        """The numbers that were set aside."""
        rows = self.device.store._write_behind.db.execute("SELECT seq FROM dead")
        return {seq for (seq,) in rows}

    def _rows(self) -> set[int]:
        """The numbers that wait in the store."""
        content = self.device.store._write_behind
        rows = {row[0] for row in content.records.after(content.figures, 0)}
        return (rows - content.acknowledged) | {row[0] for row in content.buffer}
