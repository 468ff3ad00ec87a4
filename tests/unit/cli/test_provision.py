"""`provision --dry-run` shows what would be asked of AWS, in the partition of the region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.cli.main import main
from agent.cli.provision import plan, plan_of_a_claim

if TYPE_CHECKING:
    from pathlib import Path


def test_the_plan_tells_what_is_wrong_with_the_key(tmp_path: Path) -> None:
    """It is seen without a call, and the plan says that none was made."""
    toml = tmp_path / "agent.toml"
    toml.write_text('aws.region = "eu-west-1"\nprovisioning.credentials_file = "key"\n')
    key = tmp_path / "key"
    key.write_text('[default]\naws_access_key_id = "AKIAABCDEFGHIJKLMNOP"\n')
    text = plan(configuration.load(toml, options_of=lambda _: dict, environment={}))
    assert f"{key}: line 2: aws_access_key_id in [default]: stands in quotes" in text
    assert "AWS has not been asked" in text


def test_a_mistake_with_the_owners_files_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of `check`; else there is nothing to do."""
    toml = tmp_path / "agent.toml"
    toml.write_text('[mqtt]\nendpoint = "b"\ncert_file = "c"\nkey_file = "k"\n')
    for name in "ck":
        (tmp_path / name).touch()
    assert main(["provision", "--config", str(toml)]) == 78
    assert f"{toml}: mqtt.cert_file: {tmp_path}/c: is empty" in capsys.readouterr().err


def plan_in(region: str, directory: Path) -> str:
    """The plan of a device in a region."""
    toml = directory / "agent.toml"
    toml.write_text(f'thing.name = "x"\n{region and f"aws.region = {region!r}"}\n')
    return plan(configuration.load(toml, options_of=lambda _: dict, environment={}))


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("eu-west-1", "arn:aws:iot:eu-west-1:<account>:topic"),
        ("cn-north-1", "arn:aws-cn:iot:cn-north-1:<account>:topic"),
        ("us-gov-west-1", "arn:aws-us-gov:iot:us-gov-west-1:<account>:topic"),
        ("xx-unheard-9", "arn:<partition>:iot:xx-unheard-9:<account>:topic"),
        ("", "arn:<partition>:iot:<region>:<account>:topic"),
    ],
)
def test_the_plan_has_the_partition_of_the_region(tmp_path: Path, region: str, arn: str) -> None:
    """Offline; where it is not known none is claimed."""
    text = plan_in(region, tmp_path)
    assert arn in text
    assert ("arn:aws:" in text) == (region == "eu-west-1")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", "made anew, with a key that is made here, ec-p256"),
        ('key_type = "rsa-2048"', "made anew, with a key that is made here, rsa-2048"),
        ('method = "keys"', "made anew, with a key that AWS makes"),
        ('[mqtt]\nkey_file = "pkcs11:object=k?module-path=/m"', "for the key pkcs11:object=k;type"),
        ('thing_type = "watcher"', "thing type:   watcher"),
        ('thing_groups = ["a", "b"]', "groups:       a, b"),
        ('attributes = { room = "attic" }', "attributes:   room = attic"),
        ('policy = "ours"', "policy:       ours, which stays as it is"),
    ],
)
def test_the_plan_tells_what_is_configured(tmp_path: Path, more: str, told: str) -> None:
    """And shows no policy that would not be made."""
    toml = tmp_path / "agent.toml"
    toml.write_text(f'thing.name = "x"\n[provisioning]\n{more}\n')
    text = plan(configuration.load(toml, options_of=lambda _: dict, environment={}))
    assert told in text
    assert ("x_subscribe" in text) == ("iot:Publish" in text) == ("ours" not in text)
    assert ("thing type:" in text) == ("thing_type" in more)


CLAIM = """thing.name = "x"
mqtt.endpoint = "broker.local"
[provisioning]
method = "claim"
template = "home"
claim_cert_file = "c"
claim_key_file = "k"
erase_claim = true
parameters = { Floor = "2" }
"""


def test_the_plan_of_a_claim_has_no_aws_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But what the template is told."""
    (tmp_path / "agent.toml").write_text(CLAIM)
    (tmp_path / "c").touch()
    assert main(["provision", "--dry-run", "--config", str(tmp_path / "agent.toml")]) == 0
    told = capsys.readouterr().out
    assert "AWS key" not in told
    assert "Floor = 2" in told
    assert f"{tmp_path / 'c'}, at broker.local" in told
    assert "erase the claim" in told


def test_the_plan_of_a_claim_tells_what_is_wrong_with_it(tmp_path: Path) -> None:
    """While it is needed; later, only that it is gone."""
    toml = tmp_path / "agent.toml"
    toml.write_text(CLAIM + '[paths]\ncerts = "certs"\n')
    config = configuration.load(toml, options_of=lambda _: dict, environment={})
    told = plan_of_a_claim(config)
    assert "broker.local; provisioning.claim_cert_file: " in told
    assert "erase the claim" not in told
    (tmp_path / "certs" / "x").mkdir(parents=True)
    assert "broker.local, which is not there any more\n" in plan_of_a_claim(config)


@pytest.mark.parametrize("flag", ["--take-over", "--reset-policy"])
def test_what_a_template_decides_cannot_be_overruled_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """Which is said, with what can."""
    (tmp_path / "agent.toml").write_text(CLAIM)
    assert main(["provision", flag, "--config", str(tmp_path / "agent.toml")]) == 2
    assert "--reactivate" in capsys.readouterr().err
