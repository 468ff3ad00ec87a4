"""`provision --dry-run` shows what would be asked of AWS, in the partition of the region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.cli.provision import plan

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
