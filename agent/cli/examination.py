"""Examination: the findings in the order in which a start needs what they are about.

A cause is told once. What follows from it is not tried, or is left out; what needs no network comes
first. While the agent runs, it is asked: a second connection with its name would throw it out.
"""

from __future__ import annotations

import time

from agent.cli import agent_findings, identity_findings, link_findings, local_findings
from agent.cli.status import (
    NOT_RUNNING,
    STALE_HINT,
    START_HINT,
    conditions_of,
    read_status,
    stale,
    trial_of,
)
from agent.cli.verdict import FAIL, WARN, Finding
from agent.clock import Clock
from agent.errors import AgentError
from agent.health import conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from agent.config import Config
    from agent.identity import Credentials
    from agent.model import Json


#: Longest wait for a connection that was lost just now, such as to a command's proof.
RETURN_S, LOOK_S = 10.0, 0.5

#: Where to look for why it does not.
ENDED_HINT = "`journalctl -u pi-iot-agent` says why it has ended, if it has"

#: Is seen here and at AWS.
COPIED = conditions.IDENTITY_COPIED.code

#: A fault of these is in nobody's way.
APART = {"store"}


class _Told:
    """Findings so far; `blocked` is True once one of them lets no connection come about."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def __call__(self, finding: Finding) -> Finding:
        self.findings.append(finding)
        return finding

    def __contains__(self, code: str) -> bool:
        return any(one.what == code for one in self.findings)

    @property
    def blocked(self) -> bool:
        return any(one.verdict == FAIL and one.what not in APART for one in self.findings)


def examine(
    config: Config, *, clock: Clock | None = None, sleep: Callable[[float], object] = time.sleep
) -> Iterator[Finding]:
    """One finding after the other, each as soon as it is there; nothing is raised."""
    told = _Told()
    for finding in _everything(config, told, clock or Clock(), sleep):
        yield told(finding)


def _everything(
    config: Config, told: _Told, clock: Clock, sleep: Callable[[float], object]
) -> Iterator[Finding]:
    yield from local_findings.of_configuration(config)
    yield local_findings.of_topics(config)
    yield (hour := local_findings.of_clock(clock))
    clock_sound = hour.verdict != FAIL
    yield local_findings.of_store(config)
    yield from local_findings.of_updates(clock)
    status = yield from _status(config, clock, sleep)
    if status is None:
        yield from local_findings.of_sensors(config)
    found = yield from identity_findings.of_credentials(
        config,
        clock_sound=clock_sound,
        explained=bool(status and agent_findings.cause_of(conditions_of(status))),
    )
    if found:
        if status is None:
            yield from identity_findings.of_things(config, found.identity)
        yield from _way(config, found, told, clock_sound=clock_sound, running=status is not None)
    yield from local_findings.of_endpoint(config, told.findings)
    if status is not None:
        yield from agent_findings.of_agent(status, told.findings, blocked=told.blocked)
    if found and found.identity and not told.blocked:  # else it may be needed to mend that
        yield from identity_findings.of_needless_key(config)


def _status(
    config: Config, clock: Clock, sleep: Callable[[float], object]
) -> Generator[Finding, None, dict[str, Json] | None]:
    """The report of a running agent, which may first come back to the broker."""
    try:
        status = read_status(config.paths)
        for _ in range(int(RETURN_S / LOOK_S)):
            if status is None or not agent_findings.is_returning(status, clock.wall_s()):
                break
            sleep(LOOK_S)
            status = read_status(config.paths)
        if status and (old := stale(status, config.paths.status_file, clock.wall_s())):
            yield Finding(WARN, "agent", old, STALE_HINT)
        if status is None:
            hint = f"{trial_of() or START_HINT}; {ENDED_HINT}"
            yield Finding(WARN, "agent", NOT_RUNNING, hint)
        return status
    except AgentError as error:
        yield Finding(WARN, "agent", error.text, error.hint)
    return None


def _way(
    config: Config, found: Credentials, told: _Told, *, clock_sound: bool, running: bool
) -> Iterator[Finding]:
    """The way to the broker, as far as nothing that was told before is in the way."""
    with link_findings.Way(config, found) as way:
        yield (name := way.name())
        if name.verdict == FAIL:
            return
        if clock_sound and identity_findings.has_key(config):
            from agent.cli import cloud_findings  # noqa: PLC0415 -- boto3 only where it is asked

            if known := identity_findings.certificate_id(found):
                for one in cloud_findings.of_aws(config, known, found.identity):
                    if one.what != COPIED or COPIED not in told:
                        yield one
        if not told.blocked:
            yield from way.connection(running=running)
