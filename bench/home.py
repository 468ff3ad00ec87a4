"""Home of a contestant: a directory, with an agent's identity and configuration if need be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent.identity import Generations, Identity, NewCertificate
from agent.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.broker import Certificates


class Home(Value):
    """A contestant's directory; its name is the client id, and for the agent the thing's."""

    directory: Path

    @property
    def name(self) -> str:
        """The client id."""
        return self.directory.name

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.directory / "agent.toml"

    @property
    def store(self) -> Path:
        """The agent's store."""
        return self.directory / "state" / "store.db"

    def provision(self, certificates: Certificates) -> None:
        """Lay down a generation as registration does."""
        generations = Generations(self.directory / "certs", self.name)
        new = NewCertificate(
            arn="arn:aws:iot:eu-west-1:123456789012:cert/bench",
            id="b" * 64,
            certificate=certificates.certificate.read_text(),
            key=certificates.key.read_text(),
            public_key="not used",
        )
        identity = Identity(
            thing=self.name,
            account="123456789012",
            region="eu-west-1",
            endpoint="localhost",
            certificate_arn=new.arn,
            certificate_id=new.id,
            policy=f"{self.name}_subscribe",
            created=1,
        )
        roots = {"AmazonRootCA1.pem": certificates.root.read_text()}
        with generations.locked():
            generations.save(new, identity)
            generations.complete(generations.pending, identity, roots)
            generations.switch()

    def configure(
        self,
        certificates: Certificates,
        port: int,
        sensors: Sequence[Mapping[str, Any]],
        sections: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Write agent.toml; `sections` are tables that add keys or replace them."""
        tables: dict[str, dict[str, Any]] = {
            "thing": {"name": self.name},
            "mqtt": {"port": port, "ca_file": str(certificates.root)},
            "paths": {key: str(self.directory / key) for key in ("certs", "state", "runtime")},
        }
        for section, keys in sections.items():
            tables.setdefault(section, {}).update(keys)
        text = [line for name, keys in tables.items() for line in _table(f"[{name}]", keys)]
        for sensor in sensors:
            text += _table("[[sensors]]", sensor)
        self.config.write_text("\n".join(text))


def thermometers(count: int, interval_s: float) -> list[dict[str, Any]]:
    """The `[[sensors]]` of made-up temperatures."""
    return [
        {"name": f"room-{number}", "driver": "simulated", "interval_s": interval_s}
        for number in range(1, count + 1)
    ]


def _table(head: str, keys: Mapping[str, Any]) -> list[str]:
    """A TOML table: JSON's strings, numbers, booleans and flat arrays are TOML's too."""
    return [head, *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
