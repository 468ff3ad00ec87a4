"""A policy grants what AWS would grant, and denies the rest."""

from __future__ import annotations

from tests.integration.cloud.device import ALL, ARN, CONNECT, NAME, SUBSCRIBE, policy
from tests.tools.cloud.policies import Grant


def test_a_policy_is_read_as_aws_reads_it() -> None:
    """Deny wins, an unattached thing has no name, unknown conditions never hold."""
    full = Grant(["a"], [policy(*ALL)])
    assert full.may_connect("a")
    assert not full.may_connect("b")
    assert not Grant([], [policy(*ALL)]).may_connect("a")
    assert not Grant([], [policy(*ALL)]).acls()
    assert not Grant(["a"], [policy(*ALL, {**CONNECT, "Effect": "Deny"})]).may_connect("a")
    strange = {**CONNECT, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.1"}}}
    assert not Grant(["a"], [policy(strange)]).may_connect("a")
    anyone = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    assert Grant([], [policy(anyone)]).may_connect("b")
    assert {(acl.kind, acl.topic) for acl in full.acls()} == {
        ("publishClientSend", "a/#"),
        ("subscribeLiteral", "a/count"),
        ("publishClientReceive", "a/count"),
    }
    mixed_up = {**SUBSCRIBE, "Resource": f"{ARN}:topic/{NAME}/count"}
    assert not Grant(["a"], [policy(CONNECT, mixed_up)]).acls()
