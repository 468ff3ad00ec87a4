"""Failures of calls to AWS: try again, have a person act, or something to handle.

Errors of AWS are told apart by their code, never by the HTTP status: throttling, for one, is a 400
("Error codes", AWS IoT API reference).
"""

from __future__ import annotations

import re

from botocore import exceptions
from botocore.parsers import ResponseParserError

from agent.errors import CloudError, NoAwsCredentialsError, RefusedError, TransientCloudError

SERVER_ERROR = 500
LONGEST_MESSAGE = 200

TRANSIENT = (
    "Throttl",
    "TooManyRequests",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "InternalFailure",
    "InternalError",
    "InternalServer",
    "InternalException",
    "SlowDown",
    "429",
)
DENIED = ("AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized")
BAD_KEY = (
    "InvalidClientTokenId",
    "UnrecognizedClient",
    "InvalidAccessKeyId",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidToken",
)
BAD_SIGNATURE = (
    "SignatureDoesNotMatch",
    "InvalidSignature",
    "ExpiredToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "AuthFailure",
)
ON_RESOURCE = re.compile(r"on resource: (arn:\S+)")
ATTACHED = ("DeleteConflict", "CertificateState")
STILL_HAS_PRINCIPALS = ("iot:DeleteThing", "InvalidRequestException")
KEY_HINT = "check the key in the credentials file"
CLOCK_HINT = "check the key in the credentials file, and that the clock is right"


class NotFoundError(TransientCloudError):
    """AWS does not know the thing, policy or certificate.

    Where a step does not expect it, trying again helps: what was made a moment ago takes a while to
    be known everywhere.
    """


class ExistsError(CloudError):
    """The name is taken."""


class StillAttachedError(TransientCloudError):
    """AWS still sees an attachment that was taken away: this takes seconds, or minutes."""


def answer_error(error: exceptions.ClientError, action: str, resource: str) -> CloudError:
    """The failure if AWS answers the IAM action `action` on `resource` with an error."""
    code = str(error.response.get("Error", {}).get("Code") or "no code")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    text = f"{action} on {resource}: {code}: {message[:LONGEST_MESSAGE]}".rstrip(": ")
    known: CloudError
    if code.startswith(DENIED):
        named = ON_RESOURCE.search(message)
        resource = named[1] if named else resource
        known = RefusedError(
            f"AWS refuses {action} on {resource}",
            hint=f"allow {action} on {resource} for the AWS key in use",
        )
    elif code.startswith(BAD_KEY):
        known = RefusedError(f"AWS does not accept the AWS key ({code})", hint=KEY_HINT)
    elif code.startswith(BAD_SIGNATURE):
        known = RefusedError(f"AWS does not accept the key's signature ({code})", hint=CLOCK_HINT)
    elif code.startswith(ATTACHED) or (action, code) == STILL_HAS_PRINCIPALS:
        known = StillAttachedError(f"AWS is still detaching {resource} ({code})")
    elif code.startswith("ResourceNotFound"):
        known = NotFoundError(f"AWS does not know {resource} ({action}: {code})")
    elif code.startswith("ResourceAlreadyExists"):
        known = ExistsError(f"{resource} exists already")
    elif code.startswith(TRANSIENT) or status >= SERVER_ERROR:
        known = TransientCloudError(text)
    else:
        known = RefusedError(text, hint="AWS will not do this until something is changed")
    return known


def failure(error: Exception, action: str, endpoint: str) -> CloudError | None:
    """The failure if there is no answer to `action`; None for an error of any other kind.

    The words are our own: those of botocore may quote a credentials file or a request's headers.
    """
    for kinds, found in (
        ((exceptions.NoCredentialsError,), NoAwsCredentialsError("there is no AWS key")),
        (
            (exceptions.EndpointConnectionError, exceptions.ProxyConnectionError),
            TransientCloudError(f"{action}: cannot connect to {endpoint}"),
        ),
        (
            (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError),
            TransientCloudError(f"{action}: no answer from {endpoint} in time"),
        ),
        (
            (exceptions.SSLError,),
            TransientCloudError(
                f"{action}: no secure connection to {endpoint}",
                hint="check the clock, and that no login page stands before the internet",
            ),
        ),
        (
            (exceptions.HTTPClientError, exceptions.ConnectionError, ResponseParserError),
            TransientCloudError(f"{action}: no usable answer from {endpoint}"),
        ),
        (
            (exceptions.BotoCoreError,),
            RefusedError(
                f"{action}: {type(error).__name__}",
                hint="check [aws] and the credentials file",
            ),
        ),
    ):
        if isinstance(error, kinds):
            return found
    return None
