"""A contestant's home: what the agent finds there is what registration would have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import config, identity, sensors
from bench.broker import make_certificates
from bench.home import Home, thermometers

if TYPE_CHECKING:
    from pathlib import Path


def test_agent_finds_itself_registered_and_configured(tmp_path: Path) -> None:
    """Its certificate is sound, its name the directory's, and a table's keys are as given."""
    certificates, home = make_certificates(tmp_path), Home(tmp_path / "bench-1")
    home.directory.mkdir()
    home.provision(certificates)
    home.configure(certificates, 1883, thermometers(2, 0.5), {"mqtt": {"protocol": "3.1.1"}})
    found = config.load(home.config, options_of=sensors.options_of)
    assert (found.thing.name, found.mqtt.port, found.mqtt.protocol) == ("bench-1", 1883, "3.1.1")
    assert [(one.name, one.interval_s) for one in found.sensors] == [
        ("room-1", 0.5),
        ("room-2", 0.5),
    ]
    assert found.store.path == home.store
    credentials = identity.load(found)
    assert credentials.identity
    assert (credentials.identity.thing, credentials.identity.endpoint) == ("bench-1", "localhost")
    assert credentials.roots == (certificates.root,)
