"""Cloud: the control plane of AWS IoT, one call at a time, its errors in our own words."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager

import boto3
import botocore.session
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, ConfigParseError, ProfileNotFound

from agent.config import Aws, problem_with
from agent.errors import ConfigError, NoAwsCredentialsError, RefusedError
from agent.provisioning import answer
from agent.provisioning.access_key import DEFAULT_PROFILE, AccessKey, check, text_of
from agent.provisioning.credentials_file import FORM, load
from agent.provisioning.failures import NEW_KEY_HINT, Call, failure, key_failure
from agent.value import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any, Self

    from agent.config import Config

#: One retry policy is enough, and it is ours.
CLIENT_CONFIG = ClientConfig(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15, user_agent_extra="pi-iot"
)


#: What a call returns.
Answer = answer.Answer


class Caller(Value):
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

    `key`, if given, is used in place of the one in the credentials file. `region` is the one of the
    configuration, else the one beside the key.
    """

    def __init__(self, config: Config, key: AccessKey | None = None) -> None:
        core = _session(config, key)
        region = config.aws.region or _region(core)
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
        plain = (self._endpoint_url or "").startswith("http:")
        try:
            client = self._session.client(
                service,
                region_name=self.region,
                endpoint_url=self._endpoint_url,
                # What may only go to this machine goes to no proxy either.
                config=CLIENT_CONFIG.merge(ClientConfig(proxies={})) if plain else CLIENT_CONFIG,
            )
        except (BotoCoreError, ValueError) as error:
            raise RefusedError(
                f"no AWS endpoint for the region {self.region!r}: {error}",
                hint="check [aws] region and endpoint_url",
            ) from None
        # A profile or the environment may have named it.
        if problem := problem_with(Aws, "aws", "endpoint_url", client.meta.endpoint_url):
            client.close()
            raise RefusedError(
                problem, hint="see endpoint_url of the profile, and AWS_ENDPOINT_URL"
            )
        return client

    def caller(self) -> Caller:
        """The principal of the key; every key may ask. Raises as `call` does."""
        client = self._client("sts")
        try:
            found = self._call(client, "get_caller_identity", "sts", "*", {})
        finally:
            client.close()
        arn, account = found["Arn"], found["Account"]
        if not (named := re.match(r"arn:([\w-]+):", arn)) or not account.isdecimal():
            raise found.unusable("no account in it")
        return Caller(account, named[1], self.region, arn)

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
            if page[next_marker] == parameters.get(marker):
                raise page.unusable("the same page again")
            parameters[marker] = page[next_marker]

    def _call(
        self,
        client: Any,  # noqa: ANN401 -- as above
        operation: str,
        service: str,
        resource: str,
        parameters: dict[str, object],
    ) -> Answer:
        function = getattr(client, operation)
        name = client.meta.method_to_api_mapping[operation]
        call = Call(f"{service}:{name}", resource, client.meta.endpoint_url, self.region)
        try:
            found = function(**parameters)
        except Exception as error:
            if isinstance(error, ClientError) and error.operation_name != name:
                # A role is taken on by a call of its own, before the one that was meant.
                call = replace(call, action=f"sts:{error.operation_name}", resource="*")
            known = failure(error, call)
            if known is None:
                raise
            raise known from None
        return answer.checked(
            found, client.meta.service_model.operation_model(name).output_shape, call
        )


#: Calls that page by a marker: the parameter to send, and the field that it comes from.
MARKERS = {
    "list_attached_policies": ("marker", "nextMarker"),
    "list_targets_for_policy": ("marker", "nextMarker"),
}


def _session(config: Config, key: AccessKey | None) -> botocore.session.Session:
    """A session with `key`, else the key in the credentials file, else what botocore finds itself.

    The file is then the only source: named as a profile it goes before the environment. The
    metadata service of EC2 is never asked: a Raspberry Pi has none, and waiting for it takes long.
    """
    file = config.provisioning.credentials_file
    profile = config.aws.profile or DEFAULT_PROFILE
    text = text_of(profile, key) if key else _checked_text(file, profile)
    if text is None:
        core = botocore.session.Session(profile=config.aws.profile or None)
        found = _found(core, f"the AWS key of [{profile}]: ")
    else:
        core = botocore.session.Session(profile=profile)
        with _copy(text) as path:
            core.set_config_variable("credentials_file", path)
            core.set_config_variable("config_file", path)
            found = _found(core, f"{file}: [{profile}]: ")
    if found is None:
        raise NoAwsCredentialsError(
            "there is no AWS key to register this device with",
            hint=f"run `sudo pi-iot-agent setup`, or write an AWS key to {file}",
        )
    return core


def _checked_text(file: Path, profile: str) -> str | None:
    """The text of the credentials file; None if there is none. Raises RefusedError."""
    try:
        content = load(file)
        check(content, profile)
    except FileNotFoundError:
        return None
    except ConfigError as error:
        raise RefusedError(error.text, hint=error.hint) from None
    except OSError as error:
        hint = f"make {file} a file that this user may read, with an AWS key in it"
        raise RefusedError(f"{file}: {error.strerror or 'cannot be read'}", hint=hint) from None
    return content.text if content.headers() else f"[{profile}]\n"


@contextmanager
def _copy(text: str) -> Iterator[str]:
    """The path of a copy in memory: botocore then reads just what has been checked, as UTF-8."""
    descriptor = os.memfd_create("credentials")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _found(core: botocore.session.Session, where: str) -> object:
    """Key that botocore finds, checked as far as that can be here. Raises RefusedError."""
    try:
        core.get_component("credential_provider").remove("iam-role")
        found = core.get_credentials()
        _region(core)  # so that it has read all before the copy goes
    except ProfileNotFound as error:
        raise RefusedError(
            f"there is no profile {error.kwargs['profile']!r} with an AWS key",
            hint="add it to the credentials file, or set [aws] profile",
        ) from None
    except ConfigParseError as error:
        hint = "save it as plain text in UTF-8; " + FORM
        raise RefusedError(f"{error.kwargs['path']}: cannot be read", hint=hint) from None
    except (BotoCoreError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise key_failure(error, where) from None
    if type(found) is Credentials:  # any other is got by a call, when it is needed
        key = AccessKey(found.access_key, found.secret_key, found.token or "")
        for name, problem in key.problems():
            raise RefusedError(f"{where}{name}: {problem} (from {found.method})", hint=NEW_KEY_HINT)
    return found


def _region(core: botocore.session.Session) -> str:
    return core.get_scoped_config().get("region") or core.get_config_variable("region") or ""


def readable_by_others(file: Path) -> bool:
    """True if the file with the AWS key is open to every user of the machine."""
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO)
    except OSError:
        return False


def partition_of(region: str) -> str:
    """The partition of a region, such as aws or aws-cn, without a call; "" where it is unknown."""
    try:
        return str(botocore.session.Session().get_partition_for_region(region))
    except (BotoCoreError, ValueError):
        return ""
