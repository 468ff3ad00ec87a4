"""MQTT: one connection, in the only room that knows paho, 1.6 and 2.x, MQTT 5 and 3.1.1."""

from agent.mqtt.answers import BETWEEN_CONNECTS_S
from agent.mqtt.client import Options
from agent.mqtt.connection import Connection
from agent.mqtt.packets import publish_size

__all__ = [
    "BETWEEN_CONNECTS_S",
    "Connection",
    "Options",
    "publish_size",
]
