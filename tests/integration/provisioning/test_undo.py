"""`deprovision` leaves nothing behind, at AWS and here, or says what and why."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.errors import EXIT_OK, EXIT_REFUSED, EXIT_TEMPORARY, EXIT_USAGE, CloudError, RefusedError
from agent.provisioning import remover
from agent.provisioning.policy import policy_name
from agent.provisioning.removal import deprovision
from tests.integration.provisioning.device import Device, policies, spoil_key, take, things
from tests.tools.cloud import LocalAws
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from pathlib import Path


def rename(device: Device, name: str) -> str:
    """Have the configuration say another name; the one before."""
    before, device.name = device.name, name
    text = device.toml.read_text()
    device.toml.write_text(text.replace(json.dumps(before), json.dumps(name)))
    return before


class TestAgent:
    """A running agent would register itself again."""

    def test_beside_a_running_agent_it_refuses(self, device: Device) -> None:
        """It says how to end it, and changes nothing."""
        device.provision()
        lock = device.config.paths.lock_file
        lock.parent.mkdir()
        with files.lock(lock, "a test"):
            code, text = device.finish("deprovision")
        assert code == EXIT_TEMPORARY, text
        assert "sudo systemctl disable --now pi-iot-agent" in text
        device.check_whole()

    def test_beside_one_that_runs_under_another_name_it_does_its_work(self, device: Device) -> None:
        """What that agent tells to remove can be removed at once."""
        device.provision()
        paths = device.config.paths
        paths.runtime.mkdir()
        paths.status_file.write_text('{"thing": "another"}')
        with files.lock(paths.lock_file, "a test"):
            code, text = device.finish("deprovision", "--thing", device.name)
        assert code == EXIT_OK, text
        device.check_gone()

    def test_an_agent_that_starts_meanwhile_is_kept_from_running(self, device: Device) -> None:
        """Its lock is held."""
        device.provision()
        lock = device.config.paths.lock_file
        lock.parent.mkdir()
        device.aws.faults.clear()
        held: list[bool] = []
        device.aws.faults.on_call = lambda _, __: held.append(files.is_locked(lock))
        code, text = device.finish("deprovision")
        assert code == EXIT_OK, text
        assert held
        assert all(held)
        assert not files.is_locked(lock)
        device.check_gone()

    def test_where_there_is_no_runtime_directory_nothing_runs(self, device: Device) -> None:
        """It goes with the service (RuntimeDirectory, systemd.exec(5))."""
        device.provision()
        assert not device.config.paths.runtime.exists()
        code, text = device.finish("deprovision")
        assert code == EXIT_OK, text
        assert "left at AWS: nothing" in text
        device.check_gone()


class TestOtherNames:
    """What a name that is not configured any more has left behind."""

    def test_another_name_is_removed_alone(self, device: Device) -> None:
        """Thing, policy, generations; the configured one stays."""
        device.provision()
        old = rename(device, f"{device.name}-b")
        device.provision()
        code, text = device.finish("deprovision", "--thing", old)
        assert code == EXIT_OK, text
        assert not things(device.aws, old)
        assert policy_name(old) not in policies(device.aws)
        device.check_whole()

    @pytest.mark.parametrize("name", ["../certs", "", "a b"])
    def test_a_name_that_no_thing_has_is_a_usage_error(self, device: Device, name: str) -> None:
        """It never becomes a path."""
        code, text = device.finish("deprovision", "--forget", "--thing", name)
        assert code == EXIT_USAGE
        assert "name" in text


class TestForget:
    """The owner says that what is at AWS shall stay."""

    def test_the_files_alone_go(self, device: Device) -> None:
        """No call is made, and the certificate is named."""
        device.provision()
        (one,) = device.own()
        device.aws.faults.clear()
        code, text = device.finish("deprovision", "--forget")
        assert code == EXIT_OK, text
        assert one.certificate_id in text
        assert not device.aws.faults.calls
        assert device.own() == [one]
        assert not device.names()

    def test_a_generation_of_another_account_is_never_lost_otherwise(self, device: Device) -> None:
        """Also where it is not the one in use."""
        device.provision()
        old = device.files.directory.resolve()
        identity = json.loads(device.files.identity.read_text())
        device.files.identity.write_text(json.dumps({**identity, "account": "999999999999"}))
        device.provision()
        with pytest.raises(RefusedError, match="999999999999"):
            device.deprovision()
        assert old.is_dir()
        assert things(device.aws, device.name)


class TestAws:
    """What is at AWS."""

    def test_a_failing_removal_keeps_the_files(self, device: Device) -> None:
        """All else is removed, and the next run goes on."""
        device.provision()
        device.aws.faults.inject(fault.ACCESS_DENIED, "DeletePolicy")
        code, text = device.finish("deprovision")
        assert code == EXIT_REFUSED
        assert "iot:DeletePolicy" in text
        assert not things(device.aws, device.name)
        assert not device.own()
        assert device.files.certificate.is_file()
        device.aws.faults.clear()
        device.deprovision()
        device.check_gone()

    def test_a_certificate_that_stays_keeps_policy_and_thing(self, device: Device) -> None:
        """They are its; all three are removed by the next run."""
        device.provision()
        device.aws.faults.inject(fault.ACCESS_DENIED, "UpdateCertificate", first=9)
        with pytest.raises(RefusedError, match="iot:UpdateCertificate"):
            device.deprovision()
        assert len(device.own()) == 1
        assert device.files.certificate.is_file()
        device.aws.faults.clear()
        device.deprovision()
        device.check_gone()

    def test_what_comes_back_is_noticed(self, device: Device) -> None:
        """The files stay until AWS confirms that all is gone."""
        device.provision()

        def make_again(operation: str, _number: int) -> None:
            if operation == "DeleteThing":
                device.aws.iot.create_thing(thingName=device.name)

        device.aws.faults.on_call = make_again
        before, remover.DETACH_S = remover.DETACH_S, 0.1
        try:
            with (
                device.generations.locked(),
                pytest.raises(CloudError, match=f"AWS still has thing {device.name}"),
            ):
                deprovision(
                    device.config,
                    device.cloud(),
                    device.retry(patience_s=0.1),
                    serial=device.serial,
                )
        finally:
            remover.DETACH_S = before
        assert device.files.certificate.is_file()
        device.aws.faults.clear()
        device.deprovision()
        device.check_gone()

    def test_what_is_left_is_said_with_the_reason(self, device: Device) -> None:
        """A thing of another board, and the policy of another certificate."""
        device.provision()
        other = device.aws.iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        device.aws.iot.attach_policy(policyName=policy_name(device.name), target=other)
        take(device, board="another")
        device.deprovision()
        (last,) = [each.text for each in device.reports if each.step == "verify"]
        assert f"policy {policy_name(device.name)} (other certificates have it)" in last
        assert f"thing {device.name} (it belongs to the board" in last

    def test_a_card_that_has_lost_all_still_removes_its_board(self, device: Device) -> None:
        """The thing carries its serial number."""
        device.provision()
        shutil.rmtree(device.certs)
        device.deprovision()
        device.check_gone()

    def test_a_certificate_whose_answer_was_lost_goes_too(self, device: Device) -> None:
        """It had no other use."""
        device.provision()
        spoil_key(device)
        device.aws.faults.inject(fault.RESPONSE_LOST, "CreateCertificateFromCsr", first=2)
        device.register()
        device.deprovision()
        device.check_gone()
        assert not device.aws.certificates()


class TestKey:
    """The AWS key on the device."""

    def test_it_is_erased_last_if_asked_for(self, aws: LocalAws, tmp_path_factory: object) -> None:
        """Else one line says that it is still there, and how to erase it."""
        directory = tmp_path_factory.mktemp("device")  # type: ignore[attr-defined]
        key = directory / "credentials"
        files.write_new(key, aws.credentials.encode())
        device = Device(aws, directory, provisioning={"credentials_file": str(key)})
        code, text = device.finish("provision")
        assert code == EXIT_OK, text
        aws.faults.inject(fault.ACCESS_DENIED, "DeleteThing", first=1)
        code, text = device.finish("deprovision", "--erase-key")
        assert code == EXIT_REFUSED
        assert key.is_file()
        code, text = device.finish("deprovision")
        assert code == EXIT_OK, text
        assert f"{key}: the AWS key is still there" in text
        assert "--erase-key" in text
        code, text = device.finish("deprovision", "--forget", "--erase-key")
        assert code == EXIT_OK, text
        assert f"{key}: the AWS key is erased" in text
        assert not key.exists()

    def test_without_one_it_says_where_to_write_it(self, device: Device, tmp_path: Path) -> None:
        """`setup` has left none; the files alone can go at once. With nothing here all is well."""
        device.provision()
        text = device.toml.read_text()
        known = str(device.aws.credentials_file)
        device.toml.write_text(text.replace(known, str(tmp_path / "none")))
        code, text = device.finish("deprovision")
        assert code == EXIT_REFUSED
        assert "there is no AWS key to remove this device with" in text
        assert f"write one to {tmp_path / 'none'}" in text
        assert "--forget" in text
        assert device.finish("deprovision", "--forget")[0] == EXIT_OK
        assert device.finish("deprovision")[0] == EXIT_OK
