"""The local AWS of one file, without what an earlier test left, and how a call to it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.tools.cloud import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def running_aws() -> Iterator[LocalAws]:
    """A local AWS for all tests of this file."""
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws) -> LocalAws:
    """The same without faults, records, messages and templates."""
    running_aws.clear()
    running_aws.observer.clear()
    return running_aws


def error_code(call: Callable[..., object], **parameters: object) -> tuple[str, int]:
    """The code and HTTP status of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
