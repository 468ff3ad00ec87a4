"""Errors of AWS are told apart by their code, and said in our own words."""

from __future__ import annotations

import pytest
from botocore import exceptions

from agent.errors import CloudError, NoAwsCredentialsError, RefusedError, TransientCloudError
from agent.provisioning.failures import (
    ExistsError,
    NotFoundError,
    StillAttachedError,
    answer_error,
    failure,
)


def answer(code: str, status: int = 400, message: str = "") -> CloudError:
    """What an answer with this code means."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    error = exceptions.ClientError(response, "CreateThing")
    return answer_error(error, "iot:CreateThing", "thing/x")


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
        ("InvalidClientTokenId", 403, RefusedError),
        ("UnrecognizedClientException", 403, RefusedError),
        ("SignatureDoesNotMatch", 403, RefusedError),
        ("ExpiredTokenException", 403, RefusedError),
        ("InvalidRequestException", 400, RefusedError),
        ("MalformedPolicyException", 400, RefusedError),
        ("LimitExceededException", 410, RefusedError),
        ("VersionsLimitExceededException", 409, RefusedError),
        ("ResourceNotFoundException", 404, NotFoundError),
        ("ResourceAlreadyExistsException", 409, ExistsError),
        ("DeleteConflictException", 409, StillAttachedError),
        ("CertificateStateException", 406, StillAttachedError),
        ("", 400, RefusedError),
    ],
)
def test_an_answer_is_classified_by_its_code(code: str, status: int, kind: type) -> None:
    """The HTTP status counts only for a code that nobody knows."""
    found = answer(code, status)
    assert type(found) is kind
    assert "thing/x" in found.text or "AWS key" in found.text or "signature" in found.text


def test_a_refusal_names_action_and_resource() -> None:
    """AWS's own name of the resource if it gives one, else ours."""
    found = answer("AccessDeniedException", 403, "not authorized to perform: iot:CreateThing")
    assert found.text == "AWS refuses iot:CreateThing on thing/x"
    found = answer("AccessDenied", 403, "not authorized on resource: arn:aws:iot:r:1:thing/x so")
    assert "allow iot:CreateThing on arn:aws:iot:r:1:thing/x for" in found.hint


def test_a_wrong_signature_hints_at_the_clock() -> None:
    """A Raspberry Pi's clock may be years behind."""
    assert "clock" in answer("SignatureDoesNotMatch", 403).hint
    assert "clock" in answer("RequestExpired", 400).hint


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
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_answer_is_classified_by_its_kind(error: Exception, kind: type) -> None:
    """The network is tried again; what botocore itself refuses is not."""
    found = failure(error, "iot:CreateThing", "https://iot")
    assert type(found) is kind
    assert "secret-header" not in str(found)


def test_a_defect_is_no_failure_of_aws() -> None:
    """It keeps its traceback."""
    assert failure(KeyError("x"), "iot:CreateThing", "https://iot") is None
