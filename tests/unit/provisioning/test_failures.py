"""Errors of AWS are told apart by their code, and said in our own words."""

from __future__ import annotations

import re

import pytest
from botocore import exceptions

from agent.errors import (
    BadKeyError,
    CloudError,
    NoAwsCredentialsError,
    RefusedError,
    TransientCloudError,
)
from agent.provisioning.failures import (
    Call,
    ClockError,
    ExistsError,
    NotFoundError,
    StillAttachedError,
    failure,
)

CALL = Call("iot:CreateThing", "thing/x", "https://iot", "eu-south-1")
LATE = "Signature expired: 20261126T000000Z is now earlier than 20261126T064533Z"
EARLY = "Signature not yet current: 20261126T120000Z is still later than 20261126T064533Z"


def answer(code: str, status: int = 400, message: str = "") -> CloudError:
    """What an answer with this code means."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    found = failure(exceptions.ClientError(response, "CreateThing"), CALL)
    assert found
    return found


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, TransientCloudError),
        ("Throttling", 400, TransientCloudError),
        ("TooManyRequestsException", 429, TransientCloudError),
        ("RequestLimitExceeded", 503, TransientCloudError),
        ("ServiceUnavailableException", 503, TransientCloudError),
        ("InternalFailureException", 500, TransientCloudError),
        ("InternalServerError", 500, TransientCloudError),
        ("NeverHeardOf", 502, TransientCloudError),
        ("NeverHeardOf", 400, RefusedError),
        ("AccessDeniedException", 403, RefusedError),
        ("AccessDeniedException", 500, RefusedError),
        ("UnauthorizedException", 401, RefusedError),
        ("ForbiddenException", 403, RefusedError),
        ("InvalidClientTokenId", 403, BadKeyError),
        ("UnrecognizedClientException", 403, BadKeyError),
        ("SignatureDoesNotMatch", 403, BadKeyError),
        ("ExpiredTokenException", 403, BadKeyError),
        ("InvalidRequestException", 400, RefusedError),
        ("MalformedPolicyException", 400, RefusedError),
        ("LimitExceededException", 410, RefusedError),
        ("VersionsLimitExceededException", 409, RefusedError),
        ("ResourceNotFoundException", 404, NotFoundError),
        ("ResourceAlreadyExistsException", 409, ExistsError),
        ("DeleteConflictException", 409, StillAttachedError),
        ("CertificateStateException", 406, StillAttachedError),
        ("RequestExpired", 400, ClockError),
        ("RequestTimeTooSkewed", 403, ClockError),
        ("OptInRequired", 403, RefusedError),
        ("RegionDisabledException", 403, RefusedError),
    ],
)
def test_an_answer_is_classified_by_its_code(code: str, status: int, kind: type) -> None:
    """The HTTP status counts only for a code that nobody knows."""
    found = answer(code, status)
    assert type(found) is kind
    assert any(what in found.text for what in ("thing/x", "AWS key", "signature", "account"))
    assert found.hint or isinstance(found, TransientCloudError | ExistsError)


def test_a_refusal_names_action_and_resource() -> None:
    """AWS's own name of the resource if it gives one, else ours."""
    found = answer("AccessDeniedException", 403, "not authorized to perform: iot:CreateThing")
    assert found.text == "AWS refuses iot:CreateThing on thing/x"
    found = answer("AccessDenied", 403, "not authorized on resource: arn:aws:iot:r:1:thing/x so")
    assert "allow iot:CreateThing on arn:aws:iot:r:1:thing/x for" in found.hint


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidSignatureException"])
def test_a_signature_refused_for_its_time_passes_when_the_clock_is_set(code: str) -> None:
    """A Raspberry Pi's clock may be years behind; the text has its time. Else the secret is it."""
    for message in (LATE, EARLY):
        found = answer(code, 403, message)
        assert type(found) is ClockError
        assert re.search(r"here it is 20\d\d-\d\d-\d\d \d\d:\d\d UTC", found.text)
        assert "clock is set" in found.hint
    found = answer(code, 403, "The request signature we calculated does not match")
    assert type(found) is BadKeyError
    assert "secret of the AWS key is wrong" in found.text


@pytest.mark.parametrize(
    ("code", "message", "text", "hint"),
    [
        ("ExpiredToken", "", "the temporary AWS key has ended", "write a new one"),
        ("ExpiredTokenException", "", "the temporary AWS key has ended", "write a new one"),
        ("InvalidClientTokenId", "", "AWS key in eu-south-1", "deleted or inactive; or the region"),
        ("UnrecognizedClientException", "", "AWS key in eu-south-1", "China and GovCloud"),
        ("OptInRequired", "", "may not use AWS in eu-south-1", "enable the region eu-south-1"),
        ("AccessDenied", "MultiFactorAuthentication failed", "second factor (MFA)", "needs none"),
        (
            "AccessDenied",
            "not authorized with an explicit deny in an identity-based policy",
            "AWS refuses iot:CreateThing on thing/x: a policy denies it",
            "without MFA",
        ),
    ],
)
def test_what_is_wrong_with_a_key_is_told_in_words(
    code: str, message: str, text: str, hint: str
) -> None:
    """So that a person knows what to do, whatever AWS calls it."""
    found = answer(code, 403, message)
    assert text in found.text
    assert hint in found.hint


@pytest.mark.parametrize("code", ["", "403", "302", "511", "LOGIN_REQUIRED", "no access"])
@pytest.mark.parametrize("status", [200, 302, 403, 511])
def test_an_error_without_a_code_of_aws_is_no_answer_of_aws(code: str, status: int) -> None:
    """A login page answers 403 too; nothing is to be granted then."""
    found = answer(code, status, "<html>log in</html>")
    assert type(found) is TransientCloudError
    assert found.text == f"iot:CreateThing: no usable answer from https://iot (HTTP {status})"
    assert "login page" in found.hint


def test_an_error_without_anything_is_no_answer_of_aws() -> None:
    """As botocore takes a well-formed page of another kind."""
    found = failure(exceptions.ClientError({}, "GetCallerIdentity"), CALL)
    assert type(found) is TransientCloudError


@pytest.mark.parametrize(
    ("words", "kind", "hint"),
    [
        ("certificate verify failed: certificate is not yet valid", ClockError, "clock is set"),
        ("certificate verify failed: certificate has expired", ClockError, "clock is set"),
        (
            "CERTIFICATE_VERIFY_FAILED: self-signed certificate",
            TransientCloudError,
            "ca-certificates",
        ),
        ("CERTIFICATE_VERIFY_FAILED: Hostname mismatch", TransientCloudError, "login page"),
        ("WRONG_VERSION_NUMBER", TransientCloudError, "clock"),
    ],
)
def test_a_failure_of_tls_hints_at_its_cause(words: str, kind: type, hint: str) -> None:
    """The clock, or something between this machine and AWS."""
    found = failure(exceptions.SSLError(endpoint_url="u", error=words), CALL)
    assert type(found) is kind
    assert "no secure connection to https://iot" in str(found)
    assert found
    assert hint in found.hint


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NoCredentialsError(), NoAwsCredentialsError),
        (exceptions.EndpointConnectionError(endpoint_url="u"), TransientCloudError),
        (exceptions.ConnectTimeoutError(endpoint_url="u"), TransientCloudError),
        (exceptions.ReadTimeoutError(endpoint_url="u"), TransientCloudError),
        (exceptions.ConnectionClosedError(endpoint_url="u"), TransientCloudError),
        (exceptions.SSLError(endpoint_url="u", error="e"), TransientCloudError),
        (exceptions.HTTPClientError(error="secret-header"), TransientCloudError),
        (exceptions.ParamValidationError(report="r"), RefusedError),
        (exceptions.SSOTokenLoadError(error_msg="secret-header"), RefusedError),
        (
            exceptions.CredentialRetrievalError(
                provider="custom-process", error_msg="secret-header"
            ),
            RefusedError,
        ),
        (KeyError("GetCallerIdentityResult"), TransientCloudError),
        (AttributeError("secret-header"), TransientCloudError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_answer_is_classified_by_its_kind(error: Exception, kind: type) -> None:
    """The network is tried again; what botocore itself refuses is not."""
    found = failure(error, CALL)
    assert type(found) is kind
    assert found
    assert found.hint
    assert "secret-header" not in found.text + found.hint


def test_a_defect_is_no_failure_of_aws() -> None:
    """It keeps its traceback."""
    assert failure(ZeroDivisionError(), CALL) is None


def test_a_region_that_is_not_known_is_told_where_nothing_answers() -> None:
    """That is what a misspelled one looks like."""
    call = Call("iot:CreateThing", "thing/x", "https://iot.us-eats-1", "us-eats-1")
    found = failure(exceptions.EndpointConnectionError(endpoint_url="u"), call)
    assert found
    assert found.hint.startswith("us-eats-1 is no AWS region that this version knows")
    assert "did you mean us-east-1" in found.hint
