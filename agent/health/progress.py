"""Progress of a step: one line, as a person or the daemon reads it."""

from __future__ import annotations

import json

from agent.errors import AgentError, NoAwsCredentialsError, RefusedError
from agent.health import conditions
from agent.value import Value, asdict


class Progress(Value):
    """Outcome of a step, or trouble in it; `code` is that of a condition, or "" for an outcome.

    The text says it all by itself.
    """

    step: str
    text: str
    code: str = ""
    hint: str = ""

    def encode(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def line(self) -> str:
        """One line for a person."""
        return f"{self.text} ({self.hint})" if self.hint else self.text


def decode(line: bytes) -> Progress | None:
    """The Progress in a line of JSON; None for anything else."""
    try:
        found = json.loads(line)
        texts = [found[name] for name in ("step", "text", "code", "hint")]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return Progress(*texts) if all(isinstance(text, str) for text in texts) else None


def trouble(step: str, error: AgentError) -> Progress:
    """The Progress of an error, with the condition that it raises."""
    if isinstance(error, NoAwsCredentialsError):
        condition = conditions.NO_AWS_CREDENTIALS
    elif isinstance(error, RefusedError):
        condition = conditions.PROVISIONING_REFUSED
    else:
        condition = conditions.PROVISIONING_FAILING
    return Progress(step, error.text, condition.code, error.hint)
