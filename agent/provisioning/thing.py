"""Thing of this board at AWS: registered, adopted or left alone; its attributes and groups."""

from __future__ import annotations

from agent.errors import RefusedError
from agent.provisioning.failures import ExistsError, NotFoundError
from agent.provisioning.steps import SERIAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Provisioning
    from agent.provisioning.cloud import Cloud


def register(
    cloud: Cloud, name: str, serial: str, about: Provisioning, *, take_over: bool = False
) -> str:
    """Have the thing `name` be this board, as `about` has it; tells in a word how that came about.

    One without a serial number gets ours; other attributes that it has stay. Raises RefusedError
    where the name is another board's, which is then left alone, or there is no such type.
    """
    wanted = {**(about.attributes or {}), **({SERIAL: serial} if serial else {})}
    try:
        _send(cloud, "create_thing", name, about.thing_type, {"attributes": wanted})
    except ExistsError:
        return _adopt(cloud, name, serial, about, take_over=take_over)
    except NotFoundError:
        raise RefusedError(
            f"AWS has no thing type {about.thing_type}",
            hint="make it, or see [provisioning] thing_type",
        ) from None
    return "registered"


def join(cloud: Cloud, name: str, group: str) -> None:
    """Have the thing be in a group, which there is."""
    which = {"thingGroupName": group, "thingName": name}
    cloud.call("add_thing_to_thing_group", f"thinggroup/{group}", **which)


def check_group(cloud: Cloud, group: str) -> None:
    """Raise RefusedError where there is no group of that name."""
    try:
        cloud.call("describe_thing_group", f"thinggroup/{group}", thingGroupName=group)
    except NotFoundError:
        raise RefusedError(
            f"AWS has no thing group {group}", hint="make it, or see [provisioning] thing_groups"
        ) from None


def _adopt(cloud: Cloud, name: str, serial: str, about: Provisioning, *, take_over: bool) -> str:
    """Have a thing that exists be this board, if it is ours, nobody's, or to be taken over."""
    resource = f"thing/{name}"
    known = cloud.call("describe_thing", resource, thingName=name)
    there = known.get("attributes") or {}
    owner = there.get(SERIAL, "")
    if owner not in ("", serial) and not take_over:
        raise RefusedError(
            f"this name belongs to another device: {resource} has the serial number {owner},"
            f" this board has {serial or 'none'}",
            hint="set another [thing] name, or run `sudo pi-iot-agent provision --take-over`",
        )
    wanted = {**(about.attributes or {}), **({SERIAL: serial} if owner != serial else {})}
    if {**there, **wanted} == there and about.thing_type in ("", known.get("thingTypeName")):
        return "registered before"
    _send(cloud, "update_thing", name, about.thing_type, {"attributes": wanted, "merge": True})
    if owner == serial:
        return "registered before, and brought up to date"
    return f"taken over from the board {owner}" if owner else "adopted: it had no serial number"


def _send(
    cloud: Cloud, operation: str, name: str, thing_type: str, payload: dict[str, object]
) -> None:
    kind = {"thingTypeName": thing_type} if thing_type else {}
    cloud.call(operation, f"thing/{name}", thingName=name, attributePayload=payload, **kind)
