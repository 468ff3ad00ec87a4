"""What the agent cannot do without, idle: bare paho, and the modules that a durable agent needs.

A SQLite file is open. HOST PORT CA CERTIFICATE KEY CLIENT_ID MODE
"""

import json  # noqa: F401 -- loaded, as the agent has it
import logging
import select
import sqlite3
import sys
import tempfile
from pathlib import Path

import paho.mqtt.client as mqtt
import sdnotify


def main(host: str, port: str, ca: str, certificate: str, key: str, name: str, _mode: str) -> None:
    """Connect, publish once, and wait."""
    logging.basicConfig(level=logging.INFO)
    sdnotify.SystemdNotifier()
    if hasattr(mqtt, "CallbackAPIVersion"):  # paho 2
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    else:
        client = mqtt.Client(client_id=name)
    client.tls_set(ca, certificate, key)
    client.on_connect = lambda *_: client.publish(f"{name}/sensors/room", b"x" * 200, qos=1)
    with tempfile.TemporaryDirectory() as directory:
        db = sqlite3.connect(Path(directory) / "lean.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT)")
        db.execute("INSERT INTO records VALUES (1, 'x')")
        client.connect(host, int(port), keepalive=60)
        while True:
            writing = [client.socket()] if client.want_write() else []
            ready, writable, _ = select.select([client.socket()], writing, [], 30.0)
            if ready:
                client.loop_read()
            if writable:
                client.loop_write()
            client.loop_misc()


main(*sys.argv[1:])
