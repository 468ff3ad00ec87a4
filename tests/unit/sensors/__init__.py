"""Tests of `agent/sensors/`."""
