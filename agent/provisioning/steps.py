"""Steps of provisioning at AWS: each may be done again, whatever became of it before."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime

from agent.errors import RefusedError
from agent.identity import NewCertificate
from agent.provisioning import openssl
from agent.provisioning.failures import ExistsError, NotFoundError
from agent.provisioning.policy import same_policy
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from agent.model import Json
    from agent.provisioning.cloud import Answer, Cloud

#: The attribute of a thing that tells which board it is.
SERIAL = "serial"

#: A policy has at most this many versions ("AWS IoT Core policy quotas").
POLICY_VERSIONS = 5

ID_LENGTH = 64
ACTIVE, INACTIVE, REVOKED = "ACTIVE", "INACTIVE", "REVOKED"
USABLE = (ACTIVE, INACTIVE)
SHUT_OUT = (INACTIVE, REVOKED)


class Endpoint(Value):
    """Host name that devices connect to, and what AWS's clock said at our monotonic `at_s`."""

    host: str
    time_s: float
    at_s: float

    def now_s(self) -> float:
        """AWS's clock now, in epoch seconds; ours may be hours wrong, or step."""
        return self.time_s + time.monotonic() - self.at_s


class KnownCertificate(Value):
    """A certificate as AWS describes it."""

    arn: str
    status: str
    pem: str

    @property
    def usable(self) -> bool:
        """True if it is in use or can be put to use."""
        return self.status in USABLE


def endpoint(cloud: Cloud) -> Endpoint:
    """The host name that devices connect to, with AWS's time."""
    answer = cloud.call("describe_endpoint", "*", endpointType="iot:Data-ATS")
    return Endpoint(str(answer["endpointAddress"]), time_of(answer), time.monotonic())


def time_of(answer: Answer) -> float:
    """AWS's time of an answer in epoch seconds; ours where it tells none."""
    date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return time.time()


def put_policy(
    cloud: Cloud, name: str, document: Mapping[str, Json], *, correct: bool = True
) -> str:
    """Have the policy `name` say just `document`; tells in a word how that came about.

    Without `correct` one that says something else is left as it is.
    """
    resource = f"policy/{name}"
    text = json.dumps(document, separators=(",", ":"))
    try:
        cloud.call("create_policy", resource, policyName=name, policyDocument=text)
    except ExistsError:
        known = cloud.call("get_policy", resource, policyName=name)
        if same_policy(str(known["policyDocument"]), document):
            return "there already"
        if not correct:
            return (
                "differs from ours; left as it is, since that may be on purpose"
                " (`sudo pi-iot-agent provision --reset-policy` resets it)"
            )
        versions = cloud.call("list_policy_versions", resource, policyName=name)["policyVersions"]
        spare = [version for version in versions if not version.get("isDefaultVersion")]
        if len(versions) >= POLICY_VERSIONS and spare:
            oldest = min(spare, key=lambda version: int(version["versionId"]))
            cloud.call(
                "delete_policy_version",
                resource,
                policyName=name,
                policyVersionId=oldest["versionId"],
            )
        cloud.call(
            "create_policy_version",
            resource,
            policyName=name,
            policyDocument=text,
            setAsDefault=True,
        )
        return "corrected"
    return "made"


def check_policy(cloud: Cloud, name: str) -> None:
    """Raise RefusedError unless there is the policy that [provisioning] names."""
    if not policy_exists(cloud, name):
        raise RefusedError(
            f"AWS has no policy {name}", hint="make it, or see [provisioning] policy"
        )


def policy_exists(cloud: Cloud, name: str) -> bool:
    """True if there is such a policy."""
    try:
        cloud.call("get_policy", f"policy/{name}", policyName=name)
    except NotFoundError:
        return False
    return True


def spare_versions(cloud: Cloud, name: str) -> list[str]:
    """The versions of a policy but its default; none where there is no such policy."""
    try:
        found = cloud.call("list_policy_versions", f"policy/{name}", policyName=name)
    except NotFoundError:
        return []
    return [one["versionId"] for one in found["policyVersions"] if not one.get("isDefaultVersion")]


def find_certificate(cloud: Cloud, certificate_id: str) -> KnownCertificate | None:
    """The certificate at AWS; None if there is none of this id in this account and region."""
    try:
        found = cloud.call(
            "describe_certificate", f"cert/{certificate_id}", certificateId=certificate_id
        )["certificateDescription"]
    except NotFoundError:
        return None
    return KnownCertificate(
        str(found["certificateArn"]), str(found["status"]), str(found["certificatePem"])
    )


def signed_certificate(cloud: Cloud, key: str) -> NewCertificate:
    """A new certificate for a key of ours, which stays here; inactive until it is in use."""
    public, request = openssl.public_key(key), openssl.signing_request(key)
    made = cloud.call(
        "create_certificate_from_csr", "*", certificateSigningRequest=request, setAsActive=False
    )
    return NewCertificate(
        made["certificateArn"], made["certificateId"], made["certificatePem"], key, public
    )


def new_certificate(cloud: Cloud) -> NewCertificate:
    """A new certificate with a key that AWS makes; inactive, so that a lost one can do nothing."""
    made = cloud.call("create_keys_and_certificate", "*", setAsActive=False)
    pair = made["keyPair"]
    return NewCertificate(
        made["certificateArn"],
        made["certificateId"],
        made["certificatePem"],
        pair["PrivateKey"],
        pair["PublicKey"],
    )


def _cert(arn: str) -> str:
    return "cert/" + arn.rpartition("/")[2]


def attach_policy(cloud: Cloud, policy: str, arn: str) -> None:
    """Attach the policy to a certificate."""
    cloud.call("attach_policy", _cert(arn), policyName=policy, target=arn)


def detach_policy(cloud: Cloud, policy: str, arn: str) -> None:
    """Detach the policy from a certificate."""
    cloud.call("detach_policy", _cert(arn), policyName=policy, target=arn)


def attach_thing(cloud: Cloud, thing: str, arn: str) -> None:
    """Attach a certificate to the thing, as its principal; the policy asks for it."""
    cloud.call("attach_thing_principal", _cert(arn), thingName=thing, principal=arn)


def set_active(cloud: Cloud, certificate_id: str, *, active: bool) -> None:
    """Activate a certificate, or deactivate it."""
    cloud.call(
        "update_certificate",
        f"cert/{certificate_id}",
        certificateId=certificate_id,
        newStatus="ACTIVE" if active else "INACTIVE",
    )


def owner_of(cloud: Cloud, thing: str) -> str | None:
    """The serial number that a thing carries, "" for none; None where there is no such thing."""
    try:
        known = cloud.call("describe_thing", f"thing/{thing}", thingName=thing)
    except NotFoundError:
        return None
    return str(known.get("attributes", {}).get(SERIAL, ""))


def certificates_of(cloud: Cloud, thing: str) -> list[str]:
    """The ids of the certificates attached to a thing; none where there is no such thing."""
    resource = f"thing/{thing}"
    try:
        arns = cloud.pages("list_thing_principals", resource, "principals", thingName=thing)
    except NotFoundError:
        return []
    return [arn.rpartition("/")[2] for arn in arns if ":cert/" in arn]


def policies_of(cloud: Cloud, arn: str) -> list[str]:
    """The names of the policies attached to a certificate."""
    found = cloud.pages("list_attached_policies", _cert(arn), "policies", target=arn)
    return [policy["policyName"] for policy in found]


def whole_ids(cloud: Cloud, thing: str, ids: AbstractSet[str]) -> set[str]:
    """The ids; one of which only the first digits are known counts if the thing has it."""
    heads = tuple(one for one in ids if len(one) < ID_LENGTH)
    attached = certificates_of(cloud, thing) if heads else []
    return {*(ids - set(heads)), *(one for one in attached if one.startswith(heads))}
