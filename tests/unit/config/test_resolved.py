"""The resolved configuration says all that a process without a file needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.config import interpret, load, resolved

if TYPE_CHECKING:
    from pathlib import Path

TOML = """\
[aws]
region = "eu-west-1"
endpoint_url = "http://127.0.0.1:5000"
[provisioning]
credentials_file = "key"
[mqtt]
port = 443
ca_file = "ca.pem"
connect_timeout_s = 2.5
[[sensors]]
name = "x"
driver = "any"
"""


def test_it_makes_the_same_tables_whatever_has_become_of_the_rest(tmp_path: Path) -> None:
    """File, host name and environment may all be others by then; sensors are left out."""
    path = tmp_path / "agent.toml"
    path.write_text(TOML)
    config = load(
        path,
        options_of=lambda _: dict,
        environment={"CONFIGURATION_DIRECTORY": f"{tmp_path}/etc"},
        hostname="greenhouse",
        root=tmp_path,
    )
    document = json.loads(json.dumps(resolved(config)))
    path.write_text('thing.name = "another"')
    (tmp_path / "iot_prov_config").write_text("THING_NAME=older\nSENSOR_NO=1\n")
    again = interpret(document, path, options_of=lambda _: dict, environment={}, hostname="other")
    for table in ("path", "thing", "aws", "provisioning", "mqtt", "paths"):
        assert getattr(again, table) == getattr(config, table)
    assert again.thing.name == "greenhouse"
    assert again.sensors == ()
