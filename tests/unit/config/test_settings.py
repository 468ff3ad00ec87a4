"""The settings rule out what cannot be obeyed; the shipped file shows every one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import sensors
from agent.config import load
from agent.config.rule import Rule
from agent.facts.digest import MISSED_MAX
from agent.value import fields, replace
from tests.unit.config.conftest import TABLES, check_told, read, write

SHIPPED = Path(__file__).parents[3] / "etc" / "agent.toml"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[provisioning]\nmethod = 'claim'", "provisioning.template: is missing; it goes with"),
        (
            "[provisioning]\nmethod = 'claim'\ntemplate = 't'\nclaim_key_file = 'k'",
            "provisioning.claim_cert_file: is missing; it goes with",
        ),
        (
            "provisioning={method='claim',template='t',claim_cert_file='c',claim_key_file='k'}",
            "mqtt.endpoint: is missing; with [provisioning] method",
        ),
        (
            "provisioning={method='claim',parameters={SerialNumber=''}}",
            "provisioning.parameters: SerialNumber is empty",
        ),
        ("[provisioning.attributes]\nserial = 'x'", "provisioning.attributes: serial: expected"),
        ("[provisioning.attributes]\nroom = 'a b'", "provisioning.attributes: room: expected"),
        ("[provisioning.attributes]\nroom = 1", "provisioning.attributes: room: expected a string"),
        ("[provisioning]\nparameters = 'x'", "provisioning.parameters: expected a table"),
        ("[mqtt]\nbackoff_min_s = 9\nbackoff_max_s = 2", "mqtt.backoff_min_s: 9 is above"),
        ("[mqtt]\nendpoint='a'\ncert_file = 'c'", "mqtt.key_file: is missing; it goes with"),
        ("[mqtt]\nendpoint='a'\nkey_file = 'k'", "mqtt.cert_file: is missing; it goes with"),
        ("[mqtt]\ncert_file = 'c'\nkey_file = 'k'", "mqtt.endpoint: is missing; with cert_file"),
    ],
)
def test_a_setting_that_cannot_be_obeyed_is_told_with_its_key(
    tmp_path: Path, content: str, problem: str
) -> None:
    """One mistake makes one line, which names the key that is to be mended."""
    check_told(tmp_path, content, problem)


def test_the_shipped_file_is_valid_and_shows_every_default(tmp_path: Path) -> None:
    """All is commented out; without the comment signs it still says the same."""
    shipped = SHIPPED.read_text()
    empty = read(write(tmp_path, ""))
    assert read(write(tmp_path, shipped)) == empty
    bare = re.sub(r"^# (?=\w+ = |\[\[)", "", shipped, flags=re.MULTILINE)
    config = load(
        write(tmp_path, bare),
        options_of=sensors.options_of,
        environment={},
        hostname="attic",
        root=tmp_path,
    )
    assert config.count.sensor == ("motion",)
    assert replace(config, sensors=(), rules=(), count=empty.count) == empty
    assert replace(config.count, sensor=(), asked=False) == empty.count
    assert len(config.sensors) == bare.count("[[sensors]]\n")
    assert len(config.rules) == bare.count("[[rules]]\n")


def test_the_shipped_file_shows_every_key_of_a_rule() -> None:
    """In one of its examples, as a person would write it."""
    section = SHIPPED.read_text().partition("\n# [[rules]]\n")[2]
    shown = {*re.findall(r"^# (\w+) = ", section, flags=re.MULTILINE)}
    assert {one.name for one in fields(Rule)} == shown


@pytest.mark.parametrize("table", TABLES)
def test_the_shipped_file_has_every_key(table: str) -> None:
    """A key that is not in the file would be found by nobody."""
    section = SHIPPED.read_text().partition(f"\n[{table}]\n")[2].partition("\n[")[0]
    shown = set(re.findall(r"^# (\w+) = ", section.partition("\n# [[")[0], flags=re.MULTILINE))
    keys = [one.name for one in fields(TABLES[table]) if "check" in one.metadata]
    assert shown == {*keys}


@pytest.mark.parametrize(
    ("content", "digests", "kept"),
    [
        ("", True, ""),
        ("[store]\nhistory_days = 9", True, ""),
        ("[store]\nhistory_days = 8.9", False, "8.9"),
        ("[store]\nhistory_days = 0", False, "0"),
        ("[store]\nhistory_days = 0\n[digest]\nat = 'off'", False, ""),
    ],
)
def test_no_digest_is_made_of_a_history_that_is_cut(
    tmp_path: Path,
    content: str,
    digests: bool,  # noqa: FBT001
    kept: str,
) -> None:
    """It would say that nobody looked; who wishes for one is told why there is none."""
    config = read(write(tmp_path, content))

    assert config.digests == digests
    told = f"store.history_days is {kept}, and it takes {MISSED_MAX + 2}"
    warning = f'digest.at: no digest is made: {told}; or set it to "off"'
    warnings = [one for one in config.warnings if one.startswith("digest.at: ")]
    assert warnings == ([warning] if kept else [])
