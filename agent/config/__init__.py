"""Configuration: TOML in, frozen values out, every problem at once, with its line."""

from agent.config.counted import MOTION, detects
from agent.config.document import contents, read_toml
from agent.config.endpoints import endpoint_problem, region_of
from agent.config.key_uri import KeyUri
from agent.config.legacy import FILE_NAME as LEGACY_FILE
from agent.config.loading import DEFAULT_PATH, OptionsOf, interpret, load
from agent.config.naming import NAME_FILE, registered_name
from agent.config.regions import control_plane, region_doubt
from agent.config.resolved import resolved
from agent.config.settings import (
    Aws,
    Config,
    Count,
    Digest,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
)
from agent.config.tables import problem_with

__all__ = [
    "DEFAULT_PATH",
    "LEGACY_FILE",
    "MOTION",
    "NAME_FILE",
    "Aws",
    "Config",
    "Count",
    "Digest",
    "KeyUri",
    "Mqtt",
    "OptionsOf",
    "Paths",
    "Provisioning",
    "SensorConfig",
    "StoreLimits",
    "Thing",
    "contents",
    "control_plane",
    "detects",
    "endpoint_problem",
    "interpret",
    "load",
    "problem_with",
    "read_toml",
    "region_doubt",
    "region_of",
    "registered_name",
    "resolved",
]
