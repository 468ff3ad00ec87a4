"""Renewal of the certificate in parts, which `rotate` and the daemon's child share.

With a claim no AWS key is needed; boto3 is then loaded only to see whether there is one after all.
"""

from __future__ import annotations

from agent.cli.cloud_session import open_cloud
from agent.errors import NoAwsCredentialsError, RefusedError
from agent.identity import CLAIM, Generations
from agent.provisioning import fleet, handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config
    from agent.provisioning.access_key import AccessKey
    from agent.provisioning.retry import Retry


def make_ready(
    config: Config,
    retry: Retry,
    *,
    serial: str | None,
    key: AccessKey | None = None,
    by_hand: bool = False,
) -> None:
    """Have a new certificate be pending beside the one in use, which stays in use.

    `serial` is this board's; without `key` the AWS key is the one that is there. Called while
    `Generations.locked`. Raises CloudError, CredentialsError, LinkLostError, OSError.
    """
    if config.provisioning.method == CLAIM:
        thing = config.thing.name
        used = handover.in_use(Generations(config.paths.certs, thing), serial)
        if used.method != CLAIM:
            raise RefusedError(
                f"{thing} was not registered by a claim, and is not replaced by one",
                hint=f'set [provisioning] method = "{used.method or "csr"}"; or'
                " `sudo pi-iot-agent deprovision` removes it, and the claim registers the device",
            )
        fleet.prepare(config, retry, serial=serial, only=thing, again=by_hand)
        return
    from agent.provisioning import rotation  # noqa: PLC0415 -- a claim needs no boto3

    with open_cloud(config, retry, key) as cloud:
        rotation.make_ready(config, cloud, retry, serial=serial)


def retire(
    config: Config, retry: Retry, *, serial: str | None, key: AccessKey | None = None
) -> None:
    """Remove what the certificate in use has replaced: it has connected.

    Without an AWS key, the keys of what a claim had made are destroyed, and all else is left.
    Called and raises as `make_ready`.
    """
    try:
        cloud = open_cloud(config, retry, key)
    except NoAwsCredentialsError:
        generations = Generations(config.paths.certs, config.thing.name)
        if not handover.destroy_replaced(generations, retry):
            raise
        return
    from agent.provisioning import removal  # noqa: PLC0415 -- as above

    with cloud:
        removal.retire(config, cloud, retry, prove=None, serial=serial)
