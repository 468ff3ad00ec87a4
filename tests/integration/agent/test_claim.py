"""An agent with a claim becomes the device that the template names, in one and the same process."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.agent.conftest import FAST, QUICK
from tests.integration.agent_process import ListeningSystemd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

TEMPLATE = "home"


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS with a template that names all devices alike."""
    cloud.fleet.create_template(TEMPLATE, ThingName="kitchen")
    yield cloud
    cloud.fleet.clear()


def agent_with_claim(
    aws: LocalAws,
    make_agent: MakeAgent,
    tmp_path: Path,
    **more: Any,  # noqa: ANN401
) -> AgentProcess:
    """An agent that has a claim and no AWS key."""
    certificate, key = aws.fleet.claim(tmp_path / "claim")
    about = {
        "method": "claim",
        "template": TEMPLATE,
        "claim_cert_file": str(certificate),
        "claim_key_file": str(key),
        "credentials_file": str(tmp_path / "none"),
        **more,
    }
    mqtt = {"endpoint": aws.endpoint, **QUICK}
    return make_agent(sensors=FAST, provisioning=about, mqtt=mqtt, count={"window_s": 5})


def test_an_agent_takes_over_the_name_that_it_is_given(
    aws: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """To systemd it never stops; what was read before goes up under the new name."""
    agent = agent_with_claim(aws, make_agent, tmp_path, erase_claim=True)
    aws.fleet.delete_template(TEMPLATE)
    with ListeningSystemd(tmp_path / "systemd") as systemd:
        agent.environment |= systemd.environment
        agent.start()
        refused = agent.wait_condition("provisioning-refused")
        before = agent.wait_status(lambda status: status["queued"] > 3)
        aws.fleet.create_template(TEMPLATE, ThingName="kitchen")
        agent.signal(signal.SIGHUP)
        status = agent.wait_online()
        messages = aws.observer.wait("kitchen/sensors/room", count=before["queued"] + 1)
        assert agent.stop() == 0
    assert "no template home" in refused["text"]
    assert (before["thing"], status["thing"]) == (agent.directory.name, "kitchen")
    assert messages[0].json()["seq"] <= 3
    assert not aws.observer.messages(f"{agent.directory.name}/#")
    assert systemd.count("READY=1") == 2
    assert systemd.count("STOPPING=1") == 1
    assert not (tmp_path / "claim" / "claim-private.pem.key").exists()
    assert "Traceback" not in agent.log
    assert agent.log.count("critical") == 0


def test_a_claim_stays_until_the_certificate_has_been_let_in(
    aws: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """Without it a device that AWS does not let in could not be mended."""
    body = aws.fleet.create_template(TEMPLATE, ThingName="kitchen").body
    resources = {name: one for name, one in body["Resources"].items() if name != "policy"}
    aws.fleet.create_template(TEMPLATE, body={**body, "Resources": resources})
    agent = agent_with_claim(aws, make_agent, tmp_path, erase_claim=True)
    key = tmp_path / "claim" / "claim-private.pem.key"
    agent.start().wait_condition("offline")
    agent.stop()
    assert key.exists()
    aws.fleet.create_template(TEMPLATE, ThingName="kitchen")
    assert agent.command("provision", "--reactivate").returncode == 0
    assert not key.exists()
    told = [one["text"] for one in agent.start().wait_online()["conditions"]]
    assert any("this device keeps the name kitchen" in text for text in told)


def test_a_name_that_is_the_same_needs_no_new_start(
    aws: LocalAws, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """Nothing stops in between."""
    agent = agent_with_claim(aws, make_agent, tmp_path)
    aws.fleet.create_template(TEMPLATE, ThingName=agent.directory.name)
    assert agent.start().wait_online()["thing"] == agent.directory.name
    assert "starts anew" not in agent.log
    assert agent.wait_online()["conditions"] == []
