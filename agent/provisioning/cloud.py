"""Cloud: the control plane of AWS IoT, one call at a time, its errors in our own words."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import boto3
import botocore.session
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError, ConfigParseError, ProfileNotFound

from agent.errors import NoAwsCredentialsError, RefusedError
from agent.provisioning.failures import answer_error, failure

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

#: One retry policy is enough, and it is ours.
CLIENT_CONFIG = ClientConfig(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15, user_agent_extra="pi-iot"
)

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Principal of the AWS key in use; partition, account and region go into every name at AWS."""

    account: str
    partition: str
    region: str
    arn: str

    def resource(self, name: str) -> str:
        """The ARN of something of AWS IoT: `thing/x`, `policy/x`, `cert/x`, `topic/x`."""
        return f"arn:{self.partition}:iot:{self.region}:{self.account}:{name}"


class Cloud:
    """A session with AWS. Made without a call; raises RefusedError where key or region is missing.

    `region` is the one of the configuration, else the one beside the key.
    """

    def __init__(self, config: Config) -> None:
        file = config.provisioning.credentials_file
        try:
            core = _session(file, config.aws.profile)
            key = core.get_credentials()
            region = config.aws.region or _region(core)
        except ProfileNotFound as error:
            raise RefusedError(
                f"there is no profile {error.kwargs['profile']!r} with an AWS key",
                hint=f"add it to {file}, or set [aws] profile",
            ) from None
        except (BotoCoreError, OSError) as error:
            # Said without its words: a parser's error quotes the line, which may hold the key.
            why = "not in the format of an AWS credentials file"
            if isinstance(error, OSError):
                why = error.strerror or "unreadable"
            elif not isinstance(error, ConfigParseError):
                why = type(error).__name__
            raise RefusedError(f"{file}: {why}", hint=f"write {file} anew") from None
        if key is None:
            raise NoAwsCredentialsError(
                "there is no AWS key to register this device with",
                hint=f"run `sudo pi-iot-agent setup`, or write an AWS key to {file}",
            )
        if not region:
            raise RefusedError("no AWS region is set", hint="set [aws] region")
        self.region = region
        self._session = boto3.Session(botocore_session=core)
        self._endpoint_url = config.aws.endpoint_url or None
        self._iot = self._client("iot")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close its connections; more than once does no harm."""
        self._iot.close()

    def _client(self, service: str) -> Any:  # noqa: ANN401 -- boto3 makes its classes as it runs
        try:
            return self._session.client(
                service,
                region_name=self.region,
                endpoint_url=self._endpoint_url,
                config=CLIENT_CONFIG,
            )
        except (BotoCoreError, ValueError) as error:
            raise RefusedError(
                f"no AWS endpoint for the region {self.region!r}: {error}",
                hint="check [aws] region and endpoint_url",
            ) from None

    def caller(self) -> Caller:
        """The principal of the key; every key may ask. Raises as `call` does."""
        client = self._client("sts")
        try:
            found = self._call(client, "get_caller_identity", "sts", "*", {})
        finally:
            client.close()
        arn = str(found["Arn"])
        return Caller(str(found["Account"]), arn.split(":")[1], self.region, arn)

    def call(self, operation: str, resource: str, **parameters: object) -> Answer:
        """The answer to one call of AWS IoT, such as `create_thing`; `resource` is for errors.

        Raises RefusedError, ExistsError, or a TransientCloudError (NotFoundError among them).
        """
        return self._call(self._iot, operation, "iot", resource, parameters)

    def pages(self, operation: str, resource: str, key: str, **parameters: object) -> list[Any]:
        """All items below `key` of a call that lists. Raises as `call` does."""
        items: list[Any] = []
        marker, next_marker = MARKERS.get(operation, ("nextToken", "nextToken"))
        while True:
            page = self.call(operation, resource, **parameters)
            items += page.get(key) or []
            if not page.get(next_marker):
                return items
            parameters[marker] = page[next_marker]

    def _call(
        self,
        client: Any,  # noqa: ANN401 -- as above
        operation: str,
        service: str,
        resource: str,
        parameters: dict[str, object],
    ) -> Answer:
        action = f"{service}:{''.join(word.title() for word in operation.split('_'))}"
        try:
            answer: Answer = getattr(client, operation)(**parameters)
        except ClientError as error:
            raise answer_error(error, action, resource) from None
        except Exception as error:
            known = failure(error, action, client.meta.endpoint_url)
            if known is None:
                raise
            raise known from None
        return answer


#: Calls that page by a marker: the parameter to send, and the field that it comes from.
MARKERS = {
    "list_attached_policies": ("marker", "nextMarker"),
    "list_targets_for_policy": ("marker", "nextMarker"),
}


def _session(file: Path, profile: str) -> botocore.session.Session:
    """A session with the key in `file` if there is one, else with what botocore finds itself.

    The file is then the only source: named as a profile it goes before the environment. The
    metadata service of EC2 is never asked: a Raspberry Pi has none, and waiting for it takes long.
    """
    if file.is_file():
        with file.open("rb"):
            pass  # botocore takes an unreadable file for an empty one
        core = botocore.session.Session(profile=profile or "default")
        core.set_config_variable("credentials_file", str(file))
        core.set_config_variable("config_file", str(file))
    else:
        core = botocore.session.Session(profile=profile or None)
    core.get_component("credential_provider").remove("iam-role")
    return core


def _region(core: botocore.session.Session) -> str:
    return core.get_scoped_config().get("region") or core.get_config_variable("region") or ""


def readable_by_others(file: Path) -> bool:
    """True if the file with the AWS key is open to every user of the machine."""
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO)
    except OSError:
        return False
