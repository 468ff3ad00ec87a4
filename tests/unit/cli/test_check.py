"""The command `check` sums up a good configuration and tells every problem of a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent import config as configuration
from agent.cli.check import summary
from agent.cli.main import main

if TYPE_CHECKING:
    import pytest

    from agent.config import Config
from tests.unit.cli.conftest import add


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
