"""Tests of `agent/provisioning/`."""
