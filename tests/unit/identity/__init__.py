"""Tests of `agent/identity/`."""
