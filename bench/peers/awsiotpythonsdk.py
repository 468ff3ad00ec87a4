"""AWS's older AWSIoTPythonSDK: HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE."""

import sys
import threading
import time
from contextlib import suppress

from AWSIoTPythonSDK.exception.AWSIoTExceptions import (  # type: ignore[import-not-found]
    publishError,
)
from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTClient  # type: ignore[import-not-found]
from payloads import keepalive_s, payloads  # type: ignore[import-not-found]

WINDOW = 100


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Connect, publish what the mode says, and stay."""
    client = AWSIoTMQTTClient(name)
    client.configureEndpoint(host, int(port))
    client.configureCredentials(ca, key, certificate)
    client.configureConnectDisconnectTimeout(10)
    client.connect(keepalive_s(mode))
    window = threading.Semaphore(WINDOW)

    def acknowledged(mid: int) -> None:  # noqa: ARG001 -- which it names
        window.release()

    for payload in payloads(mode):
        window.acquire()
        with suppress(publishError):  # at first, when the connection is lost
            client.publishAsync(f"{name}/sensors/room", payload, 1, ackCallback=acknowledged)
    time.sleep(1e6)


main(*sys.argv[1:])
