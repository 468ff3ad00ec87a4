"""Failures of calls to AWS: try again, have a person act, or something to handle.

Errors of AWS are told apart by their code, never by the HTTP status: throttling, for one, is a 400
("Error codes", AWS IoT API reference).
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus

from botocore import exceptions
from botocore.parsers import ResponseParserError

from agent.config import region_doubt
from agent.errors import (
    BadKeyError,
    CloudError,
    NoAwsCredentialsError,
    RefusedError,
    TransientCloudError,
)
from agent.value import Value

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
)
DENIED = ("AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized")
BAD_KEY = (
    "InvalidClientTokenId",
    "UnrecognizedClient",
    "InvalidAccessKeyId",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidToken",
    "AuthFailure",
)
NOT_ENABLED = ("OptInRequired", "RegionDisabled", "SubscriptionRequired")
ENDED = "ExpiredToken"
WRONG_TIME = ("RequestExpired", "RequestTimeTooSkewed")
BAD_SIGNATURE = ("SignatureDoesNotMatch", "InvalidSignature")
IN_TIME = re.compile(r"expired|not yet current", re.IGNORECASE)
SECOND_FACTOR = re.compile(r"multi-?factor|\bMFA\b", re.IGNORECASE)
EXPLICIT_DENY = "explicit deny"

#: AWS's own errors have a code like this; that of other servers is the HTTP status, or none.
CODE = re.compile(r"[A-Z][A-Za-z0-9.]*")
ON_RESOURCE = re.compile(r"on resource: (arn:\S+)")
ATTACHED = ("DeleteConflict", "CertificateState")
STILL_HAS_PRINCIPALS = ("iot:DeleteThing", "InvalidRequestException")

PROCESS = "custom-process"
INCOMPLETE = ("InvalidConfigError", "MissingDependencyException")
SIGN_ON = ("SSO", "UnauthorizedSSOToken", "TokenRetrieval", "NoAuthToken", "Login")
PORTAL_HINT = "a login page may stand before the internet: log in there from another device"
CLOCK_HINT = "the clock is set from the network (NTP): check that it may be; it is tried again"
NEW_KEY_HINT = "write a new one with `sudo pi-iot-agent setup`, or into the credentials file"


class NotFoundError(TransientCloudError):
    """AWS does not know the thing, policy or certificate.

    Where a step does not expect it, trying again helps: what was made a moment ago takes a while to
    be known everywhere.
    """


class ExistsError(CloudError):
    """The name is taken."""


class StillAttachedError(TransientCloudError):
    """AWS still sees an attachment that was taken away: this takes seconds, or minutes."""


class ClockError(TransientCloudError):
    """This machine's clock is wrong; it passes when the clock is set."""

    def __init__(self, text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        super().__init__(f"{text}; here it is {now}", hint=CLOCK_HINT)


class Call(Value):
    """A call to AWS: the IAM action, the resource that it is on, and where it goes."""

    action: str
    resource: str
    endpoint: str
    region: str

    def unusable(self, what: str) -> TransientCloudError:
        """The failure if the answer is none of AWS's."""
        return TransientCloudError(
            f"{self.action}: no usable answer from {self.endpoint} ({what})", hint=PORTAL_HINT
        )


def failure(error: Exception, call: Call) -> CloudError | None:
    """The failure of a call that ends with this error of botocore; None for any other kind.

    The words are our own: those of botocore may quote a credentials file or a request's headers.
    """
    if isinstance(error, exceptions.ClientError):
        return _answered(error, call)
    return _unanswered(error, call)


def _answered(error: exceptions.ClientError, call: Call) -> CloudError:
    """The failure if AWS answers with an error; told by its code."""
    found = error.response.get("Error") or {}
    code = str(found.get("Code") or "")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = " ".join(str(found.get("Message") or "").split())
    action, resource = call.action, call.resource
    text = f"{action} on {resource}: {code}: {message[:LONGEST_MESSAGE]}".rstrip(": ")
    known: CloudError
    if not CODE.fullmatch(code):
        known = call.unusable(f"HTTP {status}" if status else "no code")
    elif code.startswith(DENIED):
        known = _denied(message, call)
    elif code.startswith((*BAD_KEY, *NOT_ENABLED, ENDED, *WRONG_TIME, *BAD_SIGNATURE)):
        known = _bad_key(code, message, call)
    elif code.startswith(ATTACHED) or (action, code) == STILL_HAS_PRINCIPALS:
        known = StillAttachedError(f"AWS is still detaching {resource} ({code})")
    elif code.startswith("ResourceNotFound"):
        known = NotFoundError(f"AWS does not know {resource} ({action}: {code})")
    elif code.startswith("ResourceAlreadyExists"):
        known = ExistsError(f"{resource} exists already")
    elif code.startswith(TRANSIENT) or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        known = TransientCloudError(text)
    else:
        known = RefusedError(text, hint="AWS will not do this until something is changed")
    return known


def _denied(message: str, call: Call) -> RefusedError:
    """The refusal of an action, with what would allow it."""
    named = ON_RESOURCE.search(message)
    what = f"{call.action} on {named[1] if named else call.resource}"
    if SECOND_FACTOR.search(message):
        return RefusedError(
            f"AWS asks for a second factor (MFA) before {what}",
            hint="use a key that needs none: a device cannot give a code",
        )
    if EXPLICIT_DENY in message:
        return RefusedError(
            f"AWS refuses {what}: a policy denies it",
            hint=f"take the denial of {call.action} away (it may be one without MFA), or use"
            " another key",
        )
    return RefusedError(f"AWS refuses {what}", hint=f"allow {what} for the AWS key in use")


def _bad_key(code: str, message: str, call: Call) -> CloudError:
    """The failure if AWS does not accept the key, or what is signed with it."""
    if code.startswith(WRONG_TIME) or (code.startswith(BAD_SIGNATURE) and IN_TIME.search(message)):
        return ClockError(f"AWS does not accept the time of the signature ({code})")
    if code.startswith(BAD_SIGNATURE):
        return BadKeyError(
            f"the secret of the AWS key is wrong: its signature does not match ({code})",
            hint="write id and secret anew with `sudo pi-iot-agent setup`",
        )
    if code.startswith(ENDED):
        return BadKeyError(f"the temporary AWS key has ended ({code})", hint=NEW_KEY_HINT)
    if code.startswith(NOT_ENABLED):
        return RefusedError(
            f"the account may not use AWS in {call.region} ({code})",
            hint=f"enable the region {call.region} for the account, or set another [aws] region",
        )
    return BadKeyError(
        f"AWS does not accept the AWS key in {call.region} ({code})",
        hint="the id is wrong, or the key deleted or inactive; or the region is not enabled for"
        " the account, or of another partition (China and GovCloud have keys of their own)",
    )


def _unanswered(error: Exception, call: Call) -> CloudError | None:
    """The failure if there is no answer, or none that can be read."""
    action, endpoint = call.action, call.endpoint
    if isinstance(error, exceptions.SSLError):
        return _insecure(str(error), call)
    for kinds, text, hint in (
        (
            (exceptions.EndpointConnectionError, exceptions.ProxyConnectionError),
            f"cannot connect to {endpoint}",
            region_doubt(call.region)
            or "check the network, and [aws] region: one that does not exist cannot be found",
        ),
        (
            (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError),
            f"no answer from {endpoint} in time",
            "check the network; it is tried again",
        ),
    ):
        if isinstance(error, kinds):
            return TransientCloudError(f"{action}: {text}", hint=hint)
    if isinstance(error, exceptions.NoCredentialsError):
        return NoAwsCredentialsError("there is no AWS key", hint=NEW_KEY_HINT)
    if isinstance(
        error,
        exceptions.HTTPClientError
        | exceptions.ConnectionError
        | ResponseParserError
        # What botocore stumbles over in an answer that has not the form of AWS's:
        | LookupError
        | TypeError
        | AttributeError
        | ValueError,
    ):
        return call.unusable(type(error).__name__)
    if isinstance(error, exceptions.BotoCoreError):
        return key_failure(error, f"{action}: ")
    return None


def _insecure(words: str, call: Call) -> TransientCloudError:
    """The failure if TLS does not come about, by the words of OpenSSL."""
    text = f"{call.action}: no secure connection to {call.endpoint}"
    if "not yet valid" in words or "has expired" in words:
        return ClockError(f"{text}: by the clock its certificate is not valid")
    if "CERTIFICATE_VERIFY_FAILED" in words or "match" in words:
        return TransientCloudError(
            f"{text}: somebody else's certificate is shown",
            hint="a login page or a filter stands before the internet; or ca-certificates is not"
            " installed",
        )
    return TransientCloudError(text, hint="check the clock; " + PORTAL_HINT)


def key_failure(error: Exception, where: str) -> RefusedError:
    """The refusal if botocore cannot get a key where the profile says; never in its own words."""
    kind = type(error).__name__
    if kind.startswith(SIGN_ON):
        return RefusedError(
            f"{where}the AWS key is to come from a sign-on (SSO), and nobody is signed in ({kind})",
            hint="a device cannot sign in: write an access key (AKIA...) into the profile",
        )
    if kind in INCOMPLETE:
        return RefusedError(
            f"{where}the profile builds on a sign-on or another profile that is not whole ({kind})",
            hint="write an access key (AKIA...) into the profile itself",
        )
    if isinstance(error, exceptions.BotoCoreError) and error.kwargs.get("provider") != PROCESS:
        return RefusedError(f"{where}{kind}", hint="check [aws] and the credentials file")
    return RefusedError(
        f"{where}the program of credential_process gives no AWS key ({kind})",
        hint="run it by hand as the user of this process, or write an access key into the profile",
    )
