"""Two months of a household give exactly the counts, events and digests that its ledger has."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from agent.cli.report_days import report
from agent.cli.report_past import decoded, encoded
from agent.store.inspection import past
from tests.unit.household.calendar import DAYS, ZONE, at, name_of
from tests.unit.household.device import READING_S, WINDOW_S, Device
from tests.unit.household.ledger import Ledger
from tests.unit.household.life import Life

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Json

pytestmark = pytest.mark.timeout(900)  # the first of them lives through it all

#: Another seed is another life: scripts/household tries many.
SEED = int(os.environ.get("HOUSEHOLD_SEED", "1"))


class Story:
    """A life, what the cloud was told of it, and what it was to be told."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.ledger = Ledger(device.life, device.seen)

    def received(self, topic: str) -> list[dict[str, Json]]:
        """The payloads on a topic, in the order in which they came."""
        pairs = zip(self.device.topics, self.device.received, strict=True)
        return [payload for kind, payload in pairs if kind == topic]


#: In memory it is quicker: nothing here is about the disk.
MEMORY = Path("/dev/shm")  # noqa: S108 -- a directory of its own is made there


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """The household of the seed, lived through once."""
    zone = os.environ.get("TZ")
    os.environ["TZ"] = ZONE
    time.tzset()
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        device = Device(Life(SEED), Path(directory))
        device.live()
        yield Story(device)
    del os.environ["TZ"]
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()


def test_every_record_arrives_once_and_none_is_missing(story: Story) -> None:
    """Numbers run from 1 without a hole, through crashes and power cuts, in one epoch."""
    numbers = [payload["seq"] for payload in story.device.received]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({str(payload["epoch"]) for payload in story.device.received}) == 1


def test_each_window_has_the_detections_that_were_seen_in_it(story: Story) -> None:
    """Counts of one Timestamp add up to what the household did; unseen is unknown."""
    found: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for count in story.received("count"):
        timestamp, number, observed_ms = (
            count[name] for name in ("Timestamp", "detect_count", "observed_ms")
        )
        assert isinstance(timestamp, int)
        assert isinstance(observed_ms, int)
        assert (number is None) == (observed_ms == 0)
        found[timestamp][0] += number if isinstance(number, int) else 0
        found[timestamp][1] += observed_ms
    windows = story.ledger.windows()
    known = {end_s: (one[0], one[1]) for end_s, one in found.items() if one[1]}
    assert {end_s: known[end_s] for end_s in known if end_s <= max(windows)} == windows


def test_all_that_is_made_in_a_mode_says_so(story: Story) -> None:
    """Each record has the mode that was set when it was made, and no other has one."""
    for payload in [*story.received("count"), *story.received("sensors/room")]:
        at_s = payload["Timestamp"]
        assert isinstance(at_s, int | float)
        assert payload.get("mode") == story.ledger.mode_at(at_s)


def test_each_rule_begins_and_ends_when_it_should_and_never_else(story: Story) -> None:
    """A fall is told of; sleep, a holiday, visitors, a dead sensor and a power cut are not."""
    found = [
        (event["Timestamp"], event["rule"], event["event"], event["since"])
        for event in story.received("events")
    ]
    expected = story.ledger.events()
    assert [one[1:3] for one in found] == [one[1:3] for one in expected]
    for (at_s, *_, since_s), (expected_s, _, what, expected_since_s) in zip(
        found, expected, strict=True
    ):
        assert isinstance(at_s, int | float)
        assert isinstance(since_s, int)
        assert expected_s <= at_s <= expected_s + 0.5, what
        assert abs(since_s - expected_since_s) <= 1


def test_each_day_has_one_digest_in_its_order(story: Story) -> None:
    """One comes at seven on the day after, or as soon as the device is back."""
    digests = story.received("digest")
    assert [one["day"] for one in digests] == [name_of(day) for day in range(DAYS)]
    for day, digest in enumerate(digests):
        at_s, due_s = digest["Timestamp"], story.ledger.digest_due_s(day)
        assert isinstance(at_s, int)
        assert due_s <= at_s <= due_s + 3


def test_a_digest_says_what_was_seen_on_its_day(story: Story) -> None:
    """Counts, hours (23, 24 or 25), first and last detection, and what is usual are exact."""
    for day, digest in enumerate(story.received("digest")):
        expected = story.ledger.day(day)
        assert {name: digest[name] for name in expected} == expected


def test_a_digest_has_the_longest_quiet_spell(story: Story) -> None:
    """It is exact where all of the day was observed, from the second day on."""
    for day, digest in enumerate(story.received("digest")):
        expected, found = story.ledger.longest_quiet(day), digest["longest_quiet"]
        if expected is None:
            assert found is None
            continue
        assert isinstance(found, dict)
        if day and story.ledger.is_whole(day):
            length_s = expected.until_s - expected.since_s
            assert found == {
                "from": expected.since_s,
                "to": expected.until_s,
                "for_s": length_s,
                "observed_s": length_s,
            }


def test_a_digest_has_the_range_of_each_quantity(story: Story) -> None:
    """Low, high, mean and number are those of what the thermometer said."""
    for day, digest in enumerate(story.received("digest")):
        found = digest["quantities"]
        assert isinstance(found, dict)
        expected = story.ledger.quantities(day)
        assert found.keys() == expected.keys()
        for name, numbers in expected.items():
            assert found[name] == pytest.approx(numbers, abs=0.0011)


def test_a_digest_has_the_outages_of_its_day_and_their_causes(story: Story) -> None:
    """A lost link is told to the second; what only a poll or a start can find, soon after it."""
    for day, digest in enumerate(story.received("digest")):
        outages = digest["outages"]
        assert isinstance(outages, list)
        found = []
        for one in outages:
            assert isinstance(one, dict)
            kind, since_s, until_s = one["kind"], one["from"], one["to"]
            assert isinstance(since_s, int | float)
            assert until_s is None or isinstance(until_s, int | float)
            cause = str(one["cause"])
            found.append(
                (
                    str(kind),
                    cause.partition(":")[0] if kind == "sensor" else cause,
                    since_s,
                    until_s,
                )
            )
        expected = story.ledger.outages(day)
        assert len(found) == len(expected)
        for told, known in zip(sorted(found), expected, strict=True):
            slack_s = {"link": 0.5, "agent": WINDOW_S, "sensor": READING_S}[known[0]]
            assert told[:2] == known[:2]
            assert told[2] == pytest.approx(known[2], abs=slack_s)
            assert (told[3] is None) == (known[3] is None)
            if told[3] is not None:
                assert told[3] == pytest.approx(known[3], abs=slack_s)


def test_the_report_has_the_same_numbers(story: Story) -> None:
    """Each hour of two months, the last detections, the total and the share of each day."""
    now_s = at(DAYS, "07:30")
    kept = past(story.device.config.store.path, 0, now_s + 1)
    told = decoded(encoded("living-room", kept, {}, since_s=0))
    shown = report(told, DAYS + 1, now_s)
    assert shown
    days = {facts.day.name: facts for facts in shown.days}
    for day in range(DAYS):
        expected = story.ledger.day(day)
        facts = days[name_of(day)]
        assert facts.total == expected["detect_count"]
        assert round(facts.share, 3) == expected["observed_share"]
        assert facts.first_s == expected["first_detection"]
        assert facts.last_s == expected["last_detection"]
        hours = expected["hours"]
        assert isinstance(hours, list)
        cells = sorted(
            (cell.start_s, cell.count) for line in facts.lines for cell in line.cells if cell
        )
        assert cells == [(one["start"], one["detect_count"]) for one in hours]
