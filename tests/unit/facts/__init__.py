"""Tests of `agent/facts/`."""
