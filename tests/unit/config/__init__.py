"""Tests of `agent/config/`."""
