"""Provisioning against the local AWS."""
