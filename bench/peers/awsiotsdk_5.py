"""AWS's awsiotsdk with MQTT 5: HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE."""

import sys
import threading
import time

from awscrt import mqtt5  # type: ignore[import-not-found]
from awsiot import mqtt5_client_builder  # type: ignore[import-not-found]
from payloads import keepalive_s, payloads  # type: ignore[import-not-found]

WINDOW = 100


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Connect, publish what the mode says, and stay."""
    online = threading.Event()
    client = mqtt5_client_builder.mtls_from_path(
        endpoint=host,
        port=int(port),
        ca_filepath=ca,
        cert_filepath=certificate,
        pri_key_filepath=key,
        client_id=name,
        keep_alive_interval_sec=keepalive_s(mode),
        on_lifecycle_connection_success=lambda _: online.set(),
        # Else it holds itself to AWS's 100 messages a second.
        extended_validation_and_flow_control_options=(
            mqtt5.ExtendedValidationAndFlowControlOptions.NONE
        ),
    )
    client.start()
    online.wait()
    topic = f"{name}/sensors/room"
    window = threading.Semaphore(WINDOW)
    for payload in payloads(mode):
        window.acquire()
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        client.publish(packet).add_done_callback(lambda _: window.release())
    time.sleep(1e6)


main(*sys.argv[1:])
