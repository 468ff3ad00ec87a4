"""A motion sensor's pin by gpiozero and lgpio: HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE.

MODE is the class that waits, the pin's number, and "connected" where paho holds a connection
beside it, as the tutorial's script does. A line is written for each activation.
"""

import os
import sys
import tempfile
import threading
from pathlib import Path

import paho.mqtt.client as mqtt

# lgpio makes a FIFO in the current directory when it is loaded.
os.chdir(tempfile.mkdtemp(dir=Path(sys.argv[3]).parent))

from gpiozero import DigitalInputDevice, MotionSensor  # type: ignore[import-not-found]  # noqa: E402
from gpiozero.pins.lgpio import LGPIOFactory  # type: ignore[import-not-found]  # noqa: E402

WAITERS = {"MotionSensor": MotionSensor, "DigitalInputDevice": DigitalInputDevice}


class Factory(LGPIOFactory):  # type: ignore[misc]
    """lgpio's pins on what calls itself no Raspberry Pi."""

    def _get_revision(self) -> int:
        return 0xA02082  # a Raspberry Pi 3


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, mode: str) -> None:
    """Wait for activations."""
    waiter, pin, *connected = mode.split()
    device = WAITERS[waiter](int(pin), pin_factory=Factory())
    device.when_activated = lambda: print("active", flush=True)
    if connected:
        client = mqtt.Client(client_id=name)
        client.tls_set(ca, certificate, key)
        client.connect(host, int(port), keepalive=60)
        client.loop_start()
    print("waits", flush=True)
    threading.Event().wait()


main(*sys.argv[1:])
