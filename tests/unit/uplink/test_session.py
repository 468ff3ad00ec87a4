"""One session while it is online, on a broker that does as the test says."""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import TYPE_CHECKING

import pytest

from agent.config import StoreLimits
from agent.errors import LinkLostError, StoreError
from agent.facts import MODE_FILE, Mode, ModeFile
from agent.health.health import Health
from agent.model import COUNT, Moment, NewRecord, encode
from agent.mqtt.answers import (
    NOT_AUTHORIZED,
    PACKET_MAX,
    TOPIC_NAME_INVALID,
    Accepted,
    Answer,
    ClosedError,
    Published,
    Subscribed,
    WithheldError,
)
from agent.store import open_store
from agent.uplink.forbidden import Forbidden
from agent.uplink.inbox import Inbox, Totals
from agent.uplink.outbox import Outbox
from agent.uplink.session import ANSWER_WITHIN_S, Session
from agent.uplink.waits import Backoff
from tests.fakes import FakeClock, Ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.store import Store

THING = "living-room"
SUBSCRIPTION = "localhost living-room/count"
MOMENT = Moment(1_795_500_000.0, 100.0, "boot")


class ScriptedConnection:
    """A connection whose broker answers each packet with the reason that the test set.

    `reason` None keeps silent. Time passes while it waits in vain.
    """

    def __init__(self, ticks: Ticks) -> None:
        self._ticks = ticks
        self.reason: int | None = 0
        self.suback: int | None = 0
        self.published: list[tuple[str, bytes]] = []
        self.subscribed: list[str] = []
        self.finished = False
        self.largest = 1000
        self.drained = self.room = True
        self.delay_s = 0.0
        self.lost: LinkLostError | None = None
        self._answers: deque[Answer] = deque()
        self._mid = 0

    def takes(self, topic: str, payload: bytes) -> bool:
        """As a real one."""
        return len(topic) + len(payload) <= self.largest

    def has_room(self) -> bool:
        """As the test says."""
        return self.room

    def publish(self, topic: str, payload: bytes) -> int:
        """Take a message."""
        self._mid += 1
        self.published.append((topic, payload))
        if self.reason is not None:
            self._answers.append(Published(self._mid, self.reason))
        return self._mid

    def subscribe(self, topic_filter: str) -> int:
        """Take a subscription."""
        self._mid += 1
        self.subscribed.append(topic_filter)
        if self.suback is not None:
            self._answers.append(Subscribed(self._mid, self.suback))
        return self._mid

    def step(self, timeout_s: float) -> list[Answer]:
        """All answers, or the time-out."""
        assert timeout_s >= 0
        if self.lost:
            raise self.lost
        if self._answers and self.delay_s <= timeout_s:
            self._ticks.now_s += self.delay_s
            answers, self._answers = list(self._answers), deque()
            return answers
        self._ticks.now_s += min(timeout_s, 3600.0)
        return []

    def finish(self) -> None:
        """Note DISCONNECT."""
        self.finished = True


class Bench:
    """A session with real parts around the scripted connection."""

    def __init__(self, store: Store) -> None:
        self.ticks = Ticks()
        self.store = store
        self.health = Health(wall_s=self.ticks, boot_s=self.ticks)
        self.totals = Totals()
        self.modes = ModeFile(store._path.with_name(MODE_FILE), self.ticks)
        self.inbox = Inbox(
            THING,
            store,
            self.health,
            self.totals,
            modes=self.modes,
            monotonic_s=self.ticks,
        )
        self.forbidden = Forbidden(THING, health=self.health, monotonic_s=self.ticks)
        self.connect()
        self.totals.subscribed = SUBSCRIPTION

    def begin(self, *, session_present: bool = True) -> None:
        """Announce it, as the uplink does."""
        if not session_present:
            self.totals.subscribed = ""
        self.session.announce("online", {"session_present": session_present})

    def connect(self) -> None:
        """Begin a new connection, with a session of its own."""
        self.connection = ScriptedConnection(self.ticks)
        self.outbox = Outbox(
            self.store,
            Accepted(
                session_present=True,
                receive_maximum=6,
                maximum_packet_size=PACKET_MAX,
                keepalive_s=0,
            ),
            window=5,
            per_s=1e6,
            backoff=Backoff(1.0, 60.0),
            forbidden=self.forbidden,
            monotonic_s=self.ticks,
        )
        self.session = Session(
            THING,
            self.connection,  # type: ignore[arg-type]
            self.outbox,
            subscription=SUBSCRIPTION,
            inbox=self.inbox,
            totals=self.totals,
            store=self.store,
            health=self.health,
            clock=FakeClock(MOMENT.wall_s),
            monotonic_s=self.ticks,
        )

    def codes(self) -> set[str]:
        """The conditions that stand."""
        return {one.code for one in self.health.snapshot().conditions}

    def store_counts(self, number: int) -> None:
        """Store so many counts."""
        for _ in range(number):
            self.store.append(NewRecord(COUNT, MOMENT.wall_s, MOMENT), detections=1)

    def steps(self, number: int) -> None:
        """Take so many steps."""
        for _ in range(number):
            self.session.step()

    def echo(self, seq: int) -> None:
        """Deliver our own count `seq`."""
        self.inbox.message(f"{THING}/count", encode({"epoch": self.store.epoch, "seq": seq}))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with a store of its own."""
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        yield Bench(store)


def test_what_waits_is_published_and_acknowledged(bench: Bench) -> None:
    """Records go out on their topics and leave the store with their PUBACK."""
    bench.store_counts(2)

    bench.session.step()

    assert [topic for topic, _ in bench.connection.published] == [f"{THING}/count"] * 2
    assert bench.store.queued == 0
    assert (bench.totals.published, bench.totals.acked) == (2, 2)
    assert bench.health.snapshot().facts["last_ack"] is not None


def test_three_counts_without_an_echo_are_not_confirmed(bench: Bench) -> None:
    """PUBACKs come and echoes do not: a condition, and one more SUBSCRIBE, not three."""
    for _ in range(6):
        bench.ticks.now_s += 600.0
        bench.store_counts(1)
        bench.session.step()

    assert "not-confirmed" in bench.codes()
    bench.session.step()
    assert bench.connection.subscribed == [f"{THING}/count"]
    bench.echo(6)
    assert "not-confirmed" not in bench.codes()
    assert bench.totals.confirmed == 1


def test_a_drained_backlog_does_not_look_unconfirmed(bench: Bench) -> None:
    """Many counts acknowledged at once, whose echoes came before or come a moment later."""
    bench.store_counts(20)
    for seq in (20, 1, 2, 3):
        bench.echo(seq)
    bench.steps(5)
    bench.store_counts(20)
    bench.steps(5)
    bench.ticks.now_s += 600.0
    bench.echo(40)
    bench.store_counts(1)
    bench.session.step()

    assert bench.store.queued == 0
    assert bench.codes() == set()


def test_the_birth_takes_room_in_the_window(bench: Bench) -> None:
    """The broker's Receive Maximum is for all QoS 1 messages, not for records alone."""
    bench.store_counts(9)
    bench.connection.reason = None
    bench.begin()

    bench.session.step(0.0)

    assert len(bench.connection.published) == 5


def test_a_silent_broker_is_a_lost_link(bench: Bench) -> None:
    """No PUBACK for 20 s means a new connection, whatever the socket says."""
    bench.store_counts(1)
    bench.connection.reason = None
    bench.session.step(0.0)

    began_s = bench.ticks.now_s
    with pytest.raises(LinkLostError):
        bench.steps(5)

    assert bench.ticks.now_s - began_s <= ANSWER_WITHIN_S + 1
    assert bench.store.queued == 1


def test_a_silent_suback_is_a_lost_link(bench: Bench) -> None:
    """The same for SUBSCRIBE."""
    bench.begin(session_present=False)
    bench.connection.suback = None

    with pytest.raises(LinkLostError):
        bench.steps(5)


def test_a_refused_subscription_is_a_condition_and_no_end(bench: Bench) -> None:
    """Publishing goes on, and SUBSCRIBE is tried again after a minute."""
    bench.begin(session_present=False)
    bench.connection.suback = NOT_AUTHORIZED
    bench.session.step()
    assert "not-subscribed" in bench.codes()

    bench.connection.suback = 0
    bench.store_counts(1)
    bench.session.step()
    assert bench.store.queued == 0
    assert len(bench.connection.subscribed) == 1
    bench.session.step()
    bench.session.step()

    assert len(bench.connection.subscribed) == 2
    assert "not-subscribed" not in bench.codes()


def test_a_refused_publish_is_a_condition_until_one_is_taken(bench: Bench) -> None:
    """The record stays, waits for the backoff, goes again, and takes the condition with it."""
    bench.store_counts(1)
    bench.connection.reason = NOT_AUTHORIZED
    bench.session.step()
    assert bench.codes() == {"not-authorized"}
    assert bench.store.queued == 1

    bench.connection.reason = 0
    for _ in range(3):
        bench.session.step()

    assert bench.codes() == set()
    assert bench.store.queued == 0


def test_a_hopeless_record_is_reported(bench: Bench) -> None:
    """A record that the broker can never take is set aside, and that is said."""
    bench.store_counts(1)
    bench.connection.reason = TOPIC_NAME_INVALID

    bench.session.step()

    (told,) = bench.health.snapshot().conditions
    assert (told.code, told.text) == ("record-refused", "record 1, count: topic name not valid")
    assert bench.store.queued == 0


def test_a_record_that_the_broker_cannot_take_is_never_sent(bench: Bench) -> None:
    """Larger than its Maximum Packet Size: set aside with the reason, and the next one goes."""
    bench.store_counts(1)
    bench.connection.largest = 10
    bench.begin()
    bench.session.step()

    assert bench.connection.published == []
    assert bench.codes() == {"record-refused"}
    assert bench.store.queued == 0

    bench.connection.largest = 1000
    bench.store_counts(1)
    bench.session.step()

    assert len(bench.connection.published) == 1


def test_an_answer_is_missed_in_time_whatever_else_comes(bench: Bench) -> None:
    """Traffic that wakes the session meanwhile does not lengthen the 20 s."""
    bench.store_counts(1)
    bench.connection.reason = None
    bench.session.step(0.0)
    began_s = bench.ticks.now_s
    bench.ticks.now_s += 15.0
    bench.session.step(0.0)

    with pytest.raises(LinkLostError):
        bench.steps(2)

    assert bench.ticks.now_s - began_s <= ANSWER_WITHIN_S


def test_a_farewell_drains_says_goodbye_and_disconnects(bench: Bench) -> None:
    """What waits goes up, then the status `offline`, then DISCONNECT."""
    bench.store_counts(12)

    bench.session.finish(bench.ticks.now_s + 3.0)

    assert bench.store.queued == 0
    assert bench.connection.published[-1][0] == f"{THING}/status"
    assert b'"state":"offline","reason":"stopped"' in bench.connection.published[-1][1]
    assert bench.connection.finished


def test_a_farewell_ends_in_time_on_a_silent_broker(bench: Bench) -> None:
    """A broker that acknowledges nothing delays a stop by the time given and no more."""
    bench.store_counts(1)
    bench.connection.reason = None
    began_s = bench.ticks.now_s

    bench.session.finish(began_s + 3.0)

    assert bench.ticks.now_s - began_s <= 3.5
    assert bench.connection.finished


def test_a_message_on_another_topic_is_ignored(bench: Bench) -> None:
    """Only `<thing>/count` commands us."""
    bench.inbox.message(f"{THING}/other", b"7")

    assert bench.store.total == 0
    assert bench.totals.ignored == 1


def test_a_command_that_cannot_be_made_durable_is_not_taken(bench: Bench) -> None:
    """The error leaves the handler, so that the message is not acknowledged and comes again."""
    bench.store.close()

    with pytest.raises(StoreError):
        bench.inbox.message(f"{THING}/count", b'{"set": 5, "id": "x"}')


def test_a_command_that_a_full_card_cannot_take_waits_at_the_broker(bench: Bench) -> None:
    """The session goes on without its PUBACK; once there is room, a new one brings it again."""
    other = sqlite3.connect(bench.store._path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(WithheldError):
            bench.inbox.message(f"{THING}/count", b'{"set": 5, "id": "a"}')
    bench.store_counts(1)
    assert bench.store.blocked
    bench.steps(3)
    other.execute("ROLLBACK")
    other.close()
    bench.store._write_behind._again_boot_s = 0.0
    bench.store.flush()
    with pytest.raises(LinkLostError, match="waits at the broker"):
        bench.session.step()
    assert bench.store.total == 1


def test_a_command_behind_one_that_waits_at_the_broker_waits_too(bench: Bench) -> None:
    """Else the older one, which comes again, would overwrite the newer."""
    other = sqlite3.connect(bench.store._path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(WithheldError):
        bench.inbox.message(f"{THING}/count", b'{"set": 5, "id": "a"}')
    other.execute("ROLLBACK")
    other.close()

    with pytest.raises(WithheldError):
        bench.inbox.message(f"{THING}/count", b'{"set": 6, "id": "b"}')

    assert bench.store.total == 0


AWAY = b'{"mode": "away", "until": 90000, "id": "m"}'


def test_a_mode_is_on_the_disk_before_its_acknowledgement(bench: Bench) -> None:
    """Once for its id: one that comes again undoes nothing that a person has done since."""
    bench.inbox.message(f"{THING}/count", AWAY)
    assert bench.modes.read() == Mode("away", 90000, bench.ticks.now_s, "cloud")
    bench.modes.set(Mode())
    bench.inbox.message(f"{THING}/count", AWAY)
    assert bench.modes.read() == Mode()
    bench.inbox.message(f"{THING}/count", AWAY.replace(b'"m"', b'"n"'))
    bench.inbox.message(f"{THING}/count", b'{"mode": "off", "id": "o"}')
    assert bench.modes.read() == Mode()
    assert bench.totals.ignored == 0


def test_a_mode_that_a_full_card_cannot_take_is_not_half_taken(bench: Bench) -> None:
    """It waits at the broker, and so do commands behind it, of either kind."""
    other = sqlite3.connect(bench.store._path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bench.store_counts(1)
    assert bench.store.blocked
    for message in (AWAY, b'{"set": 5, "id": "a"}'):
        with pytest.raises(WithheldError):
            bench.inbox.message(f"{THING}/count", message)
    assert bench.modes.read() == Mode()
    assert not bench.inbox.has_withheld()
    other.execute("ROLLBACK")
    other.close()
    bench.store._write_behind._again_boot_s = 0.0
    bench.store.flush()
    assert bench.inbox.has_withheld()


def test_a_mode_whose_file_cannot_be_written_comes_again(bench: Bench) -> None:
    """After ten minutes, so that no session is ended for it again and again."""
    path = bench.store._path.with_name(MODE_FILE)
    path.mkdir()
    with pytest.raises(WithheldError):
        bench.inbox.message(f"{THING}/count", AWAY)
    assert not bench.inbox.has_withheld()
    bench.ticks.now_s += 600
    assert bench.inbox.has_withheld()
    path.rmdir()
    again = Bench(bench.store)
    again.inbox.message(f"{THING}/count", AWAY)
    assert again.modes.now().name == "away"


def test_a_command_is_not_taken_into_a_memory_that_will_be_gone(tmp_path: Path) -> None:
    """It waits at the broker, and the session goes on, until there is a file again."""
    (tmp_path / "store.db").mkdir()
    with open_store(StoreLimits(path=tmp_path / "store.db")) as store:
        assert store.memory_only
        bench = Bench(store)
        for message in (AWAY, b'{"set": 5, "id": "a"}'):
            with pytest.raises(WithheldError):
                bench.inbox.message(f"{THING}/count", message)
        bench.store_counts(1)
        bench.steps(3)

        assert bench.modes.read() == Mode()
        assert store.queued == 0
        assert store.total == 1


def test_a_session_whose_suback_nobody_saw_is_subscribed_again(bench: Bench) -> None:
    """Though it is present: the process may have died in between."""
    bench.begin(session_present=False)
    bench.connection.suback = None
    bench.session.step(0.0)

    bench.connect()
    bench.begin()
    bench.steps(2)

    assert bench.connection.subscribed == [f"{THING}/count"]
    assert bench.totals.subscribed == SUBSCRIPTION


def test_another_broker_knows_nothing_of_a_subscription(bench: Bench) -> None:
    """A SUBACK counts for the endpoint and the name that it was seen with."""
    bench.totals.subscribed = "elsewhere living-room/count"
    bench.begin()
    bench.steps(2)

    assert bench.connection.subscribed == [f"{THING}/count"]


def test_a_refused_birth_is_told_again_with_what_was_skipped(bench: Bench) -> None:
    """After the backoff; only a yes forgets the skipped numbers."""
    bench.store.remember(skipped_first=3, skipped_last=7)
    bench.connection.reason = 0x97
    bench.begin()
    bench.session.step()
    before = bench.store.skipped

    bench.connection.reason = 0
    bench.steps(3)

    assert [topic for topic, _ in bench.connection.published] == [f"{THING}/status"] * 2
    assert (before, bench.store.skipped) == ((3, 7), None)
    assert bench.totals.announced


def test_a_birth_that_nobody_can_take_is_left_out(bench: Bench) -> None:
    """Since no waiting mends that, it is not sent for ever."""
    bench.connection.reason = TOPIC_NAME_INVALID
    bench.begin()
    bench.steps(3)

    assert len(bench.connection.published) == 1


def test_the_birth_gives_its_room_in_the_window_back(bench: Bench) -> None:
    """Once it is answered, a whole window of records goes again."""
    bench.begin()
    bench.session.step()
    bench.connection.reason = None
    bench.store_counts(9)
    bench.session.step(0.0)

    assert len(bench.connection.published) == 1 + 5


def test_after_a_sudden_end_what_was_unanswered_goes_alone(bench: Bench) -> None:
    """The birth, then the records, each with its answer before the next; SUBSCRIBE after them."""
    bench.store_counts(3)
    bench.begin(session_present=False)
    bench.connection.reason = bench.connection.suback = None
    bench.session.step(0.0)
    bench.forbidden.ended(ClosedError("closed"), bench.outbox.unanswered())

    bench.connect()
    bench.connection.reason = bench.connection.suback = None
    bench.begin(session_present=False)
    bench.session.step(0.0)
    assert [topic for topic, _ in bench.connection.published] == [f"{THING}/status"]
    bench.outbox.answered([Published(1, 0)])
    bench.session.step(0.0)
    assert [topic for topic, _ in bench.connection.published[1:]] == [f"{THING}/count"]
    bench.outbox.answered([Published(2, 0)])
    bench.session.step(0.0)
    assert len(bench.connection.published) == 4
    bench.outbox.answered([Published(3, 0), Published(4, 0)])
    bench.ticks.now_s += 5.0
    bench.session.step(0.0)
    assert bench.connection.subscribed == [f"{THING}/count"]


def test_an_answer_that_lies_unread_is_no_silence(bench: Bench) -> None:
    """A commit may take longer than a broker may: the answers are in the socket then."""
    bench.store_counts(2)
    bench.connection.reason = None
    bench.session.step(0.0)
    bench.ticks.now_s += 25.0
    bench.connection.drained = False

    bench.session.step(0.0)

    bench.connection.drained = True
    with pytest.raises(LinkLostError, match="since 25 s"):
        bench.session.step(0.0)


def test_a_flood_hides_a_silent_broker_for_two_minutes_at_most(bench: Bench) -> None:
    """What comes in without end may keep the answer from being read, or there is none."""
    bench.store_counts(1)
    bench.connection.reason = None
    bench.connection.drained = False
    bench.session.step(0.0)

    for _ in range(139):
        bench.ticks.now_s += 1.0
        bench.session.step(0.0)
    bench.ticks.now_s += 5.0
    with pytest.raises(LinkLostError):
        bench.session.step(0.0)


def test_the_farewell_has_room_though_the_window_is_full(bench: Bench) -> None:
    """Over a slow link too: nothing new goes in the last second of a stop."""
    bench.store_counts(100)
    bench.connection.delay_s = 0.7

    bench.session.finish(bench.ticks.now_s + 3.0)

    assert 0 < bench.store.queued < 95
    assert b'"reason":"stopped"' in bench.connection.published[-1][1]
    assert bench.connection.finished


def test_without_a_farewell_the_last_will_speaks(bench: Bench) -> None:
    """No DISCONNECT, which would keep the broker from sending the will: so the cloud learns it."""
    for mid in range(100, 106):
        bench.outbox.sent(mid, "sensors/room")

    bench.session.finish(bench.ticks.now_s + 3.0)

    assert bench.connection.published == []
    assert not bench.connection.finished


def test_a_forbidden_farewell_is_not_waited_for(bench: Bench) -> None:
    """Nothing else waits, so that the stop is quick; the last will is all that can tell."""
    bench.forbidden.answered("status", NOT_AUTHORIZED)
    began_s = bench.ticks.now_s

    bench.session.finish(began_s + 3.0)

    assert bench.ticks.now_s == began_s
    assert bench.connection.published == []
    assert not bench.connection.finished


def test_three_counts_over_three_connections_are_not_confirmed_either(bench: Bench) -> None:
    """A link that never lives for long tells it too."""
    for _ in range(3):
        bench.connect()
        bench.ticks.now_s += 600.0
        bench.store_counts(1)
        bench.session.step()

    assert "not-confirmed" in bench.codes()
    assert len(bench.totals.unconfirmed) == 3


def test_a_refused_birth_leaves_no_condition_once_it_is_taken(bench: Bench) -> None:
    """Though no record comes for an hour."""
    bench.connection.reason = 0x97
    bench.begin()
    bench.session.step()
    assert bench.codes() == {"not-authorized"}
    bench.connection.reason = 0
    bench.steps(3)

    assert bench.codes() == set()


def test_what_was_published_is_told_though_the_link_is_lost_at_once(bench: Bench) -> None:
    """The figures are those of the process, online or not."""
    bench.store_counts(2)
    bench.connection.lost = LinkLostError("gone")
    with pytest.raises(LinkLostError):
        bench.session.step()

    assert bench.health.snapshot().facts["published"] == 2


def test_the_next_record_waits_for_the_bytes_of_the_last(bench: Bench) -> None:
    """AWS bounds bytes a second too: 100 KiB take a fifth of a second, half of which was saved."""
    bench.connection.largest, bench.connection.reason = 200_000, None
    bench.store.append(NewRecord("sensors/room", MOMENT.wall_s, MOMENT, {"text": "x" * 100_000}))
    bench.session.step(0.0)
    bench.store_counts(1)

    assert 0.1 < bench.outbox.wait_s() < 0.2


def test_records_stay_in_the_store_behind_what_waits_to_be_written(bench: Bench) -> None:
    """And nobody looks after them until the socket takes more, or there is an answer."""
    bench.steps(3)
    bench.store_counts(2)
    bench.connection.room = False
    published, began_s = len(bench.connection.published), bench.ticks.now_s
    bench.session.step(60.0)
    assert (len(bench.connection.published), bench.ticks.now_s) == (published, began_s + 60.0)

    bench.connection.room = True
    bench.session.step()
    assert len(bench.connection.published) == published + 2
