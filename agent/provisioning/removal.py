"""Removal: of certificates that were replaced, and of a whole device, at AWS and then here."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from agent.errors import CredentialsError, RefusedError
from agent.health import conditions
from agent.identity import CLAIM, Generations, forget_name, has_replaced
from agent.mqtt import BETWEEN_CONNECTS_S
from agent.provisioning import steps
from agent.provisioning.belonging import Rule
from agent.provisioning.handover import PROOF_S, destroy_replaced, remove_whole
from agent.provisioning.remover import AFRESH, Remover
from agent.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from agent.config import Config
    from agent.identity import Identity
    from agent.provisioning.cloud import Caller, Cloud
    from agent.provisioning.retry import Retry
    from agent.provisioning.steps import KnownCertificate

COPIED_HINT = conditions.IDENTITY_COPIED.hint


def retire(
    config: Config,
    cloud: Cloud,
    retry: Retry,
    *,
    prove: Callable[[], None] | None,
    serial: str | None,
    patience_s: float = PROOF_S,
) -> None:
    """Remove every other certificate of the thing, once the one in use has proven itself.

    `prove` connects with it, or raises LinkLostError; None if that has been seen already. Where it
    does not connect in `patience_s` all stays as it is, for the next run. What cannot be removed is
    said, stays on disk too, and is raised in the end. What others may use is left, and said; a
    copied card, one that was not made on the board `serial`, removes nothing. Called while
    `Generations.locked`. Raises also CloudError, CredentialsError, OSError.
    """
    thing = config.thing.name
    generations = Generations(config.paths.certs, thing)
    if not generations.replaced_ids() and not has_replaced(config.paths.certs, thing):
        return
    used = _used(generations)
    if used.serial not in ("", serial or ""):
        what, why = f"what {thing} has replaced", f"this card was made on the board {used.serial}"
        Remover(thing, cloud, retry).leave(what, why, hint=COPIED_HINT)
        return
    if prove:
        retry.run("proof", prove, patience_s=patience_s, at_least_s=BETWEEN_CONNECTS_S)
        retry.done("proof", "connected with the new certificate")
    _retire(config, cloud, retry, generations, used, serial=serial)


def _retire(
    config: Config,
    cloud: Cloud,
    retry: Retry,
    generations: Generations,
    used: Identity,
    *,
    serial: str | None,
) -> None:
    thing, replaced = config.thing.name, set(generations.replaced_ids())
    caller = retry.run("account", cloud.caller)
    owner = retry.run("thing", lambda: steps.owner_of(cloud, thing))
    if used.method == CLAIM and not retry.run("certificate", lambda: _find(cloud, used)):
        destroy_replaced(generations, retry)  # the AWS key is another account's
        replaced = set()

    def also() -> list[str]:
        """Policies of the certificate in use, which one that it replaced may carry too."""
        return [named, *retry.run("certificate", lambda: _policies(cloud, used))]

    named = config.provisioning.policy
    remover = Remover(thing, cloud, retry, also=also)
    needed = generations.certificate_ids(generations.pending) | {used.certificate_id}
    for path in generations.stale():
        ids, identity = generations.certificate_ids(path), generations.identity(path)
        if _may_remove(remover, ids, identity, caller, owner=owner, serial=serial):
            adopt = None if identity else partial(_adopt, generations, path, used)
            if remover.generation(ids, but=needed, rule=_rule(generations, path), adopt=adopt):
                remove_whole(generations, path)
    if replaced and remover.generation(replaced, but=needed, rule=Rule(any_policy=True)):
        generations.remove(generations.replaced)
    if generations.unproven.exists():
        found = remover.lost(generations.noted_s(), but=needed)
        if remover.others(but=needed, ours=bool(owner) and owner == serial) & found:
            generations.remove(generations.unproven)
    remover.raise_first()


def _rule(generations: Generations, path: Path) -> Rule:
    """The rule for what was replaced; a template or another configuration gave it policies."""
    identity = generations.identity(path)
    return Rule(
        held=frozenset({generations.fingerprint(path)}),
        any_policy=identity is not None and identity.method == CLAIM,
        policies=frozenset({identity.policy} if identity else ()),
    )


def _may_remove(
    remover: Remover,
    ids: AbstractSet[str],
    identity: Identity | None,
    caller: Caller,
    *,
    owner: str | None,
    serial: str | None,
) -> bool:
    """True unless a generation is of another account or board, which is said."""
    what = f"certificate {', '.join(sorted(ids))}"
    if elsewhere := _elsewhere(identity, caller):
        remover.leave(what, f"it is in {elsewhere}", hint=f"remove it there; then {AFRESH}")
        return False
    if board := _other_board(identity, owner, serial):
        remover.leave(what, f"it is of the board {board}", hint=COPIED_HINT)
        return False
    return True


def _find(cloud: Cloud, used: Identity) -> KnownCertificate | None:
    return steps.find_certificate(cloud, used.certificate_id)


def _policies(cloud: Cloud, used: Identity) -> list[str]:
    """The policies of the certificate in use."""
    known = _find(cloud, used)
    return steps.policies_of(cloud, known.arn) if known else []


def _used(generations: Generations) -> Identity:
    """The identity in use. Raises CredentialsError if it is not sound."""
    used = generations.sound(generations.current)
    if used is None:
        raise CredentialsError(
            f"{generations.current}: not sound; what it replaced is kept",
            hint="run `sudo pi-iot-agent provision`",
        )
    return used


def deprovision(
    config: Config, cloud: Cloud, retry: Retry, *, serial: str | None, thing: str = ""
) -> None:
    """Remove certificates, policy and thing at AWS, then the files: of `thing`, else our own.

    The files go last, once AWS confirms: they are what a run that follows a killed one goes by.
    What other devices share is left, and said. Called while `Generations.locked`. Raises
    CloudError, also where another board uses what this card has a copy of, and OSError.
    """
    thing = thing or config.thing.name
    generations = Generations(config.paths.certs, thing)
    generations.prepare()
    known = generations.everything()

    caller = retry.run("account", cloud.caller)
    retry.done("account", f"account {caller.account}, region {caller.region}")
    for path in known:
        if elsewhere := _elsewhere(generations.identity(path), caller):
            raise RefusedError(
                f"{path} is registered in {elsewhere};"
                f" the AWS key is for {caller.account}, {caller.region}",
                hint="use a key of that account, and set [aws] region",
            )
    owner = retry.run("thing", lambda: steps.owner_of(cloud, thing))
    ours = bool(owner) and owner == serial
    if not known and not ours:
        retry.done("done", f"nothing is provisioned as {thing}")
        return
    if board := _copied_from(generations, known, owner, serial):
        name = "" if thing == config.thing.name else f" --thing {thing}"
        raise RefusedError(
            f"{generations.current}: made on the board {board}, which may use it at AWS",
            hint=f"`sudo pi-iot-agent deprovision --forget{name}` removes it here alone",
        )

    remover = Remover(thing, cloud, retry, also=lambda: [config.provisioning.policy])
    named = [path for path in known if generations.identity(path)]
    ids = set().union(*map(generations.certificate_ids, named))
    held = frozenset(map(generations.fingerprint, known)) - {""}
    remover.generation(ids, rule=Rule(held, only_ours=False, any_policy=True))
    lost = set().union(*map(generations.certificate_ids, known)) - ids
    remover.generation(lost, rule=Rule(held))
    replaced = set(generations.replaced_ids()) - ids - lost
    remover.generation(replaced, rule=Rule(any_policy=True))
    remover.lost(generations.noted_s(), but=set())
    if ours:  # certificates of this very board that the disk has lost
        remover.others(but=set(), ours=True)
    if policy := config.provisioning.policy:
        retry.done("policy", f"policy {policy}, kept: [provisioning] names it")
    else:
        remover.policy()
    remover.thing(owner, serial or "")
    remover.raise_first()
    remover.verify()
    kept = [path for path in known if generations.certificate_ids(path) & remover.left]
    for path in kept:
        retry.done("files", f"{path}: kept (`deprovision --forget` removes it)")
    _remove_files(generations, [path for path in known if path not in kept], retry)


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


def _elsewhere(identity: Identity | None, caller: Caller) -> str:
    """Where a generation is registered, if the AWS key in use does not reach there."""
    if not identity or identity.method == CLAIM:  # which tells no account
        return ""
    if (identity.account, identity.region) == (caller.account, caller.region):
        return ""
    return f"account {identity.account}, region {identity.region}"


def _other_board(identity: Identity | None, owner: str | None, serial: str | None) -> str:
    """The board of a generation, if that is another; what names none is the thing's owner's."""
    if owner and owner == serial:
        return ""
    board = identity.serial if identity and identity.serial else owner or ""
    return "" if board == (serial or "") else board


def _copied_from(
    generations: Generations, known: list[Path], owner: str | None, serial: str | None
) -> str:
    """The board that this card is a copy of; "" if none, or if it has taken the name over.

    Where the thing is gone, an identity of this board tells of a removal that was killed.
    """
    found = [(generations.identity(path), path) for path in known]
    if owner is None and any(one and one.serial == serial for one, _ in found):
        return ""
    named = [one for one, path in found if generations.certificate_ids(path)]
    return next(filter(None, (_other_board(one, owner, serial) for one in named)), "")


def _adopt(generations: Generations, path: Path, used: Identity, found: KnownCertificate) -> None:
    """Write down whose a certificate is, or a run that follows a killed one could not tell."""
    which = found.arn.rpartition("/")[2]
    identity = replace(used, certificate_arn=found.arn, certificate_id=which)
    if not path.is_symlink():  # what is elsewhere is not ours to write
        with suppress(OSError):  # of a key that is lost
            generations.complete(path, identity, {})
