"""Sensors: one file a driver, and one guarded face over each of them."""

from agent.sensors.plausibility import Plausibility
from agent.sensors.registry import BUILT_IN, needs, open_sensor, options_of
from agent.sensors.sensor import Detections, Detector, Driver, Sensor

__all__ = [
    "BUILT_IN",
    "Detections",
    "Detector",
    "Driver",
    "Plausibility",
    "Sensor",
    "needs",
    "open_sensor",
    "options_of",
]
