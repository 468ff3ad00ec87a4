"""The AWS key and the region come from the credentials file, else from where botocore looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.errors import NoAwsCredentialsError, RefusedError
from agent.provisioning.cloud import Cloud, readable_by_others

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

KEY = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hunter2\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A device in an environment without AWS settings."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    toml = tmp_path / "agent.toml"
    toml.write_text(f'provisioning.credentials_file = "{tmp_path}/credentials"\n')
    return configuration.load(toml, options_of=lambda _: dict, environment={})


def write(config: Config, text: str) -> None:
    """Write the credentials file."""
    config.provisioning.credentials_file.write_text(text)


def key_of(config: Config) -> tuple[str, str]:
    """The access key and region that would be used."""
    with Cloud(config) as cloud:
        found = cloud._session.get_credentials()
        return found.access_key, cloud.region


class TestKey:
    """Where the AWS key and the region come from."""

    def test_the_file_goes_before_the_environment(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the one that the owner has written for this."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        write(config, f"{KEY}region = eu-west-1\n")
        assert key_of(config) == ("AKIAEXAMPLE", "eu-west-1")

    def test_without_the_file_botocore_looks_itself(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment, for one."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        assert key_of(config) == ("AKIAOTHER", "us-east-1")

    def test_none_is_told_with_the_file_to_write(self, config: Config) -> None:
        """Also where the file is empty of keys."""
        with pytest.raises(NoAwsCredentialsError) as caught:
            Cloud(config)
        assert str(config.provisioning.credentials_file) in caught.value.hint

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            (KEY, "region"),
            (KEY.replace("default", "other"), "profile 'default'"),
            ("aws_secret_access_key hunter2", "not in the format"),
            ("[default]\naws_access_key_id = AKIAEXAMPLE\n", "PartialCredentialsError"),
            (f"{KEY}region = not a region\n", "region"),
        ],
    )
    def test_a_wrong_file_is_refused_without_quoting_it(
        self, config: Config, text: str, match: str
    ) -> None:
        """What to mend is said; the key is not."""
        write(config, text)
        with pytest.raises(RefusedError, match=match) as caught:
            Cloud(config)
        assert "hunter2" not in str(caught.value) + caught.value.hint
        assert caught.value.__context__ is None or caught.value.__suppress_context__

    def test_a_file_open_to_all_is_noticed(self, config: Config) -> None:
        """0600 is as it should be."""
        write(config, KEY)
        config.provisioning.credentials_file.chmod(0o644)
        assert readable_by_others(config.provisioning.credentials_file)
        config.provisioning.credentials_file.chmod(0o600)
        assert not readable_by_others(config.provisioning.credentials_file)
