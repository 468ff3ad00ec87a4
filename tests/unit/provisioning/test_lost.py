"""Certificates whose key never arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from agent.errors import TransientCloudError
from agent.provisioning.answer import Answer
from agent.provisioning.failures import Call
from agent.provisioning.lost import lost_certificates

if TYPE_CHECKING:
    from agent.provisioning.cloud import Cloud


class CloudWithOnePage:
    """A control plane that gives the same page for ever."""

    asked = 0

    def call(self, operation: str, _resource: str, **_parameters: object) -> Answer:
        """That page."""
        self.asked += 1
        assert self.asked < 9
        call = Call(f"iot:{operation}", "*", "http://localhost", "here")
        return Answer({"certificates": [], "nextMarker": "again"}, call)


def test_a_listing_that_repeats_itself_is_no_usable_answer() -> None:
    """It is tried again later, and does not go on for ever."""
    cloud = CloudWithOnePage()
    with pytest.raises(TransientCloudError, match="the same page again"):
        lost_certificates(cast("Cloud", cloud), [1.0], but=set())
    assert cloud.asked == 2
