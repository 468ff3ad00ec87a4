"""A broker that misbehaves costs a connection at most: no crash, no hang, no loss, no memory."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.link import wire
from tests.link.advisor import LARGE, SLACK_S
from tests.link.bench import case
from tests.link.device import TOPIC, write_toml
from tests.timing import allowed_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.link.bench import Bench
    from tests.link.broker import Broker, Peer
    from tests.link.device import Device
    from tests.link.wire import Packet

ROOT = Path(__file__).parents[2]

CHANCE = random.Random(3)

#: What a broker may not send, by what it is; the last word is what the condition says.
NONSENSE: dict[str, tuple[Callable[[bool], bytes], str]] = {
    "a length of five bytes": (lambda _: b"\x30\xff\xff\xff\xff\xff", "malformed"),
    "random bytes": (lambda _: b"\xf7\x20" + CHANCE.randbytes(4096), ""),
    "256 MiB announced": (lambda _: b"\x32\xff\xff\xff\x7f" + bytes(100_000), "268435455 bytes"),
    "a long PUBACK": (lambda _: b"\x40\xff\xff\x03" + bytes(1000), "65535 bytes"),
    "truncated, then silence": (lambda _: b"\x32\x64" + bytes(10), "did not answer a ping"),
    "a topic longer than its packet": (lambda _: wire.packet(0x32, b"\xff\xffab"), "malformed"),
    "a PUBLISH of no bytes": (lambda _: b"\x32\0", "malformed"),
    "packet id 0": (lambda five: wire.publish(TOPIC, b"1", five=five, mid=0), "packet id 0"),
    "QoS 2": (lambda five: wire.publish(TOPIC, b"1", five=five, qos=2), "QoS 2"),
    "QoS 3": (lambda five: wire.publish(TOPIC, b"1", five=five, qos=3), "QoS 3"),
    "CONNACK twice": (lambda five: wire.connack(five=five), "CONNACK twice"),
    "SUBACK without a reason": (lambda five: wire.suback(1, b"", five=five), "SUBACK"),
    "SUBACK for two filters": (lambda five: wire.suback(1, b"\1\1", five=five), "SUBACK"),
    "PUBACK of one byte": (lambda _: b"\x40\1\0", "malformed"),
    "a device's packet": (lambda _: wire.packet(0x82, b"\0\1\0\1a\0"), "malformed"),
    "a reserved kind": (lambda _: b"\xf0\2\0\0", "malformed"),
    "a topic that is not UTF-8": (lambda five: wire.publish(b"a\xff", b"", five=five), "UTF-8"),
    "a topic with half a character": (
        lambda five: wire.publish(b"a\xed\xa0\x80", b"", five=five),
        "UTF-8",
    ),
    "a topic with NUL": (lambda five: wire.publish(b"a\0b", b"", five=five), "NUL"),
    "a topic with a wildcard": (lambda five: wire.publish("a/#", b"", five=five), "not valid"),
    "no topic": (lambda five: wire.publish("", b"", five=five), "not valid"),
}

#: The same for the properties of a PUBLISH, with their length.
PROPERTIES = {
    "beyond the end": (b"\xff\x7f", "shorter than it says"),
    "of an unknown kind": (b"\2\x7e\0", "0x7e"),
    "of another packet": (b"\3\x21\0\1", "0x21"),
    "with a topic alias": (b"\3\x23\0\1", "0x23"),
    "twice": (b"\4\1\1\1\1", "0x01"),
    "with a flag of 2": (b"\2\1\2", "neither 0 nor 1"),
    "that are no UTF-8": (b"\7\x26\0\1\xff\0\1b", "UTF-8"),
    "longer than they say": (b"\2\x02\0", "longer than they say"),
    "cut off in a length": (b"\2\x26\0", ""),
}


def _with(properties: bytes) -> Callable[[bool], bytes]:
    return lambda five: wire.publish(TOPIC, b"", five=five, properties=properties)


NONSENSE |= {f"properties {name}": (_with(data), text) for name, (data, text) in PROPERTIES.items()}


def _nonsense(name: str) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        make, text = NONSENSE[name]
        if name.startswith("properties"):
            bench.only_five("3.1.1 has no properties")
        broker, device = bench.online(keepalive_s=5)
        good, broker.on[wire.PUBLISH] = broker.on[wire.PUBLISH], lambda *_: None
        device.count()
        broker.wait(wire.PUBLISH, topic="/count")
        broker.on[wire.PUBLISH] = good
        broker.peers[0].send(make(bench.five))
        device.wait_condition("offline", text, timeout_s=1.5 * 5 + SLACK_S)
        device.wait_empty()
        assert len(broker.peers) == 2

    return run


for _name in NONSENSE:
    case(f"nonsense: {_name}")(_nonsense(_name))


@case("a message before CONNACK")
def _early(bench: Bench) -> None:
    broker = bench.broker()
    broker.on[wire.CONNECT] = lambda peer, _: peer.send(
        wire.publish(TOPIC, b'{"set": 1, "id": "x"}', five=peer.five)
    )
    device = bench.device(broker.port)
    device.wait_condition("offline", "something before it")
    assert device.store.total == 0
    assert broker.seen(wire.PUBACK) == []


@case("acknowledgements nobody waits for")
def _stray(bench: Bench) -> None:
    broker, device = bench.online()
    stray = [wire.puback(mid) for mid in range(1000, 1100)] + [wire.PINGRESP_BYTES] * 100
    broker.peers[0].send(b"".join(stray))
    device.count(3)
    device.wait_empty()
    assert (len(broker.peers), device.fact("acked")) == (1, 3)


PAYLOADS = [
    b"",
    b"\xff\xfe\x00",
    b"{",
    b"[" * 60_000,
    b'{"a":' * 20_000,
    b"9" * 100_000,
    b"1e999999",
    b'{"set": 9007199254740992, "id": "x"}',
    b'{"set": -1, "id": "x"}',
    b'{"set": NaN, "id": "x"}',
    b'{"set": 1, "id": ""}',
    b'{"set": 1, "id": "\\ud800"}',
    b'{"epoch": "x", "seq": 1}',
    b"null",
    b"true",
    LARGE,
    b'"' + b"\xc3\xa4" * 60_000 + b'"',
]


@case("payloads of all kinds")
def _payloads(bench: Bench) -> None:
    broker, device = bench.online()
    for mid, payload in enumerate(PAYLOADS, 1):
        broker.peers[0].send(wire.publish(TOPIC, payload, five=bench.five, mid=mid))
    topics = ["x", "living-room/other", "t" * 65_535]
    for mid, topic in enumerate(topics, 100):
        broker.peers[0].send(wire.publish(topic, b"5", five=bench.five, mid=mid))
    total = len(PAYLOADS) + len(topics)
    broker.wait(wire.PUBACK, total)
    device.wait(lambda: device.fact("ignored") == total)
    assert (device.store.total, len(broker.peers)) == (0, 1)
    device.count()
    device.wait_empty()


@case("properties of 128 KiB")
def _properties(bench: Bench) -> None:
    bench.only_five("3.1.1 has no properties")
    broker, device = bench.online()
    many = b"\x26\0\0\0\0" * 26_000
    length = wire.packet(0, many)[1 : -len(many)]
    began_s = time.monotonic()
    for mid in range(1, 6):
        broker.peers[0].send(wire.publish(TOPIC, b"", five=True, mid=mid, properties=length + many))
    broker.wait(wire.PUBACK, 5)
    assert time.monotonic() - began_s < allowed_s(5)
    assert device.fact("state") == "online"


def _flood(peer: Peer, count: int, payload: bytes) -> None:
    for begin in range(0, count, 500):
        numbers = range(begin, min(begin + 500, count))
        mids = [1 + number % 65_535 for number in numbers]
        peer.send(b"".join(wire.publish(TOPIC, payload, five=peer.five, mid=mid) for mid in mids))


@case("a flood: all acknowledged, publishing goes on", long=True, busy=True)
def _flooded(bench: Bench) -> None:
    broker, device = bench.online()
    device.count(5)
    _flood(broker.peers[0], 5000, b"nothing")
    device.wait_empty(timeout_s=30)
    broker.wait(wire.PUBACK, 5005, timeout_s=60)  # the echoes of the counts too
    assert device.fact("ignored") == 5000
    assert len(broker.peers) == 1


@case("a flood of large messages ends with a stop", long=True, busy=True)
def _flood_stops(bench: Bench) -> None:
    broker, device = bench.online()
    broker.on.pop(wire.PUBACK, None)
    peer, going = broker.peers[0], True

    def pour(_: Peer, __: Packet) -> None:
        while going:
            peer.send(wire.publish(TOPIC, LARGE[:9000], five=bench.five, mid=7))

    broker.on[wire.PUBLISH] = pour
    device.count()
    device.wait(lambda: isinstance(device.fact("ignored"), int) and bool(device.fact("ignored")))
    time.sleep(1)
    try:
        assert device.stop() < allowed_s(4)
    finally:
        going = False


def _blocked(bench: Bench) -> tuple[Broker, Device]:
    """A broker that has stopped reading, and a device with more to say than buffers hold."""
    broker, device = bench.online(
        keepalive_s=5, max_inflight=1000, max_publish_per_s=100_000, backoff_max_s=1
    )
    broker.peers[0].reading.clear()
    device.count(120, note="x" * 100_000)
    return broker, device


@case("zero window: a write that blocks", long=True)
def _zero_window(bench: Bench) -> None:
    broker, device = _blocked(bench)
    device.wait_condition("offline", "did not answer a ping", timeout_s=1.5 * 5 + SLACK_S)
    broker.peers[0].reading.set()
    device.wait_empty(timeout_s=40)


@case("zero window: a stop is in time", long=True, busy=True)
def _zero_window_stop(bench: Bench) -> None:
    _, device = _blocked(bench)
    time.sleep(1)
    assert device.stop() < allowed_s(4)


#: The daemon's own size, and room for some messages of the largest kind.
PEAK_KIB = 64 * 1024


@case("floods leave the process small", long=True, busy=True)
def _memory(bench: Bench) -> None:
    broker = bench.broker()
    mqtt = {"keepalive_s": 30, "backoff_max_s": 2}
    toml = write_toml(
        bench.directory, bench.certificates.device, broker.port, bench.protocol, mqtt=mqtt
    )
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "run", "--config", str(toml)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            broker.wait(wire.SUBSCRIBE, timeout_s=30)
            _flood(broker.peers[0], 1000, LARGE)
            broker.wait(wire.PUBACK, 1000, timeout_s=60)
            broker.peers[0].reading.clear()
            thread = threading.Thread(
                target=_flood, args=(broker.peers[0], 400_000, b""), daemon=True
            )
            thread.start()
            thread.join(8)
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.kill()
    (peak_kib,) = (int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)
    assert peak_kib < PEAK_KIB, peak_kib
