"""The proof that a certificate works: a connection to the broker with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agent.identity.credentials import load
from agent.model import COUNT
from agent.uplink import connect
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from agent.config.settings import Config


class _MessageCameError(Exception):
    """A message was delivered, which is for the agent and not for us; but so we were let in."""


def prove(config: Config) -> None:
    """Connect as the device, with what is on disk now, and leave at once.

    A running agent is thrown out by that and comes back. Where the broker had no session, the one
    that this leaves behind is subscribed, as the agent expects of a session that is present. Raises
    LinkLostError, CredentialsError.
    """

    def leave(_topic: str, _payload: bytes) -> None:
        raise _MessageCameError  # so that it is not acknowledged, and stays with the broker

    with (
        Wakeup() as wakeup,
        connect.connection(
            config,
            load(config),
            wakeup=wakeup,
            interrupted=lambda: False,
            on_message=leave,
            will=False,
        ) as connection,
        suppress(_MessageCameError),
    ):
        if not connection.open().session_present:
            connection.subscribe(f"{config.thing.name}/{COUNT}")
            connection.step(config.mqtt.connect_timeout_s)
        connection.finish()
