"""The commands `provision` and `deprovision`, as processes, tell what they do and no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from agent.errors import EXIT_CONFIG, EXIT_OK, EXIT_REFUSED
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import Device, spoil_key
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from pathlib import Path

ID = "aws_access_key_id = AKIALOCALCLOUD000000\n"
SSO = """\
[default]
sso_start_url = https://x.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = Admin
"""


def point_to(device: Device, file: Path) -> None:
    """Have the device use this credentials file."""
    text = device.toml.read_text()
    device.toml.write_text(text.replace(str(device.aws.credentials_file), str(file)))


class TestCommand:
    """`provision` and `deprovision` as processes."""

    def test_the_whole_way(self, device: Device) -> None:
        """Provisioned, proven, healed, deprovisioned: one line a step, and no secret in any."""
        code, first = device.finish("provision")
        assert code == EXIT_OK, first
        device.check_whole()
        secret = device.files.key.read_text().splitlines()[3]
        spoil_key(device)
        code, second = device.finish("provision")
        assert code == EXIT_OK, second
        assert "connected with the new certificate" in second
        device.check_whole()
        code, third = device.finish("deprovision")
        assert code == EXIT_OK, third
        device.check_gone()
        for text in (first, second, third):
            assert secret not in text
            assert "aws_secret" not in text
            assert "Traceback" not in text

    def test_a_file_with_which_it_could_never_connect_is_told_first(self, device: Device) -> None:
        """As `check` does: AWS is not asked for a certificate that is of no use."""
        text = device.toml.read_text()
        device.toml.write_text(re.sub("(?m)^ca_file = .*$", 'ca_file = "none.pem"', text))
        device.aws.faults.clear()
        code, text = device.finish("provision")
        assert (code, device.aws.faults.operations()) == (EXIT_CONFIG, [])
        assert "mqtt.ca_file: " in text

    def test_what_an_old_name_has_left_is_said(self, device: Device) -> None:
        """With the command that removes it."""
        device.provision()
        text = device.toml.read_text()
        device.toml.write_text(text.replace(device.name, f"{device.name}-new"))
        code, text = device.finish("provision")
        assert code == EXIT_OK, text
        assert f"`sudo pi-iot-agent deprovision --thing {device.name}`" in text

    def test_a_refusal_ends_with_77(self, device: Device) -> None:
        """It names the action, and has no traceback."""
        device.aws.faults.inject(fault.ACCESS_DENIED, "CreateThing")
        code, text = device.finish("provision")
        assert code == EXIT_REFUSED
        assert "iot:CreateThing" in text
        assert "Traceback" not in text

    def test_a_dry_run_changes_nothing(self, device: Device) -> None:
        """It prints the plan and makes no call."""
        code, text = device.finish("provision", "--dry-run")
        assert code == EXIT_OK
        assert policy_name(device.name) in text
        assert "iot:Receive" in text
        assert not device.aws.faults.calls
        assert not device.certs.exists()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[default]\naws_secret_access_key hunter2\n", "line 2: is neither"),
            ('export AWS_SECRET_ACCESS_KEY="hunter2"\n', "line 1: is a command for a shell"),
            (f"[default]\n{ID}aws_secret_access_key = 'hunter2'\n", "line 3: .* in quotes"),
            (f"[default]\n{ID}aws_secret_access_key = hunter2 # x\n", "line 3: .* a remark"),
            (SSO, "nobody is signed in"),
        ],
        ids=["no-value", "shell", "quotes", "remark", "sso"],
    )
    def test_a_wrong_credentials_file_is_told_and_not_quoted(
        self, device: Device, text: str, words: str
    ) -> None:
        """What is wrong is said without the line that may hold the key; AWS is not asked."""
        mine = device.directory / "mine"
        mine.write_text(text)
        point_to(device, mine)
        code, output = device.finish("provision")
        assert code == EXIT_REFUSED
        assert re.search(words, output)
        assert "hunter2" not in output
        assert "internal error" not in output
        assert not device.aws.faults.calls

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_credentials_file_with_a_mark_is_used(self, device: Device, encoding: str) -> None:
        """As an editor of Windows saves it."""
        mine = device.directory / "mine"
        mine.write_text(device.aws.credentials, encoding=encoding)
        point_to(device, mine)
        code, output = device.finish("provision")
        assert code == EXIT_OK, output
        device.check_whole()
