"""One MQTT connection, the only room that knows paho: 1.6 and 2.x, MQTT 5 and 3.1.1."""
