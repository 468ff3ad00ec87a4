"""Payloads of a device as it is configured: made by the code that makes those that are sent.

Each is made more than once, as things go well and as they go badly, so that a field that is there
at times is known too. Nothing is written, and nothing is asked but the sensors.
"""

from __future__ import annotations

import json

from agent.cli import examples
from agent.cli.examples import AWAY, EXAMPLE, QUIET_S, SEEN
from agent.config import StoreLimits
from agent.errors import SensorError
from agent.facts import DIGEST, EVENTS, Mode, marked
from agent.model import COUNT, DAY_S, HOUR_S, Moment, NewRecord, Reading, reading_record
from agent.sampling import Pool
from agent.sensors import open_sensor, quantities
from agent.store import Store
from agent.uplink import Birth
from agent.uplink.announcement import OFFLINE, ONLINE, STATUS, STOPPED, WILL, announcement
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.clock import Clock
    from agent.config import Config, SensorConfig
    from agent.model import Json

#: A driver has its own time to give up; this much later it is left alone.
LATE_S = 1.0


#: An upgrade that was taken back, as a birth tells it.
TAKEN_BACK = {"version": "0.2.0", "reason": "it was not online within 10 minutes"}


class Payloads(Value):
    """Payloads of one kind: an example, and the names of all fields that one may have.

    Those in `at_times` are in some only. `unknown` says why there may be more fields than these.
    """

    kind: str
    example: Mapping[str, Json]
    fields: tuple[str, ...]
    at_times: frozenset[str]
    unknown: str = ""


class Looked(Value):
    """Values of a sensor, if it `reads` any: what only detects is counted, and not read.

    Those that are `missing` may be there another time; `unknown` says why nothing is known.
    """

    values: Mapping[str, float | str]
    reads: bool
    missing: tuple[str, ...] = ()
    unknown: str = ""


def payloads(config: Config, clock: Clock) -> list[Payloads]:
    """The payloads of each topic that this device publishes on, in the order in which it reports.

    Reads the sensors; one that gives no value now, such as a pin that the running agent holds, has
    the quantities that its driver declares.
    """
    now = clock.now()
    found, read = [], dict[str, "float | str"]()
    if config.count.sensor:
        found.append(_payloads(COUNT, *_stored([*examples.counts(config, clock)], now)))
    for sensor in config.sensors:
        counts = sensor.sos or sensor.name in config.count.sensor
        looked = look(sensor, clock, counts=counts)
        if looked.reads:
            record = reading_record(Reading(sensor.name, looked.values, now))
            usual, odd = _stored([record, marked(record, AWAY)], now)
            read |= {f"{sensor.name}.{name}": value for name, value in looked.values.items()}
            odd = [{**one, **dict.fromkeys(looked.missing, 1.0)} for one in odd]
            found.append(replace(_payloads(record.kind, usual, odd), unknown=looked.unknown))
    if config.digests:
        found.append(_payloads(DIGEST, *_stored([*examples.digests(read, now)], now)))
    if events := [*examples.events(config, clock), *examples.calls(config, clock)]:
        both = [_stored([one, marked(one, AWAY)], now) for one in events]
        usual, odd = ([one for part in parts for one in part] for parts in zip(*both, strict=True))
        found.append(_payloads(EVENTS, usual, odd))
    return [*found, _payloads(STATUS, *_announcements(config, clock))]


def look(sensor: SensorConfig, clock: Clock, *, counts: bool) -> Looked:
    """The values of a sensor now, or what is known of it without."""
    only_counts = counts and sensor.interval_s is None
    declared: dict[str, float | str] = dict.fromkeys(quantities(sensor.driver), 1.0)

    def work() -> Looked:
        opened = open_sensor(sensor, clock=clock)
        try:
            if only_counts and opened.detects:
                return Looked({}, reads=False)
            found = opened.read()
            return Looked(found.values, reads=True, missing=tuple(found.missing))
        finally:
            opened.close()

    job = Pool().start(work)
    try:
        if job.wait(sensor.timeout_s + LATE_S):
            looked: Looked = job.result()
            return looked
        unknown = f"{sensor.name}: gives no answer within {sensor.timeout_s:g} s"
    except SensorError as error:
        unknown = error.text
    return Looked(declared, not only_counts, unknown="" if declared else unknown)


def _stored(
    records: Sequence[NewRecord], now: Moment
) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """Payloads of `records` as a store makes them: at its best, and with records and time lost."""
    later = replace(now, wall_s=now.wall_s + DAY_S, boot_id="the next boot")
    earlier = replace(now, wall_s=now.wall_s - DAY_S, boot_id="the boot before")
    with Store(StoreLimits(), memory_only=EXAMPLE) as store:
        store.note_clock(now, is_set=True)
        usual = _sent(store, records[0])
    with Store(StoreLimits(max_rows=1), memory_only=EXAMPLE) as store:
        store.note_clock(earlier, is_set=True)
        store.note_clock(now, is_set=False)
        for _ in range(2):
            store.append(records[-1])  # the second drives the first out, the third tells of it
        odd = _sent(store, records[-1], next_boot=later)
    return usual, odd


def _sent(
    store: Store, record: NewRecord, *, next_boot: Moment | None = None
) -> list[dict[str, Json]]:
    store.append(record, detections=SEEN.count if record.kind == COUNT else None)
    if next_boot:
        store.note_clock(next_boot, is_set=True)
    return [json.loads(one.payload()) for one in store.page(0, 1).records]


def _announcements(
    config: Config, clock: Clock
) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """Births, and the other announcements."""
    births, now = [], clock.now()
    for mode, quiet_s, lossy in ((Mode(), QUIET_S, False), (AWAY, HOUR_S, True)):
        with Store(StoreLimits(), memory_only=EXAMPLE) as store:
            if lossy:
                store.remember(skipped_first=1, skipped_last=2)
            last = replace(now, wall_s=now.wall_s - quiet_s, boot_s=now.boot_s - quiet_s)
            facts = examples.facts(config, store, clock, mode, last).shown()
            facts |= Birth("restart", now, now).facts(
                store,
                session_present=True,
                offline_s=None,
                under_voltage=False if lossy else None,
                rolled_back=dict(TAKEN_BACK) if lossy else None,
            )
            births.append(json.loads(announcement(ONLINE, facts, wall_s=now.wall_s)))
    farewell = json.loads(announcement(OFFLINE, STOPPED, wall_s=now.wall_s))
    return births[:1], [births[1], farewell, dict(WILL)]


def _payloads(kind: str, usual: list[dict[str, Json]], odd: list[dict[str, Json]]) -> Payloads:
    """All fields in their order; what one of the payloads lacks is there at times."""
    fields = tuple(dict.fromkeys(name for one in (*usual, *odd) for name in one))
    always = set(fields).intersection(*usual, *odd)
    return Payloads(kind, usual[0], fields, frozenset(fields) - always)
