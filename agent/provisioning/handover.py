"""Handover from the certificate in use to the new one beside it; needs no AWS key.

What was replaced is then removed at AWS with one (`removal`); without one, its key is destroyed.
"""

from __future__ import annotations

import secrets
import time

from agent.errors import LinkLostError, RefusedError
from agent.health import conditions
from agent.identity import CLAIM, Generations
from agent.mqtt import BETWEEN_CONNECTS_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Config
    from agent.identity import Identity
    from agent.provisioning.retry import Retry

#: A new policy takes 6 to 8 minutes to be known everywhere ("AWS IoT Core policies").
PROOF_S = 600.0

#: A certificate of a claim's that is not let in for so long never will be.
CLAIM_LASTS_S = 86400.0


def in_use(
    generations: Generations, serial: str | None, *, wall_s: Callable[[], float] = time.time
) -> Identity:
    """The identity that is to be replaced, with what killed runs have left cleared away.

    What a claim has made, and has not been let in for a day, counts as such: AWS cannot be asked.
    Raises RefusedError where there is none to replace, or it was made on another board.
    """
    generations.prepare()
    used = generations.sound(generations.current)
    if used is None:
        raise RefusedError(
            f"{generations.current}: there is no sound certificate to replace",
            hint="run `sudo pi-iot-agent provision`",
        )
    if used.serial not in ("", serial or ""):
        raise RefusedError(
            f"this card was made on the board {used.serial}: its certificate is not replaced here",
            hint=conditions.IDENTITY_COPIED.hint,
        )
    new = generations.sound(generations.pending)
    if new and (
        new.certificate_id == used.certificate_id  # killed while it switched
        or (new.method == CLAIM and wall_s() - new.created > CLAIM_LASTS_S)
    ):
        generations.drop_pending()
    return used


def switch(
    config: Config, retry: Retry, *, prove: Callable[[], None], patience_s: float = PROOF_S
) -> None:
    """Have what is pending be in use, once `prove` has connected with it.

    Where that fails for so long all stays as it is. Raises LinkLostError, OSError.
    """
    try:
        retry.run("proof", prove, patience_s=patience_s, at_least_s=BETWEEN_CONNECTS_S)
    except LinkLostError as lost:
        raise LinkLostError(
            f"the new certificate is not let in, and the old one stays in use: {lost.text}",
            hint=lost.hint or "the next `rotate`, or the agent by itself, goes on with the new one",
        ) from lost
    Generations(config.paths.certs, config.thing.name).switch()
    retry.done("proof", "connected with the new certificate, which is in use now")


def destroy_replaced(generations: Generations, retry: Retry) -> bool:
    """Destroy the keys of what a claim had made and was replaced; True if nothing else is stale.

    The certificates stay at AWS, where nobody can use them, and are written down. Called while
    `Generations.locked`, once the one in use has connected. Raises OSError.
    """
    for path in generations.stale():
        identity = generations.identity(path)
        if identity and identity.method == CLAIM:
            generations.note_replaced(identity.certificate_id)
            remove_whole(generations, path)
            text = f"certificate {identity.certificate_id} was replaced; its key is destroyed"
            retry.done("replaced", f"{text}, and it stays at AWS, since there is no AWS key here")
    return not generations.stale()


def remove_whole(generations: Generations, path: Path) -> None:
    """Remove a generation; one that is removed half is no generation any more. Raises OSError."""
    half = path.with_name(f".{generations.thing}.{secrets.token_hex(4)}")
    path.rename(half)
    generations.remove(half)
