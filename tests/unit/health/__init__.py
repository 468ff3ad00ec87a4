"""Tests of `agent/health/`."""
