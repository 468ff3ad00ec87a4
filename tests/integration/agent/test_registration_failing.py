"""A registration that cannot succeed is told, and asks AWS no oftener than the backoff has it."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from agent import files
from tests.integration.agent.conftest import QUICK, name_of
from tests.tools.cloud.faults import ACCESS_DENIED, THROTTLED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws
    from tests.tools.cloud.faults import Fault

#: For how long a failing state is watched; with backoffs of at least 1.1 s and eight calls in a
#: whole registration, the most calls that it may cost.
WATCHED_S = 6.0
MOST_CALLS = 8 * 7


def break_package(agent: AgentProcess, package: str, content: str) -> None:
    """Have a broken package before the real one."""
    directory = agent.directory / "broken"
    directory.mkdir()
    (directory / f"{package}.py").write_text(content)
    agent.environment["PYTHONPATH"] = str(directory)


@pytest.mark.parametrize(
    ("package", "content", "text", "hint"),
    [
        ("botocore", "raise ImportError('no X')", "exit code 1: .*ImportError('no X')", "provis"),
        ("boto3", "import os; os.kill(os.getpid(), 9)", "SIGKILL", "journalctl -k"),
        ("boto3", "raise ValueError('defect')", "exit code 1: .*ValueError('defect')", "provis"),
        ("boto3", "import os; os._exit(0)", "exit code 0, and still .*not provisioned", "provis"),
    ],
)
def test_a_child_that_dies_silently_is_told_once(
    make_agent: MakeAgent, package: str, content: str, text: str, hint: str
) -> None:
    """With how it ended, its last line and a hint; every line of the log is one of ours."""
    agent = make_agent(mqtt=QUICK)
    break_package(agent, package, content)
    agent.start()
    condition = agent.wait_condition("provisioning-failing")
    for part in text.split(".*"):
        assert part in condition["text"]
    assert hint in condition["hint"]
    time.sleep(3)
    assert agent.command("status").returncode == 1
    assert agent.stop() == 0
    lines = agent.log.splitlines()
    assert all(line.startswith("<") for line in lines)
    assert len([line for line in lines if "provisioning-failing" in line]) == 1


def rename_in_the_file(agent: AgentProcess) -> None:
    """Edit the name while the daemon waits."""
    edit(agent, f'name = "{name_of(agent)}"', 'name = "renamed"')


def move_in_the_file(agent: AgentProcess) -> None:
    """Edit where the certificates are."""
    edit(agent, str(agent.directory / "certs"), str(agent.directory / "elsewhere"))


def bring_ones_own(agent: AgentProcess) -> None:
    """Name a certificate of one's own, which the running daemon has not heard of."""
    edit(
        agent,
        "[mqtt]",
        '[mqtt]\nendpoint = "localhost"\ncert_file = "/none.crt"\nkey_file = "/none.key"',
    )


def edit(agent: AgentProcess, old: str, new: str) -> None:
    """Replace a text in the configuration."""
    text = agent.config.read_text()
    assert old in text
    agent.config.write_text(text.replace(old, new))


@pytest.mark.parametrize("change", [rename_in_the_file, move_in_the_file, bring_ones_own])
def test_an_edit_while_the_daemon_waits_changes_nothing_until_the_restart(
    cloud: LocalAws, make_agent: MakeAgent, tmp_path: Path, change: Callable[[AgentProcess], None]
) -> None:
    """It registers what it was started with, once, and says that the file has changed."""
    key = tmp_path / "late"
    agent = make_agent(mqtt=QUICK, provisioning={"credentials_file": str(key)})
    agent.environment["HOME"] = str(tmp_path)
    agent.start().wait_condition("no-aws-credentials")
    change(agent)
    shutil.copy(cloud.credentials_file, key)
    agent.wait_online()
    operations = cloud.faults.operations()
    assert operations.count("CreateCertificateFromCsr") == 1
    assert len(operations) <= MOST_CALLS
    assert (agent.directory / "certs" / name_of(agent) / "identity.json").exists()
    agent.wait_condition("config-changed", timeout_s=120)


def test_a_spoiled_ca_file_costs_no_call(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """The identity is sound: it is the file that is told, and nothing is registered again."""
    ca_file = cloud.ca_file.with_name("copy.pem")
    shutil.copy(cloud.ca_file, ca_file)
    agent = make_agent(mqtt={**QUICK, "ca_file": str(ca_file)}).start()
    agent.wait_online()
    agent.stop()
    calls = len(cloud.faults.calls)
    ca_file.write_text("spoiled")
    agent.start()
    condition = agent.wait_condition("ca-file-invalid")
    assert str(ca_file) in condition["text"]
    time.sleep(3)
    assert len(cloud.faults.calls) == calls
    assert {one["code"] for one in agent.status()["conditions"]} == {"ca-file-invalid"}
    shutil.copy(cloud.ca_file, ca_file)
    agent.wait_online()


@pytest.mark.parametrize(
    ("fault", "operation"), [(ACCESS_DENIED, "CreatePolicy"), (THROTTLED, "CreateThing")]
)
def test_calls_to_aws_stay_within_the_backoff(
    cloud: LocalAws, make_agent: MakeAgent, fault: Fault, operation: str
) -> None:
    """However a registration fails, it is not tried without a pause."""
    agent = make_agent(mqtt=QUICK)
    cloud.faults.inject(fault, operation)
    agent.start()
    agent.wait_status(lambda _: bool(cloud.faults.calls))
    time.sleep(WATCHED_S)
    assert len(cloud.faults.calls) <= MOST_CALLS


def test_a_registration_by_hand_is_waited_for(cloud: LocalAws, make_agent: MakeAgent) -> None:
    """No call is made meanwhile; then the daemon registers what is missing."""
    agent = make_agent(mqtt=QUICK)
    certs = agent.directory / "certs"
    certs.mkdir(mode=0o700)
    with ExitStack() as person:
        person.enter_context(files.lock(certs / ".by-hand", "a person"))
        agent.start()
        agent.wait_status(lambda status: "by hand" in status["progress"])
        assert agent.status()["conditions"] == []
        assert not cloud.faults.calls
    agent.wait_online()


def test_an_identity_of_another_board_is_told_while_it_is_used(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """A copied card connects, and says that it is a copy."""
    agent = make_agent(mqtt=QUICK).start()
    agent.wait_online()
    agent.stop()
    identity = agent.directory / "certs" / name_of(agent) / "identity.json"
    text = identity.read_text().rstrip().removesuffix("}").rstrip()
    identity.write_text(f'{text},\n"serial": "00000000deadbeef"}}')
    agent.start().wait_online()
    assert "00000000deadbeef" in agent.wait_condition("identity-copied")["text"]
    assert "UpdateThing" not in cloud.faults.operations()


def test_a_replaced_certificate_that_stays_is_told_until_it_is_removed(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """With the permission that is missing; the next start tries again."""
    agent = make_agent(mqtt=QUICK).start()
    agent.wait_online()
    agent.stop()
    name = name_of(agent)
    (agent.directory / "certs" / name / f"{name}-private.pem.key").unlink()
    cloud.faults.inject(ACCESS_DENIED, "DeleteCertificate")
    agent.start().wait_online()
    assert "iot:DeleteCertificate" in agent.wait_condition("leftover-certificate")["text"]
    agent.stop()
    cloud.faults.heal()
    agent.start().wait_online()
    agent.wait_status(lambda _: len([c for c in cloud.certificates() if name in c.things]) == 1)
    agent.wait_status(lambda status: status["conditions"] == [])
