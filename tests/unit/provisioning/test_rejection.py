"""A rejection of fleet provisioning says what to do, and whether trying again helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.errors import RefusedError, TransientCloudError
from agent.provisioning.rejection import (
    CREATE,
    FROM_CSR,
    PARAMETERS,
    TOKEN,
    TokenEndedError,
    rejected,
    topic_of,
)

if TYPE_CHECKING:
    from agent.errors import CloudError
    from agent.model import Json

REGISTER = topic_of("home")
SECRET = "the token itself"
BODY: dict[str, Json] = {TOKEN: SECRET, PARAMETERS: {"SerialNumber": "7", "Floor": "2"}}


def answer(topic: str, status: int, code: str, message: str = "why") -> CloudError:
    """The error for such an answer."""
    told: dict[str, Json] = {"statusCode": status, "errorCode": code, "errorMessage": message}
    return rejected(topic, BODY, told)


@pytest.mark.parametrize("topic", [FROM_CSR, CREATE, REGISTER])
@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "Throttling"), (400, "ThrottlingException"), (500, "InternalFailure"), (503, "")],
)
def test_what_passes_is_tried_again(topic: str, status: int, code: str) -> None:
    """Whatever was asked."""
    assert isinstance(answer(topic, status, code), TransientCloudError)


@pytest.mark.parametrize(
    ("topic", "status", "code", "text", "hint"),
    [
        (REGISTER, 403, "AccessDenied", "the template home refuses this device", "hook says no"),
        (REGISTER, 404, "ResourceNotFound", "no template home", "[provisioning] template"),
        (REGISTER, 400, "InvalidParameters", "does not take", "sent were: Floor, SerialNumber"),
        (REGISTER, 409, "", "does not take what this device sends (409", "parameters"),
        (FROM_CSR, 400, "InvalidCsr", "makes no certificate (InvalidCsr: why)", "key_type"),
        (FROM_CSR, 403, "AccessDenied", "for this claim", f"must allow {FROM_CSR}/json"),
        (CREATE, 400, "LimitExceeded", "makes no certificate", "as many as it may"),
    ],
)
def test_a_refusal_says_what_to_do(
    *, topic: str, status: int, code: str, text: str, hint: str
) -> None:
    """And names what was sent, by name alone."""
    error = answer(topic, status, code)
    assert isinstance(error, RefusedError)
    assert text in error.text
    assert hint in error.hint
    assert SECRET not in error.text + error.hint


def test_a_token_that_has_ended_is_neither() -> None:
    """The device asks for a new certificate then."""
    assert isinstance(answer(REGISTER, 400, "InvalidCertificateOwnershipToken"), TokenEndedError)


def test_an_endless_message_is_cut() -> None:
    """And is one line."""
    error = answer(REGISTER, 400, "X", "a\nb " * 10_000)
    assert len(error.text) < 400
    assert "\n" not in error.text


@pytest.mark.parametrize("told", [{}, {"statusCode": "400"}, {"errorMessage": "x"}])
def test_what_is_no_rejection_is_no_answer(told: dict[str, Json]) -> None:
    """It is waited on."""
    with pytest.raises(ValueError, match="without statusCode"):
        rejected(REGISTER, BODY, told)
