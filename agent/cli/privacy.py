"""`privacy`: what leaves the house, to which topic, how often, and how much it is in a month.

The fields are those of payloads that are made here as those are that are sent. Nothing is sent, and
neither network nor registration is needed; the sensors are read once.
"""

from __future__ import annotations

import json
import textwrap

from agent.cli import traffic
from agent.cli.main import COMMANDS, settings
from agent.cli.meanings import meaning
from agent.cli.payloads import payloads
from agent.clock import Clock
from agent.errors import EXIT_OK
from agent.model import COUNT, encode
from agent.sensors import BUILT_IN
from agent.value import asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.cli.main import Subparsers
    from agent.cli.payloads import Payloads
    from agent.cli.traffic import Flow, Month, Span
    from agent.config import Config

WIDTH = 100
CENT = 0.01

#: Characters of an example that a person reads; --json has all.
SHOWN = 600

ASSUMED = (
    f"a month of 30 days without a long outage, {traffic.CONNECTS} connections in it, messages as "
    "large as the examples and each by itself (those that go together take less), TLS 1.3 "
    f"({traffic.RECORD} bytes a record, {traffic.HANDSHAKE} for a handshake), TCP and IPv4 "
    f"({traffic.PACKET} bytes a packet)"
)

#: What AWS is told at the registration, by its method; the thing's part is the same for two.
_THING = (
    "the thing's name, and as its attribute `serial` the board's serial number (where it has none, "
    "the system's machine-id)"
)
_CALLS = (
    "calls of the AWS API signed with the AWS key, whose secret does not travel; they tell the "
    "versions of boto3, Python and Linux"
)
_REQUEST = "a public key, in a request for a certificate"
_NO_KEY = "nothing of a key: AWS makes it, and sends it to the device"
REGISTRATION = {
    "csr": (_THING, _REQUEST, _CALLS),
    "keys": (_THING, _NO_KEY, _CALLS),
    "claim": (
        "the board's serial number and the [provisioning] parameters, for the template",
        "the thing's name as it is here, in the client id",
        "no AWS key: the claim certificate shows who asks",
    ),
    "": ("nothing: you bring the certificate",),
}

#: What else the machine says to the network because of the agent.
ELSEWHERE = (
    "the endpoint's name, to the DNS server",
    "the house's public IP address, the certificate, and the thing's name as client id, to AWS",
    "the system's own questions for the time (NTP), which are not the agent's",
)

ROOTS = (
    "where the system lacks Amazon's root certificates: their download from amazontrust.com, once"
)

NEVER = (
    "the private key, unless AWS has made it",
    (
        "when each detection was, but for the last of a window or before a connection, a day's "
        "first and last, the ends of its longest quiet time, one that ends a rule on quiet, and "
        "each press of an SOS button; else sums of windows and hours are sent"
    ),
    "the host name, unless the thing is called by it; names of networks, other devices",
    (
        "the log, the configuration but for names, and a rule's limit; files, pictures, sounds; "
        "what is not listed above"
    ),
    "anything to the makers of this program: it has no telemetry, and asks for no updates",
)


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "privacy", help=COMMANDS["privacy"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print it. Raises ConfigError."""
    config = settings(arguments)
    found = payloads(config, Clock())
    flows = [traffic.flow(config, one) for one in found]
    month = traffic.month(config, flows)
    if arguments.json:
        print(json.dumps(document(config, found, flows, month), indent=2))
    else:
        print("\n".join(report(config, found, flows, month)))
    return EXIT_OK


def method(config: Config) -> str:
    """The method of the registration; "" with a certificate of the owner's."""
    return "" if config.mqtt.cert_file else config.provisioning.method


def registration(config: Config) -> list[str]:
    """Facts that AWS is told at the registration."""
    about, how = config.provisioning, method(config)
    told = list(REGISTRATION[how])
    if how == "claim":
        told.append(_NO_KEY if about.key_type == "made-by-aws" else _REQUEST)
    elif how:
        own = "a policy of the device's own, which is called by the thing's name"
        told.append(f"policy {about.policy}" if about.policy else own)
        told += [f"attribute {name} = {value}" for name, value in (about.attributes or {}).items()]
        told += [f"thing type {about.thing_type}"] if about.thing_type else []
        told += [f"thing group {name}" for name in about.thing_groups]
    if how:
        told.append("the same once more for each later certificate, such as by a rotation")
    return told


def elsewhere(config: Config) -> list[str]:
    """Facts that the network hears besides."""
    told = [*ELSEWHERE, *([ROOTS] if method(config) else [])]
    own = [one.name for one in config.sensors if one.driver == "exec" or one.driver not in BUILT_IN]
    own += [one.name for one in config.rules if one.command]
    programs = f"what the programs and plug-ins of {', '.join(own)} send by themselves"
    return [*told, programs] if own else told


def document(
    config: Config, found: list[Payloads], flows: list[Flow], month: Month
) -> dict[str, object]:
    """All of it, for programs; sizes in bytes, amounts for a month of 30 days."""
    thing = config.thing.name
    return {
        "thing": thing,
        "topics": [
            {
                "topic": f"{thing}/{one.kind}",
                "when": flow.when,
                "fields": {
                    name: {"meaning": meaning(one.kind, name), "at_times": name in one.at_times}
                    for name in one.fields
                },
                "example": one.example,
                "unknown": one.unknown,
                "messages": numbers(flow.messages),
                "payload_bytes": flow.payload,
                "tls_bytes": flow.tls,
                "metered_messages": flow.metered,
            }
            for one, flow in zip(found, flows, strict=True)
        ],
        "received": f"{thing}/{COUNT}",
        "month": {
            "messages": numbers(month.messages),
            "pings": numbers(month.pings),
            "tls_bytes": numbers(month.tls_bytes),
            "wire_bytes": numbers(month.wire_bytes),
            "metered": numbers(month.metered),
            "minutes": month.minutes,
            "usd": asdict(month.usd),
            "assumed": ASSUMED,
            "price": traffic.PRICE,
            "too_many": traffic.excess(config, month),
        },
        "method": method(config) or "own certificate",
        "registration": registration(config),
        "elsewhere": elsewhere(config),
        "never": NEVER,
    }


def numbers(span: Span) -> dict[str, int]:
    """A span of things that are counted, for JSON."""
    return {"least": round(span.least), "most": round(span.most)}


def report(config: Config, found: list[Payloads], flows: list[Flow], month: Month) -> Iterator[str]:
    """All of it, for people."""
    thing = config.thing.name
    endpoint = config.mqtt.endpoint or "the endpoint that AWS told at the registration"
    yield f"{thing} sends to {endpoint}, over TLS, and to nobody else:"
    for one, flow in zip(found, flows, strict=True):
        yield f"\n{thing}/{one.kind}: {flow.when}"
        yield f"  {_amount(flow.messages)} messages a month, {flow.payload} bytes each, such as"
        text = encode(one.example).decode()
        yield from _wrapped(text if len(text) <= SHOWN else f"{text[:SHOWN]} …", "  ")
        for name in one.fields:
            at_times = " (at times)" if name in one.at_times else ""
            yield f"    {name + at_times:<28} {meaning(one.kind, name)}"
        if one.unknown:
            yield from _wrapped(f"and what else it measures, not known now: {one.unknown}", "    ")
    yield f"\n{thing}/{COUNT} is received: the own counts, as proof, and commands: total, mode"
    yield "\nA month:"
    yield from _wrapped(traffic.excess(config, month), "  ")
    yield f"  {_amount(month.messages)} messages, {_amount(month.pings)} pings"
    yield f"  {_megabytes(month.wire_bytes)} MB in both directions"
    metered = f"{_amount(month.metered)} messages and {month.minutes} minutes of connection"
    yield f"  AWS counts {metered}: about US$ {_dollars(month.usd)}"
    yield from _wrapped(f"Assumed: {ASSUMED}.", "  ")
    yield from _wrapped(f"Price: {traffic.PRICE}.", "  ")
    how = f'method "{method(config)}"' if method(config) else "your own certificate"
    for title, lines in (
        (f"At the registration, {how}, AWS is told:", registration(config)),
        ("Besides, the network hears:", elsewhere(config)),
        ("What never leaves:", NEVER),
    ):
        yield f"\n{title}"
        for line in lines:
            yield from _wrapped(line, "  - ")


def _wrapped(text: str, indent: str) -> list[str]:
    inner = " " * len(indent)
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=inner)


def _amount(span: Span) -> str:
    return _shown(f"{span.least:,.0f}", f"{span.most:,.0f}")


def _megabytes(span: Span) -> str:
    return _shown(f"{span.least / traffic.MILLION:.1f}", f"{span.most / traffic.MILLION:.1f}")


def _dollars(span: Span) -> str:
    if span.most < CENT:
        return "0.01 at most"
    return _shown(f"{span.least:.2f}", f"{span.most:.2f}")


def _shown(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"
