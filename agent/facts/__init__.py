"""Facts made on the device, few and well-formed: quiet, rules, modes, a digest of each day."""

from agent.facts.day import Day, day_of, hour_start, of_local, parsed_time
from agent.facts.facts import Facts
from agent.facts.link_watch import LinkWatch
from agent.facts.made import DIGEST, EVENTS
from agent.facts.modes import CLOUD, HERE, MODE_FILE, OFF, Mode, ModeFile, marked, wanted
from agent.facts.quiet import KNOWN_WINDOW, WINDOW

__all__ = [
    "CLOUD",
    "DIGEST",
    "EVENTS",
    "HERE",
    "KNOWN_WINDOW",
    "MODE_FILE",
    "OFF",
    "WINDOW",
    "Day",
    "Facts",
    "LinkWatch",
    "Mode",
    "ModeFile",
    "day_of",
    "hour_start",
    "marked",
    "of_local",
    "parsed_time",
    "wanted",
]
