"""Conditions are declared once, each with a code of its own."""

from __future__ import annotations

from agent.health import conditions
from agent.health.conditions import Condition


def test_every_code_is_declared_once() -> None:
    """The table of conditions names each code of the contract, and each one once."""
    declared = [one.code for one in vars(conditions).values() if isinstance(one, Condition)]

    assert len(declared) == len(set(declared))
    assert set(declared) == {
        *[
            "config-warning",
            "clock-unset",
            "unprovisioned",
            "no-aws-credentials",
            "provisioning-failing",
        ],
        *[
            "provisioning-refused",
            "credentials-invalid",
            "certificate-expiring",
            "offline",
        ],
        *["not-authorized", "taken-over", "not-subscribed", "not-confirmed", "store-reset"],
        *["store-memory-only", "disk-full", "store-full", "records-dropped", "record-refused"],
        *["sensor-failing", "sensor-suspect", "config-changed", "leftover-certificate"],
        *["ca-file-invalid", "identity-copied", "quantity-missing", "replaced-certificate"],
        *["mode-set", "sos-waiting", "rule-active", "command-failing"],
        *["updates-failing", "rolled-back"],
    }
