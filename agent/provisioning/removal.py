"""Removal: of certificates that were replaced, and of a whole device, at AWS and then here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import CredentialsError, RefusedError
from agent.identity import Generations, forget_name, has_replaced
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.provisioning import steps
from agent.provisioning.remover import Remover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Config
    from agent.identity import Identity
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Retry

#: A new policy takes 6 to 8 minutes to be known everywhere ("AWS IoT Core policies").
PROOF_S = 600.0


def retire(config: Config, cloud: Cloud, retry: Retry, *, prove: Callable[[], None] | None) -> None:
    """Remove every other certificate of the thing, once the one in use has proven itself.

    `prove` connects with it, or raises LinkLostError; None if that has been seen already. Where it
    does not connect in ten minutes all stays as it is, for the next run. What cannot be removed is
    said, stays on disk too, and is raised in the end. Called while `Generations.locked`. Raises
    also CloudError, CredentialsError, OSError.
    """
    thing = config.thing.name
    generations = Generations(config.paths.certs, thing)
    if not has_replaced(config.paths.certs, thing):
        return
    used = generations.sound(generations.current)
    if used is None:
        raise CredentialsError(
            f"{generations.current}: not sound; what it replaced is kept",
            hint="run `pi-iot-agent provision`",
        )
    if prove:
        retry.run("proof", prove, patience_s=PROOF_S, at_least_s=BETWEEN_CONNECTS_S)
        retry.done("proof", "connected with the new certificate")
    caller = retry.run("account", cloud.caller)
    remover = Remover(thing, cloud, retry)
    needed = generations.certificate_ids(generations.pending) | {used.certificate_id}
    for path in generations.stale():
        if elsewhere := _elsewhere(generations, path, caller):
            remover.leave(
                f"certificate {elsewhere.certificate_id}",
                f"it is in account {elsewhere.account}, region {elsewhere.region}",
                hint="remove it there; then `pi-iot-agent deprovision --forget` and `provision`",
            )
        elif remover.generation(generations.certificate_ids(path), but=needed):
            generations.remove(path)
    if generations.unproven.exists():
        owner = retry.run("thing", lambda: steps.owner_of(cloud, thing))
        found = remover.lost(generations.noted_s(), but=needed)
        if remover.others(but=needed, ours=bool(owner) and owner == used.serial) & found:
            generations.remove(generations.unproven)
    remover.raise_first()


def deprovision(
    config: Config, cloud: Cloud, retry: Retry, *, serial: str | None, thing: str = ""
) -> None:
    """Remove certificates, policy and thing at AWS, then the files: of `thing`, else our own.

    The files go last, once AWS confirms: they are what a run that follows a killed one goes by.
    What other devices share is left, and said. Called while `Generations.locked`. Raises
    CloudError, OSError.
    """
    thing = thing or config.thing.name
    generations = Generations(config.paths.certs, thing)
    generations.prepare()
    known = generations.everything()

    caller = retry.run("account", cloud.caller)
    retry.done("account", f"account {caller.account}, region {caller.region}")
    for path in known:
        if elsewhere := _elsewhere(generations, path, caller):
            raise RefusedError(
                f"{path} is registered in account {elsewhere.account}, region {elsewhere.region};"
                f" the AWS key is for {caller.account}, {caller.region}",
                hint="use a key of that account, and set [aws] region",
            )
    owner = retry.run("thing", lambda: steps.owner_of(cloud, thing))
    ours = bool(owner) and owner == serial
    if not known and not ours:
        retry.done("done", f"nothing is provisioned as {thing}")
        return

    remover = Remover(thing, cloud, retry)
    remover.generation(set().union(*map(generations.certificate_ids, known)))
    remover.lost(generations.noted_s(), but=set())
    if ours:  # certificates of this very board that the disk has lost
        remover.others(but=set(), ours=True)
    remover.policy()
    remover.thing(owner, serial or "")
    remover.raise_first()
    remover.verify()
    _remove_files(generations, known, retry)


def forget(config: Config, retry: Retry, *, thing: str = "") -> None:
    """Remove the files alone, of `thing`, else our own; what AWS has stays, and is said.

    Called while `Generations.locked`. Raises OSError.
    """
    generations = Generations(config.paths.certs, thing or config.thing.name)
    generations.prepare()
    known = generations.everything()
    for certificate_id in sorted(set().union(*map(generations.certificate_ids, known))):
        retry.done("forget", f"certificate {certificate_id} stays at AWS, if it is there")
    _remove_files(generations, known, retry)


def _remove_files(generations: Generations, known: list[Path], retry: Retry) -> None:
    for path in known:
        generations.remove(path)
    forget_name(generations.certs, generations.thing)
    retry.done("files", f"files removed: {generations.current}")


def _elsewhere(generations: Generations, path: Path, caller: Caller) -> Identity | None:
    """The identity of a generation that the AWS key in use cannot reach."""
    found = generations.identity(path)
    same = found and (found.account, found.region) == (caller.account, caller.region)
    return None if same else found
