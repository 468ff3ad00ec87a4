"""Proof of an identity: to connect as the device with it, beside an agent that may run."""

from __future__ import annotations

from contextlib import suppress

from agent.identity import load
from agent.model import COUNT
from agent.uplink.connect import connection
from agent.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config import Config


class MessageCameError(Exception):
    """A message was delivered, which is for the agent and not for us; but so we were let in."""


def leave_message(_topic: str, _payload: bytes) -> None:
    """Take no message: it gets no PUBACK and stays with the broker. Raises MessageCameError."""
    raise MessageCameError


def prove(config: Config, *, pending: bool = False) -> None:
    """Connect as the device, with what is in use, or is `pending`, and leave at once.

    A running agent is thrown out by that and comes back. Where the broker had no session, the one
    that this leaves behind is subscribed, as the agent expects of a session that is present. Raises
    LinkLostError, CredentialsError.
    """
    with (
        Wakeup() as wakeup,
        connection(
            config,
            load(config, pending=pending),
            wakeup=wakeup,
            interrupted=lambda: False,
            on_message=leave_message,
            will=False,
        ) as link,
        suppress(MessageCameError),
    ):
        if not link.open().session_present:
            link.subscribe(f"{config.thing.name}/{COUNT}")
            link.step(config.mqtt.connect_timeout_s)
        link.finish()
