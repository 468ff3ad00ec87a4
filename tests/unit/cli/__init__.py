"""Tests of `agent/cli/`."""
