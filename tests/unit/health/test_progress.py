"""Progress goes from process to process as a line of JSON; garbage is no report."""

from __future__ import annotations

import pytest

from agent.errors import AgentError, NoAwsCredentialsError, RefusedError, TransientCloudError
from agent.health import conditions
from agent.health.progress import Progress, decode, trouble


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoAwsCredentialsError("x", hint="h"), conditions.NO_AWS_CREDENTIALS.code),
        (RefusedError("x", hint="h"), conditions.PROVISIONING_REFUSED.code),
        (TransientCloudError("x", hint="h"), conditions.PROVISIONING_FAILING.code),
    ],
)
def test_an_error_is_reported_with_its_condition(error: AgentError, code: str) -> None:
    """And comes through a line of JSON unchanged."""
    report = trouble("thing", error)
    assert report == Progress("thing", "x", code, "h")
    assert decode(report.encode().encode()) == report


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"null", b"Traceback", b"\xff", b'{"step": 1}', b"[" * 100_000],
    ids=lambda line: repr(line[:10]),
)
def test_garbage_is_no_report(line: bytes) -> None:
    """Whatever a child prints, the daemon is not harmed."""
    assert decode(line) is None
    assert decode(b'{"step": 1, "text": "", "code": "", "hint": ""}') is None
