"""The local AWS gives an agent and a person all that they need, one cloud at a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent import config as configuration
from tests.tools.cloud import LocalAws


def test_two_local_clouds_in_one_process_are_refused(running_aws: LocalAws) -> None:
    """The state of moto is the process's."""
    del running_aws
    with pytest.raises(RuntimeError, match="one local cloud at a time"), LocalAws():
        pass


def test_what_an_agent_needs_is_complete(aws: LocalAws, tmp_path: Path) -> None:
    """The TOML, the credentials file (private) and an environment without other AWS settings."""
    text = aws.agent_toml(tmp_path, name="porch", mqtt={"protocol": "3.1.1", "ca_file": None})
    table = tomllib.loads(text)
    assert table["thing"] == {"name": "porch"}
    assert table["aws"]["endpoint_url"] == aws.endpoint_url
    assert table["mqtt"] == {"port": aws.port, "protocol": "3.1.1"}
    assert [sensor["name"] for sensor in table["sensors"]] == ["motion", "room"]
    assert aws.credentials_file.stat().st_mode & 0o777 == 0o600
    environment = aws.environment
    assert {name for name in environment if name.startswith("AWS_")} == {
        "AWS_EC2_METADATA_DISABLED",
        "AWS_CONFIG_FILE",
    }


def test_by_hand_it_gives_a_claim(tmp_path: Path) -> None:
    """With --claim the configuration is one for a fleet's claim certificate, which is there."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cloud", "--claim", "--for", "0", "--directory", tmp_path],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=True,
    )
    toml = tmp_path / "agent.toml"
    assert toml.read_text() in done.stdout
    config = configuration.load(toml, options_of=lambda _: dict, environment={})
    assert config.provisioning.method == "claim"
    assert config.provisioning.claim_cert_file == tmp_path / "claim" / "claim-certificate.pem.crt"
    assert config.provisioning.claim_cert_file.is_file()


@pytest.mark.parametrize("claim", [False, True])
def test_without_a_compiler_all_but_fleet_provisioning_works(tmp_path: Path, claim: bool) -> None:  # noqa: FBT001
    """And that says what to install."""
    options = ["--claim"] if claim else []
    done = subprocess.run(
        [sys.executable, "-m", "tests.cloud", *options, "--for", "0"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == int(claim)
    assert ("sudo apt install gcc libc6-dev mosquitto-dev" in done.stderr) == claim
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", ["for", "interrupt", "terminate"])
def test_by_hand_it_says_what_to_do_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    """`python3 -m tests.cloud` ends with 0 after --for, Ctrl-C and SIGTERM, without a process."""
    command = [sys.executable, "-m", "tests.cloud", "--directory", str(tmp_path / "cloud")]
    with subprocess.Popen(
        [*command, *(["--for", "1"] if how == "for" else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Messages") and how != "for":
                process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGTERM)
        assert process.wait(20) == 0, "".join(lines)
    text = "".join(lines)
    assert "Traceback" not in text
    config = tomllib.loads((tmp_path / "cloud" / "agent.toml").read_text())
    assert f"port = {config['mqtt']['port']}\n" in text
    assert config["provisioning"]["credentials_file"] in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", config["mqtt"]["port"]), 1)
