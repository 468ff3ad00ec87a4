"""`provision`: registers this device with AWS, or mends what is wrong with its registration."""

from __future__ import annotations

import json
import os
from pathlib import Path

from agent import board
from agent.cli.check import check_files
from agent.cli.main import COMMANDS, settings
from agent.cli.questions import UsageError
from agent.cli.registration import register
from agent.config import KeyUri
from agent.errors import EXIT_OK, RefusedError
from agent.identity import CLAIM, claim_warnings
from agent.provisioning.policy import policy_document, policy_name
from agent.provisioning.registration import MADE_BY_AWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent.cli.main import Subparsers
    from agent.config import Config, Provisioning


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "provision", help=COMMANDS["provision"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    for flag, text in (
        ("--take-over", "take a name that another device has registered"),
        ("--reactivate", "let a device in again whose certificate was deactivated or revoked"),
        ("--reset-policy", "have the policy say what it should, where somebody has changed it"),
    ):
        parser.add_argument(flag, action="store_true", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Provision, prove it by connecting, and remove what has been replaced. Raises AgentError."""
    config = settings(arguments)
    if config.mqtt.cert_file:
        check_files(config)
        print("[mqtt] cert_file is set: there is nothing to provision")
    elif config.provisioning.method == CLAIM and (arguments.take_over or arguments.reset_policy):
        raise UsageError(
            "with a claim it is the template at AWS that decides of name and policy",
            hint="--reactivate has it make a new certificate",
        )
    elif arguments.dry_run:
        print(plan_of_a_claim(config) if config.provisioning.method == CLAIM else plan(config))
    else:
        register(
            config,
            take_over=arguments.take_over,
            reactivate=arguments.reactivate,
            reset_policy=arguments.reset_policy,
        )
    return EXIT_OK


def plan(config: Config) -> str:
    """The plan of provisioning, as far as it is known without asking AWS."""
    from agent.provisioning.cloud import Caller, Cloud, partition_of  # noqa: PLC0415 -- boto3

    thing, region, about = config.thing.name, config.aws.region, config.provisioning
    partition = partition_of(region) or "<partition>"
    document = policy_document(Caller("<account>", partition, region or "<region>", ""))
    key = str(about.credentials_file)
    try:
        Cloud(config).close()
    except RefusedError as error:
        key = error.text
    rows = {
        "AWS key": f"{key} (AWS has not been asked)",
        "region": region or "the AWS key's",
        "thing": f"{thing}, with the serial number {board.serial() or 'of no board'}",
        **_chosen(about),
        "policy": f"{about.policy}, which stays as it is" if about.policy else policy_name(thing),
        "certificate": f"kept if it is sound and known to AWS, else made anew, {_whose(config)}",
        "attach": "policy and thing to the certificate; then activate it",
        "files": Path(config.paths.certs) / thing,
        "afterwards": "connect, and remove the thing's other certificates",
    }
    if about.policy:
        return _lines(rows)
    return "\n".join([_lines(rows), f"{policy_name(thing)}:", json.dumps(document, indent=2)])


def _chosen(about: Provisioning) -> dict[str, str]:
    """Type, groups and attributes of the thing, as far as somebody has chosen them."""
    attributes = (f"{name} = {value}" for name, value in (about.attributes or {}).items())
    rows = {
        "thing type": about.thing_type,
        "groups": ", ".join(about.thing_groups),
        "attributes": ", ".join(attributes),
    }
    return {name: value for name, value in rows.items() if value}


def plan_of_a_claim(config: Config) -> str:
    """The plan of provisioning by claim; AWS is not asked, and would not tell."""
    provisioning = config.provisioning
    parameters = {"SerialNumber": board.serial() or "(no board tells)"}
    parameters.update(provisioning.parameters or {})
    there = os.path.lexists(provisioning.claim_cert_file or "")
    erases = there and provisioning.erase_claim
    wrong = "".join(f"; {warning}" for warning in claim_warnings(config))
    gone = "" if there or wrong else ", which is not there any more"
    return _lines(
        {
            "claim": f"{provisioning.claim_cert_file}, at {config.mqtt.endpoint}{gone}{wrong}",
            "template": provisioning.template,
            "parameters": ", ".join(f"{name} = {value}" for name, value in parameters.items()),
            "thing": f"named by the template; until then {config.thing.name}",
            "certificate": f"kept if it is sound, else made anew, {_whose(config)}",
            "files": Path(config.paths.certs) / "<thing>",
            "afterwards": "connect" + (", and erase the claim that made it" if erases else ""),
        }
    )


def _whose(config: Config) -> str:
    """Whose key a new certificate is for."""
    about, key = config.provisioning, config.mqtt.key_file
    if about.method == "keys" or about.key_type == MADE_BY_AWS:
        return "with a key that AWS makes"
    if isinstance(key, KeyUri):
        return f"for the key {key.name}"
    return f"with a key that is made here, {about.key_type}"


def _lines(rows: Mapping[str, object]) -> str:
    return "\n".join(f"{name + ':':<14}{value}" for name, value in rows.items())
