"""Certificates whose key never arrived: AWS made them, and its answer was lost on the way."""

from __future__ import annotations

from agent.errors import TransientCloudError
from agent.provisioning import steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from agent.provisioning.cloud import Answer, Cloud

#: Longest time from a call to its effect, and how far two of AWS's clocks may be apart.
CALL_S = 25.0
SLACK_S = 3.0

#: A certificate that has been attached to nothing for so long is none that a device is making.
SETTLED_S = 60.0


def lost_certificates(
    cloud: Cloud, calls_s: Sequence[float], *, but: AbstractSet[str]
) -> list[str]:
    """Ids of the certificates that were asked for at `calls_s`, by AWS's clock, and lost.

    They are inactive and have neither policy nor thing, so that they can do nothing; another
    device's looks like that only for the moment in which it is made. Raises TransientCloudError
    where one is that young; else as `Cloud.call` does.
    """
    found: list[str] = []
    marker: dict[str, object] = {}
    while calls_s:
        page = cloud.call("list_certificates", "*", pageSize=250, **marker)
        for one in page["certificates"]:
            if one["certificateId"] in but or not _fits(cloud, one, calls_s):
                continue
            if steps.time_of(page) - one["creationDate"].timestamp() < SETTLED_S:
                raise TransientCloudError(
                    f"certificate {one['certificateId']} is new, and another device may be making"
                    " it just now; it is looked at again in a minute"
                )
            found.append(one["certificateId"])
        if not page.get("nextMarker"):
            break
        if page["nextMarker"] == marker.get("marker"):
            raise page.unusable("the same page again")
        marker = {"marker": page["nextMarker"]}
    return found


def _fits(cloud: Cloud, one: Answer, calls_s: Sequence[float]) -> bool:
    """True if a listed certificate is of the time of one of the calls, and without any use."""
    made_s = one["creationDate"].timestamp()
    in_time = any(-SLACK_S <= made_s - call_s <= CALL_S for call_s in calls_s)
    if one["status"] != "INACTIVE" or not in_time:
        return False
    arn, resource = one["certificateArn"], f"cert/{one['certificateId']}"
    return not (
        cloud.pages("list_attached_policies", resource, "policies", target=arn)
        or cloud.pages("list_principal_things", resource, "things", principal=arn)
    )
