"""A device to be provisioned, what AWS and its disk have of it, and how it is spoiled."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import board
from agent import config as configuration
from agent.identity import ROOT_CA_1, Generations, amazon_roots, load
from agent.identity.credentials import Files
from agent.provisioning import handover, removal, rotation
from agent.provisioning.cloud import Answer, Caller, Cloud
from agent.provisioning.policy import policy_name
from agent.provisioning.provisioner import provision
from agent.provisioning.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import Config
    from agent.health.progress import Progress
    from tests.tools.cloud import LocalAws

ROOT = Path(__file__).parents[3]
NAMES = itertools.count()

#: The calls of a first provisioning, in their order.
CALLS = [
    "GetCallerIdentity",
    "DescribeEndpoint",
    "CreateThing",
    "ListThingPrincipals",
    "CreatePolicy",
    "CreateCertificateFromCsr",
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


class Commanded:
    """A device whose configuration is a file: the agent's commands with it, and what was told."""

    aws: LocalAws
    toml: Path
    reports: list[Progress]

    def said(self, code: str = "") -> str:
        """The texts and hints of the reports with this condition; of outcomes, where none."""
        return "\n".join(each.line() for each in self.reports if each.code == code)

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
        out, err = process.communicate(timeout=100)
        return process.returncode, out + err


class Device(Commanded):
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
    def generations(self) -> Generations:
        """Its generations."""
        return Generations(self.certs, self.name)

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

    def retry(self, *, patience_s: float = 600.0) -> Retry:
        """Attempts that note their waits and do not wait; nothing else takes time."""
        return Retry(
            self.reports.append,
            patience_s=patience_s,
            sleep=self.sleep,
            clock=lambda: sum(self.waited_s),
        )

    def sleep(self, seconds: float) -> None:
        """Note a wait, which passes on AWS's clock alone."""
        self.waited_s.append(seconds)
        self.aws.faults.ahead_s += seconds

    def register(self, *, crash_at: int = 0, **overrules: Any) -> int:  # noqa: ANN401
        """Provision without the proof, as the daemon's child does; the number of calls to IoT."""
        cloud = self.cloud(crash_at)
        with self.generations.locked():
            provision(
                self.config,
                cloud,
                self.retry(),
                serial=self.serial,
                bundles=[one_root(self.directory)],
                **overrules,
            )
        return cloud.made

    def provision(
        self,
        *,
        crash_at: int = 0,
        prove: Callable[[], None] = lambda: None,
        **overrules: Any,  # noqa: ANN401
    ) -> int:
        """Provision and retire as the command does; the number of calls to IoT."""
        self.register(crash_at=crash_at, **overrules)
        return self.retire(self._cloud, prove=prove)

    def retire(
        self, cloud: CrashingCloud | None = None, *, prove: Callable[[], None] = lambda: None
    ) -> int:
        """Remove what has been replaced; the number of calls to IoT."""
        cloud = cloud or self.cloud()
        with self.generations.locked():
            removal.retire(self.config, cloud, self.retry(), prove=prove, serial=self.serial)
        return cloud.made

    def rotate(self, *, crash_at: int = 0, prove: Callable[[], None] = lambda: None) -> int:
        """Replace the certificate as the command does; the number of calls to IoT."""
        cloud = self.cloud(crash_at)
        with self.generations.locked():
            retry, bundles = self.retry(), [one_root(self.directory)]
            rotation.make_ready(self.config, cloud, retry, serial=self.serial, bundles=bundles)
            patient = self.retry(patience_s=0.3)
            handover.switch(self.config, patient, prove=prove, patience_s=0.3)
            removal.retire(self.config, cloud, retry, prove=None, serial=self.serial)
        return cloud.made

    def deprovision(self, *, crash_at: int = 0, thing: str = "") -> int:
        """Deprovision; the number of calls to IoT."""
        cloud = self.cloud(crash_at)
        with self.generations.locked():
            removal.deprovision(self.config, cloud, self.retry(), serial=self.serial, thing=thing)
        return cloud.made

    def own(self) -> list[Any]:
        """Its certificates at AWS: those that are its thing's."""
        return [one for one in self.aws.certificates() if self.name in one.things]

    def names(self) -> set[str]:
        """What is below `<certs>`, but for the files that are locked."""
        return {path.name for path in self.certs.iterdir()} - {".lock", ".by-hand"}

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
        generation = f".{self.name}.{one.certificate_id[:12]}"
        assert self.names() == {self.name, ".name", generation}
        assert not list((self.certs / self.name).glob(".*"))

    def check_gone(self) -> None:
        """Neither AWS nor the disk has anything of it."""
        assert not self.names()
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


def spoil_key(device: Device) -> None:
    """Lose the key."""
    device.files.key.unlink()


def make_directory(device: Device) -> None:
    """Have a real directory where the link is, as the tutorial leaves it."""
    generation = device.files.directory.resolve()
    device.files.directory.unlink()
    generation.rename(device.files.directory)
    device.files.identity.unlink(missing_ok=True)


def reflash(device: Device) -> None:
    """Have a new card in the board: nothing is on disk."""
    shutil.rmtree(device.certs)


def make(device: Device, *, thing: str = "", active: bool = False) -> str:
    """A certificate at AWS that nobody has the key of, with our policy and a thing if named."""
    made = device.aws.iot.create_keys_and_certificate(setAsActive=active)
    if thing:
        device.aws.iot.attach_policy(
            policyName=policy_name(device.name), target=made["certificateArn"]
        )
        device.aws.iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    return str(made["certificateId"])


def state(device: Device, certificate_id: str) -> Any:  # noqa: ANN401 -- a CertificateState or None
    """A certificate at AWS."""
    found = {one.certificate_id: one for one in device.aws.certificates()}
    return found.get(certificate_id)


def edit_identity(device: Device, **values: object) -> None:
    """Have identity.json say something else."""
    old = json.loads(device.files.identity.read_text())
    device.files.identity.write_text(json.dumps({**old, **values}))


def add_policy(device: Device, name: str, *, certificate_id: str) -> None:
    """Have the owner attach a policy of their own to a certificate."""
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    if name not in policies(device.aws):
        device.aws.iot.create_policy(policyName=name, policyDocument=document)
    arn = state(device, certificate_id).arn
    device.aws.iot.attach_policy(policyName=name, target=arn)


def copy_card(original: Device, directory: Path, *, name: str = "") -> Device:
    """Another board with a copy of the card; the copy has another name where one is given."""
    directory.mkdir()
    copy = Device(original.aws, directory)
    copy.serial = "another-board"
    copy.name = name or original.name
    copy.toml.write_text(original.aws.agent_toml(directory, name=copy.name, sensors=[]))
    shutil.copytree(original.certs, copy.certs, symlinks=True)
    return copy


def take(device: Device, *, board: str) -> None:
    """Have the thing be another board's."""
    device.aws.iot.update_thing(
        thingName=device.name, attributePayload={"attributes": {"serial": board}, "merge": True}
    )


def remove(device: Device, certificate_id: str) -> None:
    """Have the owner delete a certificate at AWS."""
    one = state(device, certificate_id)
    for policy in one.policies:
        device.aws.iot.detach_policy(policyName=policy, target=one.arn)
    for thing in one.things:
        device.aws.iot.detach_thing_principal(thingName=thing, principal=one.arn)
    device.aws.iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
    device.aws.iot.delete_certificate(certificateId=certificate_id)
