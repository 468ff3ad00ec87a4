"""AWS's older AWSIoTPythonSDK: HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE."""

import sys
import threading
import time

from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTClient  # type: ignore[import-not-found]

WINDOW = 100
PAYLOAD = "x" * 200


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Connect, publish what the mode says, and stay."""
    client = AWSIoTMQTTClient(name)
    client.configureEndpoint(host, int(port))
    client.configureCredentials(ca, key, certificate)
    client.configureConnectDisconnectTimeout(10)
    client.connect(60)
    window = threading.Semaphore(WINDOW)

    def acknowledged(mid: int) -> None:  # noqa: ARG001 -- which it names
        window.release()

    for _ in range(1 if mode == "sit" else int(mode.split()[1])):
        window.acquire()
        client.publishAsync(f"{name}/sensors/room", PAYLOAD, 1, ackCallback=acknowledged)
    time.sleep(1e6)


main(*sys.argv[1:])
