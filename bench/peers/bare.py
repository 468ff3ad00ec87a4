"""Bare paho with a window and its own loop: HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE."""

import select
import sys
import time

import paho.mqtt.client as mqtt

WINDOW = 100
BURST_S = 0.05
PAYLOAD = b"x" * 200


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Connect, publish what the mode says, and go on."""
    if hasattr(mqtt, "CallbackAPIVersion"):  # paho 2
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    else:
        client = mqtt.Client(client_id=name)
    client.max_inflight_messages_set(0)
    client.tls_set(ca, certificate, key)
    online, acknowledged = [], [0]
    client.on_connect = lambda *_: online.append(True)

    def count(*_: object) -> None:
        acknowledged[0] += 1

    client.on_publish = count
    client.connect(host, int(port), keepalive=60)
    _, total, limit = (mode + " 1 0").split()[:3] if mode != "sit" else ("", "1", "0")
    rest, per_s = int(total), int(limit)
    topic = f"{name}/sensors/room"
    sent, free, filled_s = 0, 0.0, time.monotonic()
    while True:
        wait_s = 30.0
        if online and rest:
            if per_s:
                now_s = time.monotonic()
                free += min(now_s - filled_s, 1.0) * per_s
                filled_s = now_s
            while rest and sent - acknowledged[0] < WINDOW and (not per_s or free > 0):
                client.publish(topic, PAYLOAD, qos=1)
                sent, rest, free = sent + 1, rest - 1, free - 1
            if per_s and free <= 0:
                wait_s = BURST_S
        writing = [client.socket()] if client.want_write() else []
        ready, writable, _ = select.select([client.socket()], writing, [], wait_s)
        if ready:
            client.loop_read()
        if writable:
            client.loop_write()
        client.loop_misc()


main(*sys.argv[1:])
