"""Resolved configuration: what a process is given that reads no file itself."""

from __future__ import annotations

from pathlib import Path

from agent.value import asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent.config.settings import Config

TABLES = ("thing", "aws", "provisioning", "mqtt", "paths")


def resolved(config: Config) -> dict[str, object]:
    """Document of all but the sensors and the store, each value as it is in use.

    It is JSON and TOML alike; `interpret` makes the same tables of it, whatever has become of file,
    host name and environment.
    """
    document: dict[str, object] = {"sensors": []}
    for name in TABLES:
        values = asdict(getattr(config, name))
        document[name] = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in values.items()
            if value is not None
        }
    return document
