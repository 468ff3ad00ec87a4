"""Tests of `agent/sampling/`."""
