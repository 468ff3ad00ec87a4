"""AWS's awsiotsdk with MQTT 3.1.1: HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE."""

import sys
import threading
import time

from awscrt import mqtt  # type: ignore[import-not-found]
from awsiot import mqtt_connection_builder  # type: ignore[import-not-found]
from payloads import keepalive_s, payloads  # type: ignore[import-not-found]

WINDOW = 100


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Connect, publish what the mode says, and stay."""
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=host,
        port=int(port),
        ca_filepath=ca,
        cert_filepath=certificate,
        pri_key_filepath=key,
        client_id=name,
        keep_alive_secs=keepalive_s(mode),
    )
    connection.connect().result()
    window = threading.Semaphore(WINDOW)
    for payload in payloads(mode):
        window.acquire()
        done, _ = connection.publish(f"{name}/sensors/room", payload, mqtt.QoS.AT_LEAST_ONCE)
        done.add_done_callback(lambda _: window.release())
    time.sleep(1e6)


main(*sys.argv[1:])
