"""Conditions: the whole list of what can be wrong, declared once, with severity and hint.

Whoever meets a trouble reports one of these to `Health`; there is no other way to tell of it.
"""

from __future__ import annotations

import logging

from agent.errors import ANEW
from agent.value import Value

INFO, WARNING, ERROR = "info", "warning", "error"
LEVELS = {INFO: logging.INFO, WARNING: logging.WARNING, ERROR: logging.ERROR}


class Condition(Value):
    """One thing that can be wrong, and what a person does about it unless told better.

    `patience_s` is how long it stays information only; 0 means that `severity` holds at once.
    """

    code: str
    severity: str
    hint: str
    patience_s: float = 0.0


CONFIG_WARNING = Condition("config-warning", WARNING, "run `sudo pi-iot-agent check`")
CONFIG_CHANGED = Condition(
    "config-changed", INFO, "`sudo systemctl restart pi-iot-agent` has the agent use the new one"
)
CLOCK_UNSET = Condition(
    "clock-unset",
    WARNING,
    "the clock is set from the network: check that NTP (UDP port 123) is not blocked",
    patience_s=300.0,
)
UNPROVISIONED = Condition(
    "unprovisioned", WARNING, "registration with AWS goes on by itself", patience_s=300.0
)
NO_AWS_CREDENTIALS = Condition(
    "no-aws-credentials",
    ERROR,
    "run `sudo pi-iot-agent setup`, or write an AWS key to the credentials file",
)
PROVISIONING_FAILING = Condition(
    "provisioning-failing", WARNING, "it is tried again; check that the network reaches AWS"
)
PROVISIONING_REFUSED = Condition(
    "provisioning-refused", ERROR, "grant what is missing; it is tried again every 5 minutes"
)
#: Those that a registration ends in.
PROVISIONING = (PROVISIONING_FAILING, PROVISIONING_REFUSED, NO_AWS_CREDENTIALS)

CREDENTIALS_INVALID = Condition(
    "credentials-invalid",
    ERROR,
    f"unless somebody has shut this device out at AWS on purpose, {ANEW}",
)
CA_FILE_INVALID = Condition(
    "ca-file-invalid", ERROR, "see ca_file of [mqtt]: registering anew does not mend it"
)
IDENTITY_COPIED = Condition(
    "identity-copied",
    WARNING,
    "give one of the two another [thing] name; if this board took the place of the other for good, "
    "run `sudo pi-iot-agent provision --take-over` with an AWS key here",
)
LEFTOVER_CERTIFICATE = Condition(
    "leftover-certificate",
    WARNING,
    "it can still connect: an AWS key that may remove it does, by `sudo pi-iot-agent setup`",
)
REPLACED_CERTIFICATE = Condition(
    "replaced-certificate", INFO, "nobody can connect with it: delete it at AWS when you like"
)
CERTIFICATE_EXPIRING = Condition(
    "certificate-expiring",
    WARNING,
    "run `sudo pi-iot-agent rotate`, which asks for an AWS key if it needs one",
)
OFFLINE = Condition(
    "offline",
    WARNING,
    "readings are kept and sent later; check the router if this lasts",
    patience_s=300.0,
)
NOT_AUTHORIZED = Condition(
    "not-authorized",
    WARNING,
    "a new policy takes some minutes; if it lasts, and nobody has shut this device out at AWS on "
    f"purpose, {ANEW}",
)
TAKEN_OVER = Condition(
    "taken-over", WARNING, "another device connects with this name: give each its own [thing] name"
)
NOT_SUBSCRIBED = Condition(
    "not-subscribed", WARNING, "the policy must allow iot:Subscribe on <thing>/count"
)
NOT_CONFIRMED = Condition(
    "not-confirmed", WARNING, "the policy must allow iot:Receive on <thing>/count"
)
STORE_RESET = Condition(
    "store-reset", WARNING, "the old file lies beside the new one; check the card"
)
STORE_MEMORY_ONLY = Condition("store-memory-only", ERROR, "the card may be full or dying")
DISK_FULL = Condition("disk-full", ERROR, "free some space on the card")
STORE_FULL = Condition("store-full", WARNING, "raise [store] max_rows, max_mib or max_age_days")
RECORDS_DROPPED = Condition("records-dropped", WARNING, "raise the bounds in [store]")
RECORD_REFUSED = Condition("record-refused", WARNING, "see `sudo pi-iot-agent queue --dead`")
MODE_SET = Condition("mode-set", INFO, "`sudo pi-iot-agent mode off` ends it sooner")
SOS_WAITING = Condition(
    "sos-waiting", ERROR, "call by telephone, or go and see; it is sent as soon as it can be"
)
SENSOR_FAILING = Condition("sensor-failing", WARNING, "check the wiring and its [[sensors]] entry")
QUANTITY_MISSING = Condition(
    "quantity-missing", INFO, "check the sensor, or leave it: what else it measures is sent"
)
SENSOR_SUSPECT = Condition(
    "sensor-suspect",
    WARNING,
    "look at its wiring and what stands before it; active_max_s, max_per_min say what is believed",
)
RULE_ACTIVE = Condition(
    "rule-active", INFO, "it ends by itself; its [[rules]] entry says when it begins and ends"
)
COMMAND_FAILING = Condition(
    "command-failing", WARNING, "check the command in its [[rules]] entry, and run it by hand"
)
UPDATES_FAILING = Condition(
    "updates-failing", WARNING, "run `sudo pi-iot-agent updates`, which looks for them now"
)
ROLLED_BACK = Condition(
    "rolled-back",
    WARNING,
    "the next version is installed as it comes; whoever made this one wants to know the reason",
)
