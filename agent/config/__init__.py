"""The configuration: TOML in, frozen dataclasses out, every problem at once, with its line."""

from __future__ import annotations

from agent.config.settings import (
    DEFAULT_PATH,
    Aws,
    Config,
    Count,
    Mqtt,
    Paths,
    Provisioning,
    SensorConfig,
    StoreLimits,
    Thing,
    interpret,
    load,
)

__all__ = [
    "DEFAULT_PATH",
    "Aws",
    "Config",
    "Count",
    "Mqtt",
    "Paths",
    "Provisioning",
    "SensorConfig",
    "StoreLimits",
    "Thing",
    "interpret",
    "load",
]
