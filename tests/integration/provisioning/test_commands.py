"""The commands `provision` and `deprovision`, as processes, tell what they do and no secret."""

from __future__ import annotations

from agent.errors import EXIT_OK, EXIT_REFUSED
from agent.provisioning.policy import policy_name
from tests.integration.provisioning.device import Device, spoil_key
from tests.tools.cloud import faults as fault


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

    def test_a_spoiled_credentials_file_is_not_quoted(self, device: Device) -> None:
        """What is wrong is said without the line that may hold the key."""
        mine = device.directory / "mine"
        mine.write_text("[default]\naws_secret_access_key hunter2\n")
        text = device.toml.read_text()
        device.toml.write_text(text.replace(str(device.aws.credentials_file), str(mine)))
        code, output = device.finish("provision")
        assert code == EXIT_REFUSED
        assert str(mine) in output
        assert "hunter2" not in output
