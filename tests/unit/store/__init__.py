"""Tests of `agent/store/`."""
