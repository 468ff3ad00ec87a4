"""Tests of `agent/daemon/`."""
