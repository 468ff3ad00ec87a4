"""Units are shown by their harmless directives, variables by the form of their values."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.harmless import HIDDEN, variable, words
from agent.cli.redaction import VALUE, Known, Redaction
from agent.cli.shown_units import unit
from agent.config import Aws
from agent.value import fields

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "text",
    [
        "  Environment=FOO=s3cret-x",
        "\tExecStartPre=/bin/x s3cret-x",
        "Environment = FOO=s3cret-x",
        "Environment=A=b \\\r\n  FOO=s3cret-x",
        "Environment=A=b \\\n# a remark\n  FOO=s3cret-x",
        "Environment=A=b \\\n; a remark\n  FOO=s3cret-x",
        'Environment="FOO=s3cret-x" "A=b',
        "Environment=LANG=$(s3cret-x)",
        "Environment=https_proxy=s3cret-x?y",
        "Environment=s3cret-x",
        "SetCredential=aws:s3cret-x",
        "StandardInputText=s3cret-x",
        "LogExtraFields=PW=s3cret-x",
        "ConditionEnvironment=PW=s3cret-x",
        "NewDirective=s3cret-x",
        "User=s3cret-x; x",
        'ExecStart="/bin/sh s3cret-x"',
        "s3cret-x",
        "[s3cret-x",
    ],
)
def test_what_may_be_a_secret_is_not_shown(text: str) -> None:
    """However it is written; and it is looked for elsewhere."""
    shown = unit(f"[Service]\n{text}\nRestart=always\n")
    assert "s3cret" not in shown.text
    assert "s3cret-x" in shown.kept_back
    assert shown.text.endswith("Restart=always\n")


def test_our_own_units_are_shown() -> None:
    """All but the words for persons, what follows a program, and what is set for it."""
    for path in [*(ROOT / "systemd").glob("*.service"), *(ROOT / "etc").glob("*/*.conf")]:
        shown = unit(path.read_text())
        hidden = {line.partition("=")[0] for line in shown.text.splitlines() if HIDDEN in line}
        words = {"Description", "Documentation"}
        assert hidden <= words | {"ExecStart", "ExecStartPre", "ExecStopPost", "Environment"}
        assert not {*shown.kept_back} & {"pi-iot-agent", "sensors", "device"}
        if path.name == "pi-iot-agent.service":
            assert "ExecStart=/usr/bin/pi-iot-agent [redacted" in shown.text
            assert "SystemCallFilter=~@privileged @resources" in shown.text


@pytest.mark.parametrize(
    ("value", "told", "kept"),
    [
        ("http://proxy:3128", "http://proxy:3128", ""),
        ("http://joe:sek\"r e't99@proxy:3128/", "[redacted: user and password]proxy:3128/", "t99"),
        ("joe:p@ss/w0rd@[2001:db8::1]:8080", "[redacted: user and password][2001:db8::1]", "w0rd"),
        ("http://j:p%40ssw0rd@proxy", "http://[redacted: user and password]proxy", "p@ssw0rd"),
        ("http://proxy/?key=s3cret-x", HIDDEN, "s3cret-x"),
    ],
)
def test_of_a_proxy_host_and_port_are_shown(value: str, told: str, kept: str) -> None:
    """Its password is known from then on, as it is and decoded."""
    for name in ("https_proxy", "ALL_PROXY"):
        shown = variable(name, value)
        assert told in shown.text
        assert bool(kept) == any(one.endswith(kept) for one in shown.kept_back)


def test_words_that_are_short_or_our_own_are_no_secrets() -> None:
    """They stand in every text."""
    told = words(["online", "8883", "--api-token hunter2", "/usr/lib/program", "21.50000"])
    assert told == ("hunter2",)


def test_a_word_that_an_error_cuts_is_known_cut_too() -> None:
    """As the configuration quotes a long value."""
    value = "x" * 60 + " s3cret-" + "y" * 40
    (region,) = (one for one in fields(Aws) if one.name == "region")
    with pytest.raises(ValueError, match="s3cret") as error:
        region.metadata["check"](value, ROOT)
    redaction = Redaction([Known(one, VALUE) for one in words([value])])
    assert "s3cret" not in redaction.text(str(error.value))


@given(st.text(max_size=300))
def test_any_text_can_be_shown(text: str) -> None:
    """Whatever somebody has put there."""
    assert isinstance(unit(text).text, str)
    assert isinstance(variable("https_proxy", text).text, str)
