"""A running agent changes its certificate, by itself or for a person, and loses nothing by it."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.errors import EXIT_CONFIG, EXIT_OK, EXIT_USAGE
from tests.integration.agent.conftest import FAST, QUICK, name_of, numbers
from tests.integration.agent_process import ROOT
from tests.integration.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws
    from tests.tools.cloud.control_plane import CertificateState

CODE = "certificate-expiring"


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS; the first certificate that it signs ends in twenty days."""
    later = cloud.not_after

    def signed(operation: str, _number: int) -> None:
        if operation == "CreateCertificateFromCsr":
            cloud.not_after = later

    cloud.not_after = dt.datetime.now(dt.UTC) + dt.timedelta(days=20.5)
    cloud.faults.on_call = signed
    yield cloud
    cloud.clear()


def certificates(cloud: LocalAws, agent: AgentProcess) -> list[CertificateState]:
    """Its certificates at AWS."""
    return [one for one in cloud.certificates() if name_of(agent) in one.things]


def own(cloud: LocalAws, agent: AgentProcess) -> list[str]:
    """The ids of its certificates at AWS; each is active."""
    found = certificates(cloud, agent)
    assert {one.status for one in found} == {"ACTIVE"}
    return [one.certificate_id for one in found]


def rotate(
    agent: AgentProcess, *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command, with that on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "agent", "rotate", "--config", str(agent.config), *arguments],
        cwd=ROOT,
        env=agent.environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_certificate_that_ends_is_replaced_while_the_agent_runs(
    aws: LocalAws, make_agent: MakeAgent
) -> None:
    """One session after the other, each ended in order; every record arrives, once or again."""
    agent = make_agent(sensors=FAST, mqtt=QUICK).start()
    name = name_of(agent)
    condition = agent.wait_condition(CODE)
    assert "in 20 days" in condition["text"]
    old = certificates(aws, agent)[0].certificate_id  # beside which another may be by now

    statuses = aws.observer.wait(f"{name}/status", count=3, timeout_s=60)
    certs = agent.directory / "certs"
    agent.wait_status(  # the files of the old one go last
        lambda status: not status["conditions"] and len(list(certs.glob(f".{name}.*"))) == 1
    )

    (new,) = own(aws, agent)
    assert new != old
    assert [one.json()["state"] for one in statuses[:3]] == ["online", "offline", "online"]
    assert statuses[1].json()["reason"] == "new certificate"
    assert agent.stop() == EXIT_OK
    assert sorted(set(numbers(aws, agent))) == list(range(1, max(numbers(aws, agent)) + 1))
    there = {path.name for path in certs.iterdir()}
    assert there == {name, ".name", ".lock", f".{name}.{new[:12]}"}
    assert "Traceback" not in agent.log


def test_without_an_aws_key_a_person_gives_one(aws: LocalAws, make_agent: MakeAgent) -> None:
    """It is used and written nowhere; the agent goes on with the new certificate."""
    agent = make_agent(sensors=FAST, mqtt=QUICK, provisioning={"rotate_before_days": 0}).start()
    assert "sudo pi-iot-agent rotate" in agent.wait_condition(CODE)["hint"]
    (old,) = own(aws, agent)
    text = agent.config.read_text()
    agent.config.write_text(text.replace(str(aws.credentials_file), str(agent.directory / "none")))

    without = rotate(agent)
    assert without.returncode == EXIT_USAGE
    assert "--access-key-id" in without.stderr
    half = rotate(agent, "--secret-stdin", given="local\n")
    assert half.returncode == EXIT_USAGE
    assert "this is missing: --access-key-id" in half.stderr
    assert own(aws, agent) == [old]

    done = rotate(
        agent, "--access-key-id", "AKIALOCALCLOUD000000", "--secret-stdin", given="local\n"
    )
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert "in use now" in done.stdout
    (new,) = own(aws, agent)
    assert new != old
    agent.wait_status(lambda status: CODE not in {one["code"] for one in status["conditions"]})
    agent.wait_online()
    command = [sys.executable, "-m", "agent", "rotate", "--config", str(agent.config)]
    terminal = Terminal(command, agent.environment)
    terminal.answer("AWS access key id: ", "AKIALOCALCLOUD000000\n")
    terminal.answer("AWS secret access key (not shown): ", "local\n")
    assert terminal.end() == EXIT_OK, terminal.seen
    assert "in use now" in terminal.seen
    assert "local\r" not in terminal.seen
    (newest,) = own(aws, agent)
    assert newest not in {old, new}
    assert not (agent.directory / "none").exists()
    assert agent.stop() == EXIT_OK


def test_a_certificate_of_ones_own_is_for_its_owner_to_replace(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """The command says so, asks for nothing, and does nothing."""
    agent = make_agent(
        mqtt={"endpoint": cloud.endpoint, "cert_file": "/own.crt", "key_file": "/own.key"}
    )
    done = rotate(agent)
    assert done.returncode == EXIT_CONFIG
    assert "cert_file is set" in done.stderr
