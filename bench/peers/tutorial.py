"""The tutorial's script: paho with a thread of its own, a count at the end of each window.

HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE
"""

import json
import sys
import time

import paho.mqtt.client as mqtt
from payloads import keepalive_s, payloads  # type: ignore[import-not-found]

WINDOW_S = 600


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Publish a count at once, and then each window, or what another mode than "sit" says.

    The sensor is never heard of.
    """
    if hasattr(mqtt, "CallbackAPIVersion"):  # paho 2
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    else:
        client = mqtt.Client(client_id=name)
    client.tls_set(ca, certificate, key)
    client.connect(host, int(port), keepalive=keepalive_s(mode))
    client.loop_start()
    if mode != "sit":
        for payload in payloads(mode):
            client.publish(f"{name}/sensors/room", payload, qos=1)
        time.sleep(1e6)
    while True:
        body = {"Timestamp": int(time.time()), "detect_count": 0}
        client.publish(f"{name}/count", json.dumps(body), qos=1)
        time.sleep(WINDOW_S)


main(*sys.argv[1:])
