"""Session with AWS, as the commands open it; boto3 is loaded by that, and not before."""

from __future__ import annotations

from agent.health.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.provisioning.access_key import AccessKey
    from agent.provisioning.cloud import Cloud
    from agent.provisioning.retry import Retry


def open_cloud(config: Config, retry: Retry, key: AccessKey | None = None) -> Cloud:
    """The session with AWS, by `key` if given; warns of a file with a key that is open to all."""
    from agent.provisioning.cloud import Cloud, readable_by_others  # noqa: PLC0415 -- boto3

    file = config.provisioning.credentials_file
    if not key and readable_by_others(file):
        text = f"{file}: every user of this machine can read the AWS key (chmod o= mends it)"
        retry.say(Progress("account", text))
    return Cloud(config, key)
