"""Tests of `agent/updates/`."""
