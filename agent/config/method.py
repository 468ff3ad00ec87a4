"""Method of the registration: which keys go with it, and which do nothing."""

from __future__ import annotations

from agent.config.key_uri import KeyUri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.settings import Config
    from agent.config.tables import Tables

#: Keys of [provisioning] that do nothing, by its method, and why.
IDLE = {
    "claim": (
        ("policy", "thing_type", "thing_groups", "attributes"),
        "the template at AWS decides of that",
    ),
    "csr": (
        ("template", "claim_cert_file", "claim_key_file", "erase_claim", "parameters"),
        'they are for method = "claim"',
    ),
}
IDLE["keys"] = IDLE["csr"]


def problems(tables: Tables, config: Config) -> Iterator[str]:
    """Where [mqtt] lacks what [provisioning] needs, or has what it cannot use."""
    method, mqtt = config.provisioning.method, config.mqtt
    by_claim = tables.given("provisioning", "method") == "claim"  # whatever is wrong besides
    if by_claim and tables.given("mqtt", "endpoint") in (None, ""):
        yield 'mqtt.endpoint: is missing; with [provisioning] method = "claim" none tells it'
    if method != "csr" and isinstance(mqtt.key_file, KeyUri) and not mqtt.cert_file:
        problem = 'a key in hardware goes with cert_file, or with [provisioning] method = "csr"'
        yield f"mqtt.key_file: {problem}"


def warnings(tables: Tables, config: Config) -> Iterator[str]:
    """The keys of [provisioning] that are given and do nothing."""
    method = config.provisioning.method
    keys, why = IDLE[method]
    idle = [key for key in keys if tables.given("provisioning", key)]
    if idle:
        told = f'{", ".join(idle)} {"do" if idle[1:] else "does"} nothing with method = "{method}"'
        yield f"provisioning: {told}: {why}"
    if method == "keys" and tables.given("provisioning", "key_type"):
        yield 'provisioning.key_type: does nothing with method = "keys": AWS makes the key'
