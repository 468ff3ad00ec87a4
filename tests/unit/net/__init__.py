"""Tests of `agent/net/`."""
