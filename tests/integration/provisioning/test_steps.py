"""Provisioning against a control plane that fails in every way, and that does not."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import board
from agent import config as configuration
from agent.errors import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_TEMPORARY,
    BusyError,
    CredentialsError,
    LinkLostError,
    NoAwsCredentialsError,
    RefusedError,
    TransientCloudError,
)
from agent.files import lock
from agent.identity import ROOT_CA_1, Generations, amazon_roots, has_replaced, load
from agent.identity.credentials import Files
from agent.provisioning import removal
from agent.provisioning.cloud import Answer, Caller, Cloud
from agent.provisioning.policy import policy_name
from agent.provisioning.provisioner import provision
from agent.provisioning.retry import Retry
from agent.uplink.child import Child
from agent.wakeup import Wakeup
from tests.tools.cloud import LocalAws
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Config
    from agent.health.progress import Progress

ROOT = Path(__file__).parents[3]
NAMES = itertools.count()

#: The calls of a first provisioning, in their order.
CALLS = [
    "GetCallerIdentity",
    "DescribeEndpoint",
    "CreateThing",
    "CreatePolicy",
    "CreateKeysAndCertificate",
    "AttachPolicy",
    "AttachThingPrincipal",
    "UpdateCertificate",
]


class CrashError(BaseException):
    """Stands for SIGKILL inside the test's own process: nothing handles it."""


class CrashingCloud(Cloud):
    """A control plane that kills its caller after the effect of call `crash_at`.

    It asks only once who it is, to be quick.
    """

    crash_at = 0
    made = 0
    known: Caller | None = None

    def caller(self) -> Caller:
        """Whose key it is."""
        self.known = self.known or super().caller()
        return self.known

    def call(self, operation: str, resource: str, **parameters: object) -> Answer:
        """Make the call; then perhaps crash."""
        answer = super().call(operation, resource, **parameters)
        self.made += 1
        if self.made == self.crash_at:
            raise CrashError
        return answer


def one_root(directory: Path) -> Path:
    """A system that trusts one root only: fewer files, so that tests are quick."""
    path = directory / "bundle.crt"
    if not path.exists():
        path.write_text(amazon_roots()[ROOT_CA_1])
    return path


class Device:
    """One device with a directory and a name of its own."""

    def __init__(self, aws: LocalAws, directory: Path, **sections: Any) -> None:  # noqa: ANN401
        self.aws = aws
        self.directory = directory
        self.name = f"device-{next(NAMES)}:a"
        self.serial = board.serial()
        self.toml = directory / "agent.toml"
        self.toml.write_text(aws.agent_toml(directory, name=self.name, sensors=[], **sections))
        self.reports: list[Progress] = []
        self.waited_s: list[float] = []
        self._cloud: CrashingCloud | None = None

    @property
    def config(self) -> Config:
        """What the file says."""
        return configuration.load(self.toml, options_of=lambda _: dict, environment={})

    @property
    def certs(self) -> Path:
        """Where its generations are."""
        return self.directory / "certs"

    @property
    def files(self) -> Files:
        """What it uses."""
        return Files(self.certs / self.name, self.name)

    def cloud(self, crash_at: int = 0) -> CrashingCloud:
        """Its session with AWS."""
        if self._cloud is None:
            self._cloud = CrashingCloud(self.config)
        self._cloud.crash_at, self._cloud.made = crash_at, 0
        return self._cloud

    def close(self) -> None:
        """Close the session."""
        if self._cloud is not None:
            self._cloud.close()

    def retry(self, *, patience_s: float = 20.0) -> Retry:
        """Attempts that note their waits and do not wait."""
        return Retry(self.reports.append, patience_s=patience_s, sleep=self.waited_s.append)

    def provision(self, *, crash_at: int = 0, prove: Callable[[], None] = lambda: None) -> int:
        """Provision and retire as the command does; the number of calls to IoT."""
        cloud = self.cloud(crash_at)
        provision(
            self.config,
            cloud,
            self.retry(),
            serial=self.serial,
            bundles=[one_root(self.directory)],
        )
        removal.retire(self.config, cloud, self.retry(), prove=prove)
        return cloud.made

    def deprovision(self, *, crash_at: int = 0) -> int:
        """Deprovision; the number of calls to IoT."""
        cloud = self.cloud(crash_at)
        removal.deprovision(self.config, cloud, self.retry(), serial=self.serial)
        return cloud.made

    def command(self, *words: str) -> subprocess.Popen[str]:
        """A command of the agent as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "agent", *words, "--config", str(self.toml)],
            cwd=ROOT,
            env=self.aws.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *words: str) -> tuple[int, str]:
        """A command's exit code and all that it printed."""
        process = self.command(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err

    def own(self) -> list[Any]:
        """Its certificates at AWS: those that are its thing's."""
        return [one for one in self.aws.certificates() if self.name in one.things]

    def check_keys(self) -> None:
        """Every active certificate of this device has its key on disk."""
        held = {
            Generations(self.certs, self.name).fingerprint(path)
            for path in self.certs.glob("*" if self.certs.is_dir() else "")
            if Files(path, self.name).key.is_file()
        } | {
            Generations(self.certs, self.name).fingerprint(path)
            for path in self.certs.glob(".*")
            if Files(path, self.name).key.is_file()
        }
        assert {one.certificate_id for one in self.own() if one.status == "ACTIVE"} <= held

    def check_whole(self) -> None:
        """It is provisioned: one certificate, active, attached to thing and policy; files whole."""
        found = load(self.config)
        assert found.identity
        (one,) = self.own()
        assert one.status == "ACTIVE"
        assert one.policies == (policy_name(self.name),)
        assert one.certificate_id == found.identity.certificate_id
        assert one.arn == found.identity.certificate_arn
        assert found.identity.endpoint == self.aws.endpoint
        visible = {path.name for path in self.certs.iterdir()}
        generation = f".{self.name}.{one.certificate_id[:12]}"
        assert visible == {self.name, ".lock", generation}
        assert not list((self.certs / self.name).glob(".*"))

    def check_gone(self) -> None:
        """Neither AWS nor the disk has anything of it."""
        assert [path.name for path in self.certs.iterdir()] == [".lock"]
        assert not self.own()
        assert not things(self.aws, self.name)
        assert policy_name(self.name) not in policies(self.aws)


def things(aws: LocalAws, name: str) -> list[Any]:
    """The thing of this name, if there is one."""
    try:
        return [aws.iot.describe_thing(thingName=name)]
    except aws.iot.exceptions.ResourceNotFoundException:
        return []


def policies(aws: LocalAws) -> list[str]:
    """The names of all policies."""
    return [policy["policyName"] for policy in aws.iot.list_policies()["policies"]]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One local AWS for all tests here."""
    with LocalAws(tmp_path_factory.mktemp("aws")) as found:
        yield found


@pytest.fixture
def aws(cloud: LocalAws) -> Iterator[LocalAws]:
    """The local AWS, without certificates or faults."""
    yield cloud
    cloud.faults.clear()
    for one in cloud.certificates():
        for policy in one.policies:
            cloud.iot.detach_policy(policyName=policy, target=one.arn)
        for thing in one.things:
            cloud.iot.detach_thing_principal(thingName=thing, principal=one.arn)
        cloud.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")
        cloud.iot.delete_certificate(certificateId=one.certificate_id)


@pytest.fixture
def device(aws: LocalAws, tmp_path: Path) -> Iterator[Device]:
    """A device that has nothing but an AWS key."""
    found = Device(aws, tmp_path)
    yield found
    found.close()


def test_a_device_is_provisioned_in_the_order_of_the_design(device: Device) -> None:
    """Eight calls, the certificate inactive until its key is on disk and it is attached."""
    device.provision()
    device.check_whole()
    assert device.aws.faults.operations() == CALLS
    (thing,) = things(device.aws, device.name)
    assert thing["attributes"] == {"serial": device.serial}


def test_files_have_the_names_and_modes_of_the_design(device: Device) -> None:
    """The key is 0600 and the directories are 0700 whatever the umask."""
    before = os.umask(0)
    try:
        device.provision()
    finally:
        os.umask(before)
    names = {path.name for path in (device.certs / device.name).iterdir()}
    assert {
        f"{device.name}-certificate.pem.crt",
        f"{device.name}-private.pem.key",
        f"{device.name}-public.pem.key",
        "AmazonRootCA1.pem",
        "identity.json",
    } <= names
    assert stat.S_IMODE(device.files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(device.certs.stat().st_mode) == 0o700
    assert stat.S_IMODE((device.certs / device.name).stat().st_mode) == 0o700
    assert set(json.loads(device.files.identity.read_text())) == {
        "thing",
        "account",
        "region",
        "endpoint",
        "certificate_arn",
        "certificate_id",
        "policy",
        "created",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_makes_belongs_to_the_agents_user(device: Device) -> None:
    """`sudo pi-iot-agent provision` leaves files that the agent can use: the owner of `<certs>`."""
    device.certs.mkdir(mode=0o700)
    os.chown(device.certs, 65534, 65534)
    device.provision()
    found = [device.certs / ".lock", *(device.certs / device.name).resolve().iterdir()]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(65534, 65534)}


def test_provisioning_again_keeps_the_certificate(device: Device) -> None:
    """A sound identity that AWS knows is only checked."""
    device.provision()
    before = load(device.config)
    device.provision()
    device.check_whole()
    assert load(device.config) == before


@pytest.mark.parametrize(
    "found",
    [fault.THROTTLED, fault.INTERNAL_FAILURE, fault.UNAVAILABLE, fault.CONNECTION_RESET],
    ids=["throttled", "500", "503", "reset"],
)
def test_each_call_may_fail_three_times(device: Device, found: fault.Fault) -> None:
    """What passes by itself is tried again, with growing waits, until it has passed."""
    device.aws.faults.inject(found, first=3)
    device.provision()
    device.check_whole()
    assert len(device.aws.certificates()) == 1
    assert len(device.waited_s) == 3 * len(CALLS)
    assert all(0 <= wait_s <= 2 for wait_s in device.waited_s)


@pytest.mark.parametrize("operation", CALLS)
def test_an_answer_may_be_lost_after_the_effect(device: Device, operation: str) -> None:
    """The call is made again; a certificate whose key nobody has is never active."""
    device.aws.faults.inject(fault.RESPONSE_LOST, operation, first=2)
    device.provision()
    device.check_whole()
    assert [one.status for one in device.aws.certificates()].count("ACTIVE") == 1


def test_a_call_may_hang(device: Device) -> None:
    """Three seconds are no failure."""
    device.aws.faults.inject(fault.hang(3), "CreateKeysAndCertificate", first=1)
    device.provision()
    device.check_whole()
    assert not device.waited_s


def test_patience_ends(device: Device) -> None:
    """What does not pass is given up, as a failure that may pass yet."""
    device.aws.faults.inject(fault.THROTTLED)
    with Cloud(device.config) as cloud, pytest.raises(TransientCloudError, match="Throttling"):
        provision(device.config, cloud, device.retry(patience_s=0.2), serial=device.serial)
    codes = [report.code for report in device.reports]
    assert codes[0] == ""
    assert set(codes[1:]) == {"provisioning-failing"}


@pytest.mark.parametrize("number", range(1, len(CALLS) + 1))
def test_sigkill_after_any_call_is_mended_by_the_next_run(device: Device, number: int) -> None:
    """The process is killed after the effect of the call, before its answer."""
    process = device.command("provision")
    device.aws.faults.on_call = lambda _, made: process.kill() if made == number else None
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    device.check_keys()
    device.aws.faults.clear()
    device.provision()
    device.check_whole()
    assert [one.status for one in device.aws.certificates()].count("ACTIVE") == 1


def spoil_key(device: Device) -> None:
    """Lose the key."""
    device.files.key.unlink()


def test_replacing_survives_a_crash_after_any_call(device: Device) -> None:
    """Healing a spoiled identity, and removing what it replaces, is finished by the next run."""
    device.provision()
    for crash_at in itertools.count(1):
        spoil_key(device)
        try:
            device.provision(crash_at=crash_at)
        except CrashError:
            device.provision()
            device.check_whole()
        else:
            break
    device.check_whole()
    assert crash_at > 12


def test_deprovisioning_survives_a_crash_after_any_call(device: Device) -> None:
    """What is left to remove is found by the next run."""
    for crash_at in itertools.count(1):
        device.provision()
        with suppress(CrashError):
            device.deprovision(crash_at=crash_at)
            break
        device.deprovision()
        device.check_gone()
    device.check_gone()
    assert crash_at > 8


WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod"}


class Disk:
    """Crashes the armed thread before its n-th change to the disk; an audit hook (PEP 578)."""

    def __init__(self) -> None:
        self._thread = 0
        self._left = 0
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._thread or threading.get_ident() != self._thread:
            return
        writes = event in WRITES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        )
        if writes:
            self._left -= 1
            if self._left == 0:
                raise CrashError

    @contextmanager
    def crash_before(self, number: int) -> Iterator[None]:
        """Crash before that change."""
        self._left, self._thread = number, threading.get_ident()
        try:
            yield
        finally:
            self._thread = 0


@pytest.fixture(scope="module")
def disk() -> Disk:
    """The disk under this thread; a hook cannot be taken back, so there is one."""
    return Disk()


@pytest.mark.parametrize(("older", "first"), [(False, 1), (True, 9)], ids=["link", "directory"])
def test_a_crash_at_any_change_of_the_disk_is_mended(
    device: Device, disk: Disk, first: int, *, older: bool
) -> None:
    """Making, switching and removing generations may stop anywhere, with an older directory too."""
    device.provision()
    for number in itertools.count(first, 2 if older else 1):
        device.files.public_key.unlink()
        if older:
            make_directory(device)
        try:
            with disk.crash_before(number):
                device.provision()
        except CrashError:
            device.check_keys()
            device.provision()
            device.check_whole()
        else:
            break
    device.check_whole()
    assert number > 12


def test_a_crash_while_files_are_removed_is_mended(device: Device, disk: Disk) -> None:
    """The next run removes the rest."""
    for number in itertools.count(1, 2):
        device.provision()
        with suppress(CrashError):
            with disk.crash_before(number):
                device.deprovision()
            break
        device.deprovision()
        device.check_gone()
    device.check_gone()
    assert number > 8


def make_directory(device: Device) -> None:
    """Have a real directory where the link is, as the tutorial leaves it."""
    generation = device.files.directory.resolve()
    device.files.directory.unlink()
    generation.rename(device.files.directory)
    device.files.identity.unlink(missing_ok=True)


def change_identity(**values: object) -> Callable[[Device], None]:
    """Have identity.json say something else."""

    def change(device: Device) -> None:
        old = json.loads(device.files.identity.read_text())
        device.files.identity.write_text(json.dumps({**old, **values}))

    return change


def cut(name: str, length: int, text: str = "") -> Callable[[Device], None]:
    """Have a file end early, and then go on with `text`."""

    def change(device: Device) -> None:
        path: Path = getattr(device.files, name)
        path.write_text(path.read_text()[:length] + text)

    return change


def empty(device: Device) -> None:
    """Lose all files."""
    for path in device.files.directory.iterdir():
        path.unlink()


def foreign_link(device: Device) -> None:
    """Keep the files elsewhere, and lose the key."""
    elsewhere = device.directory / "elsewhere"
    shutil.move(device.files.directory.resolve(), elsewhere)
    device.files.directory.unlink()
    device.files.directory.symlink_to(elsewhere)
    device.files.key.unlink()


SPOILS: dict[str, Callable[[Device], None]] = {
    "no key": spoil_key,
    "no certificate": lambda device: device.files.certificate.unlink(),
    "no public key": lambda device: device.files.public_key.unlink(),
    "no identity": lambda device: device.files.identity.unlink(),
    "bad JSON": cut("identity", 30),
    "no object": cut("identity", 0, "[1]"),
    "field missing": change_identity(endpoint=""),
    "other thing": change_identity(thing="another"),
    "other account": change_identity(account="999999999999"),
    "half a certificate": cut("certificate", 300),
    "half a key": cut("key", 300),
    "empty key": cut("key", 0),
    "all files lost": empty,
    "older directory": make_directory,
    "link elsewhere": foreign_link,
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_spoiled_identity_is_replaced(device: Device, spoil: Callable[[Device], None]) -> None:
    """A new certificate is made, and the one that it replaces is gone from AWS."""
    device.provision()
    (before,) = device.own()
    spoil(device)
    if spoil is not SPOILS["other account"]:
        with pytest.raises(CredentialsError):
            load(device.config)
    device.provision()
    device.check_whole()
    (after,) = device.aws.certificates()
    assert after.certificate_id != before.certificate_id


@pytest.mark.parametrize(
    "spoil",
    [
        lambda device: device.files.key.chmod(0o644),
        lambda device: device.files.root.unlink(),
        lambda device: device.files.root.write_text("no certificate"),
        change_identity(endpoint="old.example.com"),
        lambda device: device.aws.iot.update_certificate(
            certificateId=device.own()[0].certificate_id, newStatus="INACTIVE"
        ),
        lambda device: device.aws.iot.detach_policy(
            policyName=policy_name(device.name), target=device.own()[0].arn
        ),
    ],
    ids=["mode", "no root", "bad root", "endpoint", "inactive", "no policy"],
)
def test_what_can_be_mended_keeps_the_certificate(
    device: Device, spoil: Callable[[Device], None]
) -> None:
    """Roots, modes, the endpoint, status and attachments are put right."""
    device.provision()
    (before,) = device.own()
    spoil(device)
    device.provision()
    device.check_whole()
    assert device.own() == [before]
    assert stat.S_IMODE(device.files.key.stat().st_mode) == 0o600


def test_a_certificate_that_aws_has_forgotten_is_replaced(device: Device) -> None:
    """Deleted at AWS by hand, it is made anew."""
    device.provision()
    (one,) = device.own()
    device.aws.iot.detach_policy(policyName=one.policies[0], target=one.arn)
    device.aws.iot.detach_thing_principal(thingName=device.name, principal=one.arn)
    device.aws.iot.update_certificate(certificateId=one.certificate_id, newStatus="INACTIVE")
    device.aws.iot.delete_certificate(certificateId=one.certificate_id)
    device.provision()
    device.check_whole()


def test_a_policy_that_says_something_else_is_corrected(device: Device) -> None:
    """A new default version is made, and at five the oldest other one gives way."""
    name = policy_name(device.name)
    open_to_all = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }
    device.aws.iot.create_policy(policyName=name, policyDocument=json.dumps(open_to_all))
    for _ in range(4):
        device.aws.iot.create_policy_version(
            policyName=name, policyDocument=json.dumps(open_to_all)
        )
    device.provision()
    device.check_whole()
    found = device.aws.iot.get_policy(policyName=name)["policyDocument"]
    document = found if isinstance(found, dict) else json.loads(found)
    actions = [statement["Action"] for statement in document["Statement"]]
    assert actions == ["iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"]
    versions = device.aws.iot.list_policy_versions(policyName=name)["policyVersions"]
    assert sorted(version["versionId"] for version in versions) == ["1", "3", "4", "5", "6"]


def test_a_name_of_another_board_is_left_alone(device: Device) -> None:
    """Nothing of the other device is touched, and nothing of this one is made."""
    device.aws.iot.create_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": "77"}}
    )
    with pytest.raises(RefusedError, match="belongs to another device") as caught:
        device.provision()
    assert "--take-over" in caught.value.hint
    assert not device.aws.certificates()
    assert policy_name(device.name) not in policies(device.aws)


def test_a_name_of_another_board_can_be_taken_over(device: Device) -> None:
    """On request the thing becomes this board's."""
    device.aws.iot.create_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": "77"}}
    )
    with Cloud(device.config) as cloud:
        provision(device.config, cloud, device.retry(), serial=device.serial, take_over=True)
    device.check_whole()
    (thing,) = things(device.aws, device.name)
    assert thing["attributes"] == {"serial": device.serial}


def test_a_thing_without_a_serial_number_is_adopted(device: Device) -> None:
    """The tutorial's things carry none."""
    device.aws.iot.create_thing(thingName=device.name)
    device.provision()
    device.check_whole()


@pytest.mark.parametrize("operation", CALLS[1:])
def test_a_refusal_names_the_action(device: Device, operation: str) -> None:
    """What to grant is said; it is not tried again by itself."""
    device.aws.faults.inject(fault.ACCESS_DENIED, operation)
    with pytest.raises(RefusedError, match=f"iot:{operation}") as caught:
        device.provision()
    assert f"iot:{operation}" in caught.value.hint
    assert not device.waited_s
    device.aws.faults.clear()
    device.provision()
    device.check_whole()


def test_the_replaced_certificate_stays_until_the_new_one_has_connected(device: Device) -> None:
    """A new certificate that does not work takes nothing away."""

    def fail() -> None:
        raise LinkLostError("refused")

    device.provision()
    (old,) = device.own()
    spoil_key(device)
    with Cloud(device.config) as cloud:
        provision(device.config, cloud, device.retry(), serial=device.serial)
        before = removal.PROOF_S
        removal.PROOF_S = 0.1
        try:
            with pytest.raises(LinkLostError):
                removal.retire(device.config, cloud, device.retry(patience_s=0.1), prove=fail)
        finally:
            removal.PROOF_S = before
    assert old in device.own()
    assert has_replaced(device.certs, device.name)
    device.provision()
    device.check_whole()
    assert not has_replaced(device.certs, device.name)


def test_a_certificate_that_another_thing_uses_is_only_detached(device: Device) -> None:
    """It stays active for the other."""
    device.provision()
    (old,) = device.own()
    other = f"{device.name}-other"
    device.aws.iot.create_thing(thingName=other)
    device.aws.iot.attach_thing_principal(thingName=other, principal=old.arn)
    spoil_key(device)
    device.provision()
    device.check_whole()
    (kept,) = [one for one in device.aws.certificates() if one.certificate_id == old.certificate_id]
    assert (kept.status, kept.things, kept.policies) == ("ACTIVE", (other,), ())


def test_deprovisioning_leaves_nothing(device: Device) -> None:
    """Neither at AWS nor on disk; doing it again is fine."""
    device.provision()
    device.deprovision()
    device.check_gone()
    assert not device.aws.certificates()
    device.deprovision()
    device.check_gone()


def test_deprovisioning_leaves_what_others_use(device: Device) -> None:
    """A policy that other certificates have stays, and so does a thing of another board."""
    device.provision()
    other = device.aws.iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    device.aws.iot.attach_policy(policyName=policy_name(device.name), target=other)
    device.serial = "another"
    device.deprovision()
    assert policy_name(device.name) in policies(device.aws)
    assert things(device.aws, device.name)
    assert [path.name for path in device.certs.iterdir()] == [".lock"]


def test_one_provisioner_at_a_time(device: Device) -> None:
    """The second one is told so at once."""
    device.provision()
    with lock(device.certs / ".lock", "a test"), pytest.raises(BusyError):
        device.provision()


def test_a_full_disk_leaves_no_certificate_behind(device: Device) -> None:
    """A key that cannot be written is taken back, or each try would add a certificate."""
    process = device.command("provision")
    # A file that may not grow stands for a disk that takes no more.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    out, err = process.communicate(timeout=30)
    assert process.returncode == EXIT_TEMPORARY, out
    assert "File too large" in err
    assert "Traceback" not in err
    assert not device.aws.certificates()


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

    def test_no_key_is_a_refusal_that_names_the_file(self, aws: LocalAws, tmp_path: Path) -> None:
        """Adding the key later is enough."""
        late = tmp_path / "credentials"
        device = Device(aws, tmp_path, provisioning={"credentials_file": str(late)})
        with pytest.raises(NoAwsCredentialsError), without_home(tmp_path):
            Cloud(device.config)
        code, reports = watch(device)
        assert code == EXIT_REFUSED
        assert reports[-1].code == "no-aws-credentials"
        assert str(late) in reports[-1].hint
        late.write_text(aws.credentials)
        late.chmod(0o600)
        code, reports = watch(device)
        assert code == EXIT_OK
        assert {report.code for report in reports} == {""}
        device.check_whole()

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


@contextmanager
def without_home(directory: Path) -> Iterator[None]:
    """An environment in which botocore finds no key by itself."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["HOME"] = str(directory)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def watch(
    device: Device, *, retire: bool = False, each: Callable[[Child, Progress], None] | None = None
) -> tuple[int, list[Progress]]:
    """Run the daemon's child to its end; its exit code and reports."""
    environment = {**device.aws.environment, "HOME": str(device.directory)}
    reports = []
    with (
        Wakeup() as wakeup,
        Child(device.toml, wakeup=wakeup, retire=retire, environment=environment) as child,
    ):
        until_s = time.monotonic() + 60
        while child.exit_code is None and time.monotonic() < until_s:
            for report in child.poll(1.0):
                reports.append(report)
                if each:
                    each(child, report)
        assert child.exit_code is not None
        return child.exit_code, reports


class TestChild:
    """The daemon's side."""

    def test_it_reports_each_step_and_leaves_the_replaced_to_the_daemon(
        self, device: Device
    ) -> None:
        """The daemon's own connection is the proof; then it asks for the removal."""
        code, reports = watch(device)
        assert code == EXIT_OK
        assert reports[0].step == "account"
        assert reports[-1].step == "ready"
        device.check_whole()
        spoil_key(device)
        assert watch(device)[0] == EXIT_OK
        assert len(device.own()) == 2
        assert has_replaced(device.certs, device.name)
        code, reports = watch(device, retire=True)
        assert code == EXIT_OK, reports
        assert not has_replaced(device.certs, device.name)
        device.check_whole()

    def test_sighup_ends_its_wait(self, device: Device) -> None:
        """A retry is made at once; what the fault was is reported from its second time on."""
        device.aws.faults.inject(fault.THROTTLED, "CreateThing")

        def each(child: Child, report: Progress) -> None:
            if report.code:
                device.aws.faults.heal()
                child.retry()

        code, reports = watch(device, each=each)
        assert code == EXIT_OK
        assert "provisioning-failing" in {report.code for report in reports}

    def test_it_ends_with_its_parent(self, device: Device) -> None:
        """The kernel sees to it, whatever the parent died of."""
        device.aws.faults.inject(fault.THROTTLED, "CreateThing")
        program = (
            "import sys, time; from pathlib import Path; from agent.wakeup import Wakeup\n"
            "from agent.uplink.child import Child\n"
            "child = Child(Path(sys.argv[1]), wakeup=Wakeup())\n"
            "while not child.poll(1): pass\n"
            "print(child._process.pid, flush=True); time.sleep(60)"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", program, str(device.toml)],
            cwd=ROOT,
            env=device.aws.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
        parent.communicate()
        until_s = time.monotonic() + 5
        while running(child) and time.monotonic() < until_s:
            time.sleep(0.05)
        assert not running(child)

    def test_closing_stops_it(self, device: Device) -> None:
        """It is gone within two seconds; closing again does no harm."""
        device.aws.faults.inject(fault.hang(20), "CreateThing", first=1)
        with Wakeup() as wakeup:
            child = Child(device.toml, wakeup=wakeup, environment=device.aws.environment)
            while not child.poll(1.0):
                assert child.exit_code is None
            began_s = time.monotonic()
            child.close()
            child.close()
            assert time.monotonic() - began_s < 2
            assert child.exit_code in (-signal.SIGTERM, -signal.SIGKILL)

    def test_a_wake_up_ends_its_poll(self, device: Device) -> None:
        """The thread that waits for it can be called away."""
        device.aws.faults.inject(fault.hang(20), "GetCallerIdentity", first=1)
        with (
            Wakeup() as wakeup,
            Child(device.toml, wakeup=wakeup, environment=device.aws.environment) as child,
        ):
            threading.Timer(0.1, wakeup.set).start()
            began_s = time.monotonic()
            assert child.poll(10.0) == []
            assert time.monotonic() - began_s < 5


def running(pid: int) -> bool:
    """Whether a process lives, zombies not counted."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
