"""The local AWS without certificates or faults, and a device that has nothing but a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.provisioning.device import Device
from tests.integration.provisioning.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.cloud import LocalAws


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS, without certificates or faults."""
    yield cloud
    cloud.clear()
    for one in cloud.certificates():
        for policy in one.policies:
            cloud.iot.detach_policy(policyName=policy, target=one.arn)
        for thing in one.things:
            cloud.iot.detach_thing_principal(thingName=thing, principal=one.arn)
        if one.status == "ACTIVE":
            cloud.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")
        cloud.iot.delete_certificate(certificateId=one.certificate_id)


@pytest.fixture
def device(aws: LocalAws, tmp_path: Path) -> Iterator[Device]:
    """A device that has nothing but an AWS key."""
    found = Device(aws, tmp_path)
    yield found
    found.close()


@pytest.fixture(scope="session")
def disk() -> Disk:
    """The disk under this thread; a hook cannot be taken back, so there is one."""
    return Disk()
