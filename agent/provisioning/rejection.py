"""Rejection of a request by fleet provisioning, in words: what is to be done about it.

Told by status and code of the answer ("Device provisioning MQTT API", AWS IoT developer guide): its
message is AWS's own, and said with it.
"""

from __future__ import annotations

from http import HTTPStatus

from agent.errors import CloudError, RefusedError, TransientCloudError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Json

LONGEST_MESSAGE = 200

#: Topics of the requests, without `/json`.
FROM_CSR = "$aws/certificates/create-from-csr"
CREATE = "$aws/certificates/create"
TEMPLATES = "$aws/provisioning-templates/"

TOKEN = "certificateOwnershipToken"  # noqa: S105 -- the name of a field
PARAMETERS = "parameters"

THROTTLING = ("Throttl", "TooManyRequests", "LimitExceededRate")
DENIED = ("AccessDenied", "Unauthorized", "Forbidden")


class TokenEndedError(CloudError):
    """The token of a new certificate is not accepted: it is older than an hour, or used up."""


def topic_of(template: str) -> str:
    """The topic on which a device is registered by `template`, without `/json`."""
    return f"{TEMPLATES}{template}/provision"


def rejected(topic: str, body: Mapping[str, Json], answer: Mapping[str, Json]) -> CloudError:
    """The error for an answer that rejects the request `body` on `topic`.

    Raises ValueError for one that has neither status nor code, and is none.
    """
    status, code = answer.get("statusCode"), str(answer.get("errorCode") or "")
    if not isinstance(status, int) and not code:
        raise ValueError("a rejection without statusCode and errorCode")
    status = status if isinstance(status, int) else 0
    message = " ".join(str(answer.get("errorMessage") or "").split())[:LONGEST_MESSAGE]
    told = ": ".join(filter(None, (code or str(status), message)))
    if status == HTTPStatus.TOO_MANY_REQUESTS or code.startswith(THROTTLING):
        return TransientCloudError(f"AWS is asked too often ({told})")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientCloudError(f"AWS could not do it ({told})")
    if topic.startswith(TEMPLATES):
        return _not_registered(topic, body, status, code, told)
    if code.startswith(DENIED) or status == HTTPStatus.FORBIDDEN:
        return RefusedError(
            f"AWS makes no certificate for this claim ({told})",
            hint=f"the policy of the claim certificate must allow {topic}/json",
        )
    return RefusedError(
        f"AWS makes no certificate ({told})",
        hint="the account may have as many as it may; if AWS does not accept the signing request,"
        " set another [provisioning] key_type",
    )


def _not_registered(
    topic: str, body: Mapping[str, Json], status: int, code: str, told: str
) -> CloudError:
    template = topic.removeprefix(TEMPLATES).partition("/")[0]
    if "OwnershipToken" in code or (TOKEN in told and status == HTTPStatus.BAD_REQUEST):
        return TokenEndedError(f"the certificate was made too long ago ({told})")
    parameters = body.get(PARAMETERS)
    names = ", ".join(sorted(parameters)) if isinstance(parameters, dict) else ""
    sent = f"sent were: {names or 'none'}"
    if status == HTTPStatus.NOT_FOUND or "NotFound" in code:
        return RefusedError(
            f"AWS knows no template {template}, or nothing that it names ({told})",
            hint="check [provisioning] template and the region of [mqtt] endpoint, and that the"
            " template is enabled",
        )
    if code.startswith(DENIED) or status == HTTPStatus.FORBIDDEN:
        return RefusedError(
            f"the template {template} refuses this device ({told})",
            hint=f"its pre-provisioning hook says no, or its role lacks a right; {sent}",
        )
    return RefusedError(
        f"the template {template} does not take what this device sends ({told})",
        hint=f"compare the template's parameters with [provisioning.parameters]; {sent}",
    )
