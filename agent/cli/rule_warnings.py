"""Rule warnings: what keeps a rule from its work, as far as the configuration tells."""

from __future__ import annotations

import os
import shutil

from agent.facts.threshold import foreseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import Config


def rule_warnings(config: Config) -> Iterator[str]:
    """Reasons that keep a rule from beginning, or its command from being run, as seen from here."""
    for rule in config.rules:
        if doubt := rule.quantity and foreseen(rule, config):
            yield f"rules: {rule.name}: {doubt}"
        if rule.command and not shutil.which(program := rule.command[0]):
            is_there = "/" in program and os.path.lexists(program)
            why = "is no program that may be run" if is_there else "is not there"
            yield f"rules: {rule.name}: command: {program} {why}"
