"""Sensors: one file a driver, and one guarded face over each of them."""

from agent.sensors.plausibility import Plausibility
from agent.sensors.registry import BUILT_IN, needs, open_sensor, options_of, quantities
from agent.sensors.sensor import Detections, Detector, Driver, Measurement, Sensor, lacking

__all__ = [
    "BUILT_IN",
    "Detections",
    "Detector",
    "Driver",
    "Measurement",
    "Plausibility",
    "Sensor",
    "lacking",
    "needs",
    "open_sensor",
    "options_of",
    "quantities",
]
