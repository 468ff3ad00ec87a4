"""Certificates of the owner's CA are registered by the first connection, which AWS ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.cloud.device import Plain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.cloud import LocalAws


def wait_status(aws: LocalAws, device: Plain, status: str) -> None:
    """Wait until AWS has the certificate with this status."""
    pem = device.certificate.read_text()
    deadline_s = time.monotonic() + 60
    while (pem, status) not in {(one.pem, one.status) for one in aws.certificates()}:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.mark.parametrize("clean", [True, False])
def test_the_second_connection_is_let_in(aws: LocalAws, tmp_path: Path, clean: bool) -> None:  # noqa: FBT001
    """The first ends without a CONNACK; the thing and its policy are there then."""
    before = len(aws.certificates())
    with Plain(aws, *aws.own_ca.issue(tmp_path, thing=f"porch-{clean}")) as device:
        assert len(aws.certificates()) == before
        assert not device.connect(f"porch-{clean}", clean=clean)
        assert device.connected == []
        wait_status(aws, device, "ACTIVE")
        assert aws.certificates()[-1].things == (f"porch-{clean}",)
        assert device.connect(f"porch-{clean}", clean=clean)
        device.publish(f"porch-{clean}/count", b"1")
        assert aws.observer.wait(f"porch-{clean}/count")


def test_without_a_template_it_waits_for_its_owner(aws: LocalAws, tmp_path: Path) -> None:
    """It is PENDING_ACTIVATION, and no connection is let in, until the owner activates it."""
    aws.own_ca.automatic = False
    with Plain(aws, *aws.own_ca.issue(tmp_path, thing="gate")) as device:
        for _ in range(2):
            assert not device.connect("gate")
            assert device.connected == []
            wait_status(aws, device, "PENDING_ACTIVATION")
        aws.own_ca.activate()
        assert device.connect("gate")
        aws.iot.update_certificate(
            certificateId=aws.certificates()[-1].certificate_id, newStatus="INACTIVE"
        )
        assert device.until(lambda: device.lost)
        assert not device.connect("gate")
