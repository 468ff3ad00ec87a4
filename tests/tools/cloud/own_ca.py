"""A CA of the account's owner, registered at AWS: just-in-time provisioning and registration.

https://docs.aws.amazon.com/iot/latest/developerguide/jit-provisioning.html and
auto-register-device-cert.html.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from tests.tools.cloud.authority import NOT_AFTER, common_name, write
from tests.tools.cloud.mosquitto import CloudError
from tests.tools.cloud.templates import Plan, carry_out

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from agent.model import Json
    from tests.tools.cloud.authority import Authority
    from tests.tools.cloud.control_plane import ControlPlane
    from tests.tools.cloud.fleet_link import FleetLink, Request

POLICY = "owner-ca"


class OwnCa:
    """Issues certificates that AWS learns of when a device connects.

    That first connection ends without an answer, and the certificate is PENDING_ACTIVATION then.
    With `automatic` (JITP) it is ACTIVE right after, with its thing and a policy; otherwise (JITR)
    from `activate` on, and connections end as the first one did until then. CloudError where the
    broker lacks its plugin.
    """

    def __init__(
        self,
        authority: Authority,
        control_plane: ControlPlane,
        link: FleetLink,
        *,
        policy: Mapping[str, Json],
        lacking: str,
    ) -> None:
        self._authority = authority
        self._control_plane = control_plane
        self._policy = policy
        self._lacking = lacking
        self._issued: dict[str, tuple[str, str]] = {}
        self.automatic = True
        self.pem = authority.pem
        link.on_refused = self._on_refused

    def issue(
        self, directory: Path, *, thing: str, not_after: dt.datetime = NOT_AFTER
    ) -> tuple[Path, Path]:
        """Write a certificate for a device that shall be this thing, and its key."""
        if self._lacking:
            raise CloudError(self._lacking)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = self._authority.issue_device(key.public_key(), not_after=not_after)
        self._issued[common_name(pem)] = (pem, thing)
        self._control_plane.add_own(pem)
        return write(pem, key, directory / "own.pem.crt", directory / "own.pem.key")

    def activate(self) -> None:
        """Have all certificates that wait ACTIVE, with thing and policy."""
        for pem, thing in self._issued.values():
            self._activate(pem, thing)

    def _on_refused(self, request: Request) -> None:
        if request.common_name not in self._issued:
            return  # it waits for RegisterThing
        pem, thing = self._issued[request.common_name]
        with self._control_plane.changing() as iot:
            if self._control_plane.certificate_of(request.common_name) not in iot.certificates:
                iot.register_certificate(pem, None, False, "PENDING_ACTIVATION")  # noqa: FBT003
        if self.automatic:
            self._activate(pem, thing)

    def _activate(self, pem: str, thing: str) -> None:
        plan = Plan(thing, {}, "", (), "ACTIVE", POLICY, json.dumps(self._policy))
        with self._control_plane.changing() as iot:
            for certificate in iot.certificates.values():
                if (certificate.certificate_pem, certificate.status) == (pem, "PENDING_ACTIVATION"):
                    carry_out(plan, iot, certificate)
