"""Of the configuration only what is known to be harmless is shown; the rest is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import shown_files
from agent.cli.redaction import VALUE

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = f"[redacted: {VALUE}]"

#: A mistake, so that the whole is no TOML.
MISTAKE = "\n[count]\nthis is none\n"

#: What a person may have in his file; each has `s3cret` where a secret may be.
SECRETS = {
    "table of his own": '[provisioning.parameters]\nname = "s3cret-x"\ntemplate = "s3cret-y"\n',
    "table in a line": '[provisioning]\nparameters = { name = "s3cret-x" }\n',
    "table in lines": '[provisioning]\nparameters = {\ntemplate = "s3cret-x"\n}\n',
    "dotted key": '[provisioning]\nparameters.name = "s3cret-x"\n',
    "script": '[[sensors]]\nname = "w"\nscript = """\npin = 4711\nname = "s3cret-x"\n"""\n',
    "plug-in": '[[sensors]]\nname = "w"\ndriver = "plugged"\npin = "s3cret-x"\n',
    "plug-in, its name last": '[[sensors]]\npin = "s3cret-x"\ndriver = "plugged"\n',
    "command": '[[sensors]]\ndriver = "exec"\ncommand = ["curl -u me:s3cret-x https://x"]\n',
    "program": '[[sensors]]\ndriver = "exec"\ncommand = ["/bin/x", "--pw", "s3cret-x"]\n',
    "PIN": '[mqtt]\nkey_file = "pkcs11:object=k?pin=s3cret-x"\n',
    "PIN, capital letters": '[mqtt]\nkey_file = "PKCS11:object=k?pin-value=s3cret-x"\n',
    "command for a PIN": '[mqtt]\nkey_file = "pkcs11:object=k?pin-source=|echo s3cret-x"\n',
    "wrong place": '[provisioning]\ncredentials_file = "s3cret-x"\n',
    "wrong place, with slashes": '[paths]\ncerts = "nowhere/s3cret-x"\n',
    "no number": '[mqtt]\nport = "s3cret-x"\n',
    "password": '[aws]\nendpoint_url = "http://me:s3cret-x@localhost"\n',
    "no table": 'password = "s3cret-x"\n',
    "header": '[thing]\nname = "a"\n[[sensors]\nname = "s3cret-x"\n',
}


@pytest.mark.parametrize("more", ["", MISTAKE], ids=["TOML", "no TOML"])
@pytest.mark.parametrize("what", SECRETS)
def test_only_known_keys_with_sound_values_are_shown(what: str, more: str) -> None:
    """Also of a text that is no TOML; and what is not shown is looked for elsewhere."""
    shown = shown_files.toml(SECRETS[what] + more)
    assert "s3cret" not in shown.text
    assert any("s3cret-x" in one for one in shown.kept_back)
    assert "4711" not in shown.text


@pytest.mark.parametrize("more", ["", MISTAKE], ids=["TOML", "no TOML"])
def test_settings_are_shown(more: str, tmp_path: Path) -> None:
    """Those that pass their own checks; before and behind a mistake too."""
    (tmp_path / "certs").mkdir()
    lines = [
        'name = "pi-1:x"',
        'endpoint = "a1-ats.iot.us-east-1.amazonaws.com"',
        "port = 443",
        'ca_file = "/etc/x/root.pem"',
        'certs = "certs"',
        'state = "certs/state"',
        'thing_groups = ["a", "b"]',
        "dead_band = {",
        "pin = 21",
    ]
    text = """\
[thing]
name = "pi-1:x"
odd = 1 2
[mqtt]
endpoint = "a1-ats.iot.us-east-1.amazonaws.com"
port = 443 # the other
ca_file = "/etc/x/root.pem"
[paths]
certs = "certs"
state = "certs/state"
[provisioning]
thing_groups = ["a", "b"]
[[sensors]]
driver = "gpio"
pin = 21
dead_band = { x = 0.5 }
"""
    shown = shown_files.toml(text if more else text.replace("odd = 1 2\n", ""), tmp_path)
    for line in lines:
        assert line in shown.text


def test_names_of_keys_are_no_secrets() -> None:
    """Those that stand in lost lines would be missed everywhere."""
    shown = shown_files.toml("[provisioning\ncredentials_file = s3cret-x\n")
    assert "s3cret-x" in shown.kept_back
    assert "credentials_file" not in shown.kept_back


def test_an_old_file_is_shown_as_far_as_its_values_are_plain() -> None:
    """What stands behind one on its line is none of it."""
    lines = [
        'export THING_NAME="cat" # s3cret',
        "THING_NAME=a AWS_X=s3cret-x",
        "SENSOR_NO=17;PASS=s3cret-y",
        "TOPIC_DETECT=cat/count",
        "SENSOR_NO=1",
        "TOPIC_DETECT=$(cat s3cret-z)",
        "OTHER=s3cret-o",
        "s3cret-p",
    ]
    shown = shown_files.legacy("\n".join(lines))
    assert shown.text.splitlines() == [
        "THING_NAME=cat",
        f"THING_NAME={HIDDEN}",
        f"SENSOR_NO={HIDDEN}",
        "TOPIC_DETECT=cat/count",
        "SENSOR_NO=1",
        f"TOPIC_DETECT={HIDDEN}",
        f"OTHER={HIDDEN}",
        HIDDEN,
    ]
    assert {"s3cret-x", "s3cret-y", "s3cret-o", "s3cret-p"} <= {*shown.kept_back}


@given(st.text(max_size=300), st.sampled_from(["", '[thing]\nname = "a"\n', "[[sensors]]\n"]))
def test_any_text_can_be_shown(text: str, before: str) -> None:
    """Whatever somebody has put there."""
    for show in (shown_files.toml, shown_files.legacy):
        assert isinstance(show(before + text).text, str)


def test_a_rule_is_shown_but_for_the_words_of_its_command() -> None:
    """Limit and hours are what who is to help asks for first."""
    shown = shown_files.toml(
        '[digest]\nat = "07:00"\n'
        '[[rules]]\nname = "still"\nquiet_for_s = 14400\nhours = "07:00-22:00"\n'
        '[[rules]]\nname = "heat"\nsensor = "room"\nquantity = "wbgt_c"\nabove = 28\n'
        'command = ["/bin/x", "--pw", "s3cret-x"]\n'
    )
    for line in (
        'at = "07:00"',
        "quiet_for_s = 14400",
        'hours = "07:00-22:00"',
        'quantity = "wbgt_c"',
        "above = 28",
    ):
        assert f"{line}\n" in shown.text
    assert f'command = ["/bin/x", "{HIDDEN}", "{HIDDEN}"]' in shown.text
    assert "s3cret-x" in shown.kept_back
