"""The wire: what the device may send and when, and what it then knows, held against the ledger."""

from __future__ import annotations

import json
from typing import Any

from agent.model import COUNT
from agent.mqtt.answers import NOT_AUTHORIZED, PACKET_MAX, REFUSED
from tests.unit.path.device import BACKOFF_MAX_S
from tests.unit.path.ledger import Entry, Ledger
from tests.unit.uplink.broker import SUBSCRIBE

#: Refusals that condemn a record; the last one only if the broker has not told what it takes.
CONDEMNING = {0x90, 0x99, 0x95}

#: What is stamped anew by the best knowledge of the clock.
STAMPED = {"Timestamp", "epoch", "seq", "quality", "not_before", "not_after", "next_by"}

#: A count may move by a window and a half.
WINDOW_S = 600


class Wire(Ledger):
    """Follows what goes to and fro; called in the device's thread, but never while it works."""

    def sent(self, topic: str, payload: bytes) -> None:
        """Check that this may go, and goes next."""
        held, flying = self.held(), self._flying()
        names = [one.partition("/")[2] or one for one in (topic, *(one for one, _ in flying))]
        assert not (flying and any(map(self.alone, names))), "what is doubted goes alone"
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
        assert kind not in held
        older = [
            seq
            for seq, one in self.waiting.items()
            if seq < entry.seq and one.new.kind not in held and not one.condemned
        ]
        known = [one for one in self.entries.values() if one.known and not one.spoiled]
        counts = [one for one in known if one.new.kind == COUNT]
        ahead = kind == COUNT and entry.seq == max(one.seq for one in (*counts, entry))
        early = entry.state == "waits" and not ahead and set(older) - numbers
        assert not early, f"{entry.seq}, {kind}, goes before {early}"
        self._check_newest(entry, counts[-1:], numbers)
        self.idle_s = -1e9

    def _check_newest(self, entry: Entry, counts: list[Entry], flying: set[int]) -> None:
        """A count goes first that is the newest, unless the broker wants it otherwise."""
        link = self.broker.current
        if self.refused_on is link or COUNT in self.held():
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
        if reason == NOT_AUTHORIZED or (topic == SUBSCRIBE and reason >= REFUSED):
            self.banned.add(name)
        else:
            self.banned.discard(name)
            self.closed_on.discard(name)
            self.subscribed |= topic == SUBSCRIBE
        told = self.broker.maximum_packet_size < PACKET_MAX
        condemning = CONDEMNING - ({0x95} if told else set())
        if reason >= REFUSED and reason != NOT_AUTHORIZED and reason not in condemning:
            self.refused_s = self.device.now_s
        if payload and (seq := json.loads(payload).get("seq")):
            entry = self.entries[seq]
            entry.condemned |= reason in condemning
            if reason < REFUSED:
                entry.state = "acknowledged"
                self.answered_lately += self.waiting.pop(seq, None) is not None

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
        assert self.banned <= self.told_forbidden() <= self.banned | self.closed_on
        self._check_subscription()
        link = self.broker.current
        now_s, held, numbers = self.device.now_s, self.held(), self._numbers_flying()
        assert link
        window = min(self.device.config.mqtt.max_inflight, link.receive_maximum)
        kinds = {entry.new.kind for entry in self.waiting.values()}
        window = 1 if any(map(self.alone, (SUBSCRIBE, "status", *kinds))) else window
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

    def held(self) -> frozenset[str]:
        """The names that may not go now."""
        return self.device.uplink._forbidden.held()

    def alone(self, name: str) -> bool:
        """True if a packet of that name is to go alone."""
        return self.device.uplink._forbidden.doubts(name)

    def told_forbidden(self) -> set[str]:
        """The names that the conditions tell as forbidden."""
        texts = [one.text for one in self.device.health.snapshot().conditions]
        return {
            SUBSCRIBE if SUBSCRIBE in text else _topic(text) for text in texts if "forbids" in text
        }

    def _check_subscription(self) -> None:
        """Where the broker has no session, SUBSCRIBE goes before anything else, if it may."""
        link, held = self.broker.current, self.held()
        if link is not self.served:
            self.served = link
            sent = any(topic == SUBSCRIBE for topic, _ in self._flying())
            assert link is None or link.present or sent or SUBSCRIBE in held, "it is not subscribed"

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
