"""A device with a certificate of the owner's CA connects by itself, and says what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.uplink.diagnosis import AT_FIRST
from tests.integration.agent.conftest import QUICK, name_of

if TYPE_CHECKING:
    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws


def with_own(cloud: LocalAws, make_agent: MakeAgent, thing: str) -> AgentProcess:
    """An agent that knows no AWS key, and its certificate, which AWS does not know yet."""
    agent = make_agent(thing)
    certificate, key = cloud.own_ca.issue(agent.directory, thing=thing)
    mqtt = {"endpoint": "localhost", "cert_file": str(certificate), "key_file": str(key), **QUICK}
    unknown = {"credentials_file": str(agent.directory / "none")}
    toml = cloud.agent_toml(agent.directory, name=thing, mqtt=mqtt, provisioning=unknown)
    agent.config.write_text(toml)
    return agent


def test_the_first_connection_is_dropped_and_the_next_is_let_in(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """Within seconds, and the log says what happened; nothing is said of it ever after."""
    agent = with_own(cloud, make_agent, "porch").start()
    agent.wait_online()
    assert AT_FIRST in agent.log
    assert name_of(agent) in {thing for one in cloud.certificates() for thing in one.things}
    assert agent.stop() == 0
    told = agent.log.count(AT_FIRST)
    cloud.iot.update_certificate(
        certificateId=cloud.certificates()[-1].certificate_id, newStatus="INACTIVE"
    )
    agent.start().wait_condition("offline")
    assert agent.log.count(AT_FIRST) == told
    assert agent.stop() == 0
    doctor = agent.command("doctor").stdout
    assert "active and have a policy that allows iot:Connect" in doctor
    assert AT_FIRST not in doctor


def test_a_certificate_that_waits_for_its_owner_is_tried_again(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """Until it is activated (JITR); the condition says what AWS is doing, and so does `doctor`."""
    cloud.own_ca.automatic = False
    agent = with_own(cloud, make_agent, "gate")
    assert AT_FIRST in agent.command("doctor").stdout
    agent.start()
    assert AT_FIRST in agent.wait_condition("offline")["hint"]
    cloud.own_ca.activate()
    status = agent.wait_online()
    assert all(one["code"] != "offline" for one in status["conditions"])
