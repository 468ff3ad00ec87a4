"""The command `check` sums up a good configuration and tells every problem of a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.cli.check import summary
from agent.cli.main import main
from tests.unit.cli.conftest import add

if TYPE_CHECKING:
    from agent.config import Config


def test_check_sums_up_a_good_configuration(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """OK, and what it amounts to; warnings go to stderr."""
    add(config, '[aws]\nregion = "eu-west-1"\n[mqtt]\nendpoint = "broker.local"\n')
    Path(config).with_name("iot_prov_config").write_text("TOPIC_DETECT=old/topic\n")
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    add(
        config,
        '[[sensors]]\nname = "pir"\ndriver = "simulated"\ndetections_per_s = 2\ntest = true\n',
    )
    assert main(["check", "--config", config]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{config}: OK\n")
    for fact in (
        "cat",
        "eu-west-1",
        "broker.local, port 8883",
        "room (simulated)",
        "pir (in test), in windows",
        "store",
    ):
        assert fact in captured.out
    assert captured.err.startswith("warning: ")
    assert "cat/count" in captured.err


def test_check_warns_of_a_region_that_is_not_known(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be new, so it is no error, and the agent says nothing of it."""
    add(config, '[aws]\nregion = "us-eats-1"\n')
    assert main(["check", "--config", config]) == 0
    told = capsys.readouterr().err
    assert told.startswith("warning: aws.region: us-eats-1 is no AWS region that this version")
    assert "did you mean us-east-1" in told


def test_a_certificate_of_ones_own_needs_no_region(config: str) -> None:
    """Nothing is registered with it."""
    assert f"{'region:':<14}that of the AWS key" in summary(_loaded(config))
    add(config, '[mqtt]\nendpoint = "broker.local"\ncert_file = "c"\nkey_file = "k"\n')
    assert "with a certificate of your own" in summary(_loaded(config))


def _loaded(config: str) -> Config:
    return configuration.load(Path(config), options_of=lambda _: dict, environment={})


def test_check_tells_every_problem(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, each with the path and the key, then a hint."""
    add(config, '[mqtt]\nport = "x"\n[[sensors]]\nname = "a"\ndriver = "gpoi"\n')
    assert main(["check", "--config", config]) == 78
    captured = capsys.readouterr()
    port, driver, hint = captured.err.splitlines()
    assert port == f'{config}: mqtt.port: expected an integer, got "x" (line 7)'
    assert driver.startswith(f'{config}: sensors[0].driver: no driver "gpoi"; known: ')
    assert "gpio" in driver
    assert hint.startswith("hint: ")
    assert captured.out == ""


def test_check_warns_of_a_claim_that_cannot_be_used(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The agent waits for another one."""
    add(config, '[mqtt]\nendpoint = "broker.local"\n[provisioning]\nmethod = "claim"\n')
    add(config, 'template = "home"\nclaim_cert_file = "c"\nclaim_key_file = "k"\n')
    assert main(["check", "--config", config]) == 0
    told = capsys.readouterr().err
    assert "warning: provisioning.claim_cert_file: " in told
    assert "warning: provisioning.claim_key_file: " in told


FREEZER = '[[rules]]\nname = "freezer"\nsensor = "it"\nquantity = "{}"\nabove = -15\n'


@pytest.mark.parametrize(
    ("sensor", "quantity", "why"),
    [
        (
            'driver = "onewire"',
            "temperature",
            "it gives no temperature; it gives temperature_c",
        ),
        (
            'driver = "onewire"',
            "wbgt_c",
            "it gives no humidity_pct, of which wbgt_c is made; it gives temperature_c",
        ),
        (
            'driver = "gpio"\npin = 17',
            "active",
            "it gives no readings, since what it detects is all that is asked of it",
        ),
        (
            'driver = "gpio"\npin = 17\nrole = "sos"',
            "active",
            "it gives no readings, since what it detects is all that is asked of it",
        ),
        ('driver = "gpio"\npin = 17\ninterval_s = 60', "active", ""),
        ('driver = "onewire"', "temperature_c", ""),
        ('driver = "exec"\ncommand = ["/bin/true"]', "whatever_c", ""),
    ],
)
def test_check_warns_of_a_rule_that_can_never_begin(
    config: str, capsys: pytest.CaptureFixture[str], sensor: str, quantity: str, why: str
) -> None:
    """As far as the driver says what it gives; the agent itself says it from its start on."""
    add(config, f'[[sensors]]\nname = "it"\n{sensor}\n{FREEZER.format(quantity)}')
    assert main(["check", "--config", config]) == 0
    warning = f"warning: rules: freezer: {why}\n" if why else ""
    assert "".join(_warnings(capsys, "rules: ")) == warning


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("/nowhere/lamp", "is not there"),
        ("lamp-of-nobody", "is not there"),
        ("beside", "is no program that may be run"),
        ("/bin/sh", ""),
    ],
)
def test_check_warns_of_a_command_that_is_no_program(
    config: str, capsys: pytest.CaptureFixture[str], program: str, why: str
) -> None:
    """It would be found out in the emergency only; the summary names it."""
    if program == "beside":  # the configuration, which may not be run
        program = config
    add(config, f'[[rules]]\nname = "a"\noffline_for_s = 3600\ncommand = ["{program}", "on"]\n')
    assert main(["check", "--config", config]) == 0
    told = capsys.readouterr()
    assert f"a: offline for 1 h, runs {program}\n" in told.out
    warning = f"warning: rules: a: command: {program} {why}\n"
    assert (warning in told.err) == bool(why)
    assert ("command:" in told.err) == bool(why)


def _warnings(capsys: pytest.CaptureFixture[str], key: str) -> list[str]:
    told = capsys.readouterr().err.splitlines(keepends=True)
    return [one for one in told if one.startswith(f"warning: {key}")]


def test_a_button_that_is_tried_out_is_never_said_to_be_counted(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its presses are calls, which say that they are a test."""
    button = 'driver = "gpio"\npin = 17\nrole = "sos"\ntest = true\n'
    add(config, f'[[sensors]]\nname = "bell"\n{button}')
    assert main(["check", "--config", config]) == 0
    (warning,) = _warnings(capsys, "sensors: ")
    assert warning == "warning: sensors: bell: test is true, so each press is sent as a test\n"
