# ruff: noqa: ANN401  # boto3 has no types
"""The whole local AWS IoT: control plane, broker and observer."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config as BotoConfig

from tests.tools.cloud.authority import NOT_AFTER, Authority
from tests.tools.cloud.broker import Broker
from tests.tools.cloud.control_plane import ACCOUNT, CertificateState, ControlPlane
from tests.tools.cloud.faults import OPERATOR
from tests.tools.cloud.fleet import Fleet
from tests.tools.cloud.fleet_documents import device_policy
from tests.tools.cloud.iam import Permissions
from tests.tools.cloud.own_ca import OwnCa

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType

    from tests.tools.cloud.faults import Faults, Sent
    from tests.tools.cloud.link import Observer

ENDPOINT = "localhost"
REGION = "ap-northeast-1"
ACCESS_KEY = "AKIALOCALCLOUD000000"
MOTION = {"name": "motion", "driver": "simulated", "detections_per_s": 0.2}
ROOM = {"name": "room", "driver": "simulated", "interval_s": 5}


class LocalAws:
    """AWS IoT Core on loopback, as one device's account sees it; a context manager.

    Control plane and broker are told apart in `endpoint_url` (HTTP) and `endpoint`:`port` (MQTT on
    TLS, whose server certificate `ca_file` proves). One at a time in a process.
    """

    def __init__(self, directory: Path | None = None, *, region: str = REGION) -> None:
        self._temporary = directory is None
        self.directory = Path(
            tempfile.mkdtemp(prefix="local-aws-") if directory is None else directory
        )
        self.region = region
        self.account = ACCOUNT
        self._arn = f"arn:aws:iot:{region}:{ACCOUNT}"
        self.endpoint = ENDPOINT
        self.devices = Authority("Local device CA")
        self.servers = Authority("Local Amazon Root CA 1")
        self._session = boto3.Session(region_name=region)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start all of it; about a second."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop everything and remove the temporary directory."""
        self._stack.close()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "broker").mkdir(mode=0o700, exist_ok=True)
        self.ca_file = self.directory / "root-ca.pem"
        self.ca_file.write_text(self.servers.pem)
        self.credentials_file = self.directory / "credentials"
        self.credentials_file.touch(mode=0o600)
        self.credentials_file.write_text(self.credentials)
        owner = Authority("Local owner's CA")
        self.broker = Broker(
            self.directory / "broker",
            devices=[self.devices, owner],
            server=self.servers.issue_server([self.endpoint, "localhost", "127.0.0.1"]),
        )
        self.port = self.broker.port
        self.observer: Observer = self.broker.observer
        self._control_plane = ControlPlane(
            devices=self.devices,
            region=self.region,
            endpoint=self.endpoint,
            on_change=self.broker.apply,
        )
        self.fleet = Fleet(
            self._control_plane,
            self.broker.fleet,
            devices=self.devices,
            arn=self._arn,
            lacking=self.broker.lacking,
        )
        self.own_ca = OwnCa(
            owner,
            self._control_plane,
            self.broker.fleet,
            policy=device_policy(self._arn),
            lacking=self.broker.lacking,
        )
        self._stack.enter_context(self._control_plane)
        self._stack.enter_context(self.broker)
        self.endpoint_url = self._control_plane.url
        self.faults: Faults = self._control_plane.faults
        self.iot = self.client("iot", OPERATOR)
        self._stack.callback(self.iot.close)

    def client(
        self, service: str, access_key: str = ACCESS_KEY, *, read_timeout_s: float = 30
    ) -> Any:
        """A boto3 client (`iot`, `sts`) that calls here, once, without retries.

        Calls of `self.iot` are neither recorded nor subject to faults; those of others are.
        """
        settings = BotoConfig(
            retries={"total_max_attempts": 1}, proxies={}, read_timeout=read_timeout_s
        )
        return self._session.client(
            service,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=access_key,
            aws_secret_access_key="local",
            config=settings,
        )

    def allow(self, document: Mapping[str, Any] | str | None) -> None:
        """Let the device's AWS key do what this IAM policy allows and nothing else; None: all."""
        self._control_plane.permissions = Permissions(document, arn=self._arn)

    @property
    def not_after(self) -> datetime:
        """When the certificates expire that AWS issues from now on; may be set."""
        return self._control_plane.not_after

    @not_after.setter
    def not_after(self, moment: datetime) -> None:
        self._control_plane.not_after = moment

    def clear(self) -> None:
        """Forget faults, records, templates, permissions and dates; the account stays."""
        self.faults.clear()
        self.fleet.clear()
        self.allow(None)
        self.not_after = NOT_AFTER
        self.own_ca.automatic = True

    def certificates(self) -> list[CertificateState]:
        """All certificates that have not been deleted, oldest first."""
        return self._control_plane.certificates()

    @property
    def requests(self) -> list[Sent]:
        """What all calls brought, of the control plane and of fleet provisioning, as it came."""
        return self.faults.sent

    @property
    def credentials(self) -> str:
        """The text of an AWS credentials file that works here."""
        return (
            f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = local\n"
            f"region = {self.region}\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """For an agent's process: ours, without AWS settings or proxies.

        boto3 never asks the metadata service of a machine in the cloud (169.254.169.254).
        """
        unwanted = ("AWS_", "NOTIFY_SOCKET", "WATCHDOG_")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(unwanted) and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def agent_toml(
        self,
        directory: Path,
        *,
        name: str = "living-room",
        sensors: list[dict[str, Any]] | None = None,
        **sections: Mapping[str, Any],
    ) -> str:
        """The text of an agent.toml for a device that lives in `directory` and works here.

        `sections` adds keys or replaces them: `agent_toml(d, mqtt={"protocol": "3.1.1"})`; None
        takes a key out.
        """
        tables: dict[str, dict[str, Any]] = {
            "thing": {"name": name},
            "aws": {"region": self.region, "endpoint_url": self.endpoint_url},
            "provisioning": {"credentials_file": str(self.credentials_file)},
            "mqtt": {"port": self.port, "ca_file": str(self.ca_file)},
            "paths": {key: str(directory / key) for key in ("certs", "state", "runtime")},
        }
        for section, keys in sections.items():
            tables.setdefault(section, {}).update(keys)
        lines = [line for section, keys in tables.items() for line in _table(f"[{section}]", keys)]
        for sensor in [MOTION, ROOM] if sensors is None else sensors:
            lines += _table("[[sensors]]", sensor)
        return "\n".join(lines)


def _table(head: str, keys: Mapping[str, Any]) -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in keys.items() if value is not None]
    return [head, *lines, ""]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_value(one)}' for key, one in value.items())} }}"
    return json.dumps(value)  # JSON's strings, numbers, booleans and flat arrays are TOML's too
