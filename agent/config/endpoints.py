"""Endpoints of AWS IoT: names that are no broker of a device's, and what to type instead.

By the forms of "AWS IoT Core - data plane endpoints" and "AWS IoT device data and service
endpoints"; those of China have `.ats.` where all others have `-ats.`.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config.settings import Mqtt

_OF_AWS = (
    r"(?:(?P<first>[\w.-]+)\.)?iot\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(?:\.cn)?)"
)
_CONSOLE = r"([\w.-]+\.)?(console\.aws\.amazon\.com|console\.amazonaws(-us-gov)?\.\w+)"
_WITHOUT_REGION = r"[\w-]+\.iot\.amazonaws\.com(\.cn)?"
_ANY = "your own is such as abc123-ats.iot.us-east-1.amazonaws.com: `aws iot describe-endpoint"
_OWN = f"{_ANY} --endpoint-type iot:Data-ATS` tells it"

#: Names of AWS IoT that are for something else, by what stands before `iot`.
_OTHERS = [
    (r"", "is where AWS IoT is set up, not where devices connect"),
    (r"data(-ats)?", "is that of no account"),
    (r"([\w-]+\.)?credentials", "gives out AWS keys, and takes no MQTT"),
    (r"([\w-]+\.)?jobs", "is for jobs by HTTPS, and takes no MQTT"),
]


def region_of(host: str) -> str:
    """The region in the name of an endpoint of AWS IoT; "" for any other name."""
    found = re.fullmatch(_OF_AWS, host.lower().rstrip("."))
    return found["region"] if found else ""


def endpoint_problem(mqtt: Mqtt, host: str = "") -> str:
    """The problem with `host`, by default the configured one, as a device's endpoint; or "".

    The old one is none where the owner names the roots to trust.
    """
    host = host or mqtt.endpoint
    plain = host.lower().rstrip(".")
    if re.fullmatch(_CONSOLE, plain):
        return f"{host} is a web page of AWS; {_OWN}"
    if re.fullmatch(_WITHOUT_REGION, plain):
        return f"{host} lacks its region; {_OWN}"
    if not (found := re.fullmatch(_OF_AWS, plain)):
        return ""
    first = found["first"] or ""
    for form, what in _OTHERS:
        if re.fullmatch(form, first):
            return f"{host} {what}; {_OWN}"
    if "." in first or first.endswith("-ats") or mqtt.ca_file:
        return ""
    infix = ".ats" if found["domain"].endswith(".cn") else "-ats"
    return (
        f"{host} is the old endpoint, whose certificate is not of Amazon's roots; put {infix} "
        f"behind the first label: {first}{infix}.iot.{found['region']}.{found['domain']}"
    )


def warnings(mqtt: Mqtt) -> list[str]:
    """Warnings of the configured endpoint, which begin with the key."""
    problem = endpoint_problem(mqtt) if mqtt.endpoint else ""
    return [f"mqtt.endpoint: {problem}"] if problem else []
