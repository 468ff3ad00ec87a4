"""Answers of fleet provisioning that say no.

Of the codes only InvalidCertificateOwnershipToken is known from AWS; its documentation names none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.tools.cloud.faults import Fault


class RejectedError(Exception):
    """The answer on `/rejected`: an HTTP status, AWS's code and its text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.status = status
        self.code = code
        self.text = text


def invalid(text: str) -> RejectedError:
    """What AWS says of parameters with which the template makes nothing."""
    return RejectedError(400, "InvalidParameters", text)


def bad_token(text: str) -> RejectedError:
    """What AWS says of an ownership token that is none, or none any more."""
    return RejectedError(400, "InvalidCertificateOwnershipToken", text)


def by_fault(fault: Fault) -> RejectedError:
    """A fault of the control plane in the words of this interface."""
    if fault.code == "ThrottlingException":
        return THROTTLED
    text = fault.text or "Access denied"
    return RejectedError(fault.status, fault.code.removesuffix("Exception"), text)


THROTTLED = RejectedError(429, "Throttling", "Rate exceeded")
