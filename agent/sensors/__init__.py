"""Sensors: one file a driver, and one guarded face over each of them."""

from __future__ import annotations

from agent.sensors.sensor import (
    BUILT_IN,
    Detections,
    Detector,
    Driver,
    Sensor,
    open_sensor,
    options_of,
)

__all__ = [
    "BUILT_IN",
    "Detections",
    "Detector",
    "Driver",
    "Sensor",
    "open_sensor",
    "options_of",
]
