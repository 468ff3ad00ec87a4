"""Tests of `agent/uplink/`."""
