"""AWS Device Advisor's cases, by its names and criteria ("Device Advisor test cases")."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import time
from typing import TYPE_CHECKING

from agent.provisioning.cloud import Caller
from agent.provisioning.policy import policy_document
from tests.link import wire
from tests.link.bench import NotApplicableError, case
from tests.link.device import THING, TOPIC
from tests.timing import allowed_s

if TYPE_CHECKING:
    from tests.link.bench import Bench
    from tests.link.broker import Broker, Peer
    from tests.link.device import Device
    from tests.link.wire import Packet

#: ECDHE with AES-GCM, and the three of TLS 1.3: all that AWS IoT lists and recommends.
AWS_SUITES = {0xC02B, 0xC02C, 0xC02F, 0xC030, 0x1301, 0x1302, 0x1303}
SIGNALS = {0x00FF}  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV is no suite

#: How late a busy machine may be.
SLACK_S = 4.0

#: Device Advisor's largest payload.
LARGE = bytes(range(256)) * 512


@case("TLS 1.2", mirrors="TLS_Connect")
def _tls_1_2(bench: Bench) -> None:
    broker = bench.broker(bench.certificates.context(version=ssl.TLSVersion.TLSv1_2))
    bench.device(broker.port).wait_online()


@case("TLS 1.3", mirrors="TLS_Connect")
def _tls_1_3(bench: Bench) -> None:
    broker = bench.broker(bench.certificates.context(version=ssl.TLSVersion.TLSv1_3))
    bench.device(broker.port).wait_online()


@case("payload of 128 KiB", mirrors="TLS_Receive_Maximum_Size_Fragments")
def _large_payload(bench: Bench) -> None:
    broker, device = bench.online()
    broker.peers[0].send(wire.publish(TOPIC, LARGE, five=bench.five, mid=77))
    broker.until(lambda: 77 in [one.mid for one in broker.seen(wire.PUBACK, link=1)])
    device.wait(lambda: device.fact("ignored") == 1)


@case("AWS's cipher suites alone", mirrors="TLS_Support_AWS_IoT_Cipher_Suites")
def _suites(bench: Bench) -> None:
    broker, _ = bench.online()
    hello = broker.peers[0].hello
    assert hello
    assert set(hello.suites) - SIGNALS <= AWS_SUITES, hello
    assert {0xC02B, 0xC02F} <= set(hello.suites)
    assert (hello.server_name, hello.alpn) == ("localhost", ())


@case("long certificate chain", mirrors="TLS_Large_Size_Server_Cert")
def _large_certificate(bench: Bench) -> None:
    broker = bench.broker(bench.certificates.context(large=True))
    bench.device(broker.port).wait_online()


def _refuses_tls(bench: Bench, context: ssl.SSLContext, text: str, alert: str) -> None:
    broker = bench.broker(context)
    device = bench.device(broker.port)
    device.wait_condition("offline", text)
    broker.until(lambda: bool(broker.ended))
    assert alert in broker.peers[0].trouble, broker.peers[0].trouble
    assert broker.secured == 0


@case("untrusted issuer", mirrors="TLS_Unsecure_Server_Cert")
def _untrusted(bench: Bench) -> None:
    context = bench.certificates.context(issuer="another")
    _refuses_tls(bench, context, "unable to get local issuer certificate", "ALERT_UNKNOWN_CA")


@case("another host's certificate", mirrors="TLS_Incorrect_Subject_Name_Server_Cert")
def _other_name(bench: Bench) -> None:
    context = bench.certificates.context(hosts=("example.com",))
    _refuses_tls(bench, context, "Hostname mismatch", "ALERT_BAD_CERTIFICATE")


@case("expired certificate, alert sent", mirrors="TLS_Expired_Server_Cert")
def _expired(bench: Bench) -> None:
    context = bench.certificates.context(begins=dt.timedelta(-9), ends=dt.timedelta(-2))
    _refuses_tls(bench, context, "certificate has expired", "ALERT_CERTIFICATE_EXPIRED")


@case("CONNECT", mirrors="MQTT_Connect")
def _connect(bench: Bench) -> None:
    broker, _ = bench.online()
    (connect,) = broker.seen(wire.CONNECT)
    assert (connect.client_id, connect.keepalive_s, connect.clean) == (THING, 60, False)
    assert (connect.five, connect.will_topic) == (bench.five, f"{THING}/status")


@case("SUBSCRIBE", mirrors="MQTT_Subscribe")
def _subscribe(bench: Bench) -> None:
    broker, _ = bench.online()
    assert [one.filters for one in broker.seen(wire.SUBSCRIBE)] == [(TOPIC,)]


@case("PUBLISH", mirrors="MQTT_Publish")
def _publish(bench: Bench) -> None:
    broker, device = bench.online()
    (record,) = device.count()
    (published,) = broker.wait(wire.PUBLISH, topic="/count")
    assert json.loads(published.payload)["seq"] == record.seq
    device.wait_empty()


@case("PUBACK to the cloud", mirrors="MQTT_Client_Puback_QoS1")
def _client_puback(bench: Bench) -> None:
    broker, device = bench.online()
    command = b'{"set": 41, "id": "x"}'
    broker.peers[0].send(wire.publish(TOPIC, command, five=bench.five, mid=5))
    broker.wait(wire.PUBACK)
    assert device.store.total == 41  # committed before that


def _withhold_connack(broker: Broker, *, let_in: set[int]) -> None:
    def answer(peer: Peer, packet: Packet) -> None:
        if peer.number in let_in:
            broker.accept(peer, packet)
            peer.close()

    broker.on[wire.CONNECT] = answer


def _check_waits(broker: Broker, device: Device, count: int, *, cap_s: float) -> None:
    """Each wait is as drawn, under a cap that doubles, whatever ended the connection before."""
    connects = broker.wait(wire.CONNECT, count, timeout_s=150)
    waits = device.waits[: count - 1]
    assert [cap for cap, _ in waits] == [min(cap_s, 2.0 ** (n + 1)) for n in range(count - 1)]
    assert len({drawn for _, drawn in waits}) == count - 1
    for (_, drawn), before, after in zip(waits, connects, connects[1:], strict=False):
        waited_s = after.time_s - broker.ended[before.link]
        least_s = max(1.1, drawn)
        assert least_s - 0.5 <= waited_s <= least_s + SLACK_S, (before.link, drawn, waited_s)
        assert after.time_s - before.time_s >= 1.1 - 0.3


@case(
    "no CONNACK 5 times, twice over: jitter",
    mirrors="MQTT_Connect_Jitter_Backoff_Retries",
    long=True,
)
def _jitter(bench: Bench) -> None:
    broker = bench.broker()
    _withhold_connack(broker, let_in={6, 12})
    device = bench.device(broker.port, connect_timeout_s=1, backoff_max_s=4)
    _check_waits(broker, device, 12, cap_s=4.0)


@case(
    "no CONNACK 5 times: exponential",
    mirrors="MQTT_Connect_Exponential_Backoff_Retries",
    long=True,
)
def _exponential(bench: Bench) -> None:
    broker = bench.broker()
    _withhold_connack(broker, let_in={6})
    device = bench.device(broker.port, connect_timeout_s=1, backoff_max_s=16)
    _check_waits(broker, device, 6, cap_s=16.0)


@case(
    "server disconnects 5 times, then no CONNACK",
    mirrors="MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect",
    long=True,
)
def _server_disconnects(bench: Bench) -> None:
    broker = bench.broker()

    def answer(peer: Peer, packet: Packet) -> None:
        if peer.number <= 5:
            broker.accept(peer, packet)
            if bench.five:
                peer.send(wire.disconnect(0x8B))
            peer.close()

    broker.on[wire.CONNECT] = answer
    device = bench.device(broker.port, connect_timeout_s=1, backoff_max_s=8)
    _check_waits(broker, device, 7, cap_s=8.0)


@case(
    "short sessions do not reset the backoff",
    mirrors="MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection",
    long=True,
)
def _unstable(bench: Bench) -> None:
    broker = bench.broker()

    def answer(peer: Peer, packet: Packet) -> None:
        broker.accept(peer, packet)
        time.sleep(0.2)
        peer.close()

    broker.on[wire.CONNECT] = answer
    device = bench.device(broker.port, connect_timeout_s=1, backoff_max_s=16)
    _check_waits(broker, device, 6, cap_s=16.0)


FORBIDDEN = "[MQTT-4.4.0-1] forbids it on a live connection; a new one after 20 s"


@case("no PUBACK: sent again", mirrors="MQTT_Publish_Retry_No_Puback", long=True)
def _publish_again(bench: Bench) -> None:
    if bench.five:
        raise NotApplicableError(FORBIDDEN)
    broker, device = bench.online()

    def answer(peer: Peer, packet: Packet) -> None:
        if packet.dup:
            broker.acknowledge(peer, packet)

    broker.on[wire.PUBLISH] = answer
    device.count()
    first, again = broker.wait(wire.PUBLISH, 2, topic="/count")
    assert (first.dup, again.dup, again.link) == (False, True, 1)
    assert (first.mid, first.payload) == (again.mid, again.payload)
    assert 9 < again.time_s - first.time_s < allowed_s(15)
    device.wait_empty()
    assert len(broker.peers) == 1


@case("no SUBACK: sent again", mirrors="MQTT_Subscribe_Retry_No_Suback", long=True)
def _subscribe_again(bench: Bench) -> None:
    if bench.five:
        raise NotApplicableError(FORBIDDEN)
    broker = bench.broker()

    def answer(peer: Peer, packet: Packet) -> None:
        if len(broker.seen(wire.SUBSCRIBE)) > 1:
            broker.grant(peer, packet)

    broker.on[wire.SUBSCRIBE] = answer
    bench.device(broker.port)
    first, again = broker.wait(wire.SUBSCRIBE, 2)
    assert (first.mid, first.filters, again.link) == (again.mid, again.filters, 1)
    assert 9 < again.time_s - first.time_s < allowed_s(15)
    time.sleep(11)
    assert len(broker.peers) == 1


@case("no PINGRESP, no acknowledgement", mirrors="MQTT_No_Ack_PingResp", long=True)
def _no_pingresp(bench: Bench) -> None:
    broker = bench.broker()
    for kind in (wire.PUBLISH, wire.SUBSCRIBE, wire.PINGREQ):
        broker.on.pop(kind)
    device = bench.device(broker.port, keepalive_s=5)
    device.wait_online()
    device.wait_condition("offline", "did not answer a ping")
    last = broker.seen(wire.SUBSCRIBE, link=1)[-1]
    broker.until(lambda: 1 in broker.ended)
    assert broker.ended[1] - last.time_s <= allowed_s(1.5 * 5 + SLACK_S)
    broker.wait(wire.CONNECT, 2)


@case("session present: no SUBSCRIBE", mirrors="MQTT_Persistent_Session_Happy_Case")
def _persistent(bench: Bench) -> None:
    broker, _ = bench.online()

    def resume(peer: Peer, packet: Packet) -> None:
        broker.accept(peer, packet)
        peer.send(wire.publish(TOPIC, b"7", five=bench.five, mid=9))

    broker.on[wire.CONNECT] = resume
    broker.peers[0].close()
    broker.wait(wire.PUBACK, link=2)
    broker.wait(wire.PUBLISH, link=2, topic="/status")
    time.sleep(1)
    assert broker.seen(wire.SUBSCRIBE, link=2) == []


@case("session expired: SUBSCRIBE", mirrors="MQTT_Expired_Persistent_Session")
def _expired_session(bench: Bench) -> None:
    broker, _ = bench.online()
    broker.sessions.clear()
    broker.peers[0].close()
    broker.wait(wire.SUBSCRIBE, link=2)


@case("random drops, nothing lost", mirrors="MQTT_Long_Duration", long=True)
def _long_duration(bench: Bench) -> None:
    broker, device = bench.online()
    for moment_s in (0.3, 0.0, 1.7, 0.6):
        device.count(20)
        time.sleep(moment_s)
        broker.peers[-1].close()
        broker.wait(wire.CONNECT, len(broker.peers) + 1)
    device.wait_empty(timeout_s=30)
    arrived = {json.loads(one.payload)["seq"] for one in broker.seen(wire.PUBLISH, topic="/count")}
    assert arrived == set(range(1, 81))


@case("policy without wildcards", mirrors="Security_Device_Policies")
def _policies(_: Bench) -> None:
    caller = Caller("123456789012", "aws", "ap-northeast-1", "arn:aws:iam::123456789012:user/x")
    statements = policy_document(caller)["Statement"]
    assert isinstance(statements, list)
    for statement in statements:
        assert isinstance(statement, dict)
        assert "*" not in str(statement["Action"])
        assert "${iot:Connection.Thing.ThingName}" in str(statement["Resource"])


def _unused(bench: Bench) -> None:
    raise NotApplicableError(f"not used by this agent over MQTT {bench.protocol}")


case("shadow: reported state", mirrors="Shadow_Publish_Reported_State")(_unused)
case("shadow: desired state", mirrors="Shadow_Update_Reported_State")(_unused)
case("jobs", mirrors="Job_Execution")(_unused)
