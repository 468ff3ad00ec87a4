"""The AWS key and the region come from the credentials file, else from where botocore looks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.errors import NoAwsCredentialsError, RefusedError
from agent.provisioning.access_key import AccessKey
from agent.provisioning.cloud import Cloud, readable_by_others
from agent.value import replace

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config

KEY = "[default]\naws_access_key_id = AKIAEXAMPLE000000000\naws_secret_access_key = hunter2\n"


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
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER00000000000")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        write(config, f"{KEY}region = eu-west-1\n")
        assert key_of(config) == ("AKIAEXAMPLE000000000", "eu-west-1")

    def test_without_the_file_botocore_looks_itself(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment, for one."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER00000000000")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        assert key_of(config) == ("AKIAOTHER00000000000", "us-east-1")

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
            ("aws_secret_access_key hunter2", "line 1: stands above"),
            (KEY.replace("AKIA", "'AKIA"), "line 2: aws_access_key_id .* stands in quotes"),
            (KEY.replace("hunter2", "hunter2 # mine"), "line 3: .* has a remark behind it"),
            ("[default]\naws_access_key_id = AKIAEXAMPLE000000000\n", "secret.* is missing"),
            (f"{KEY}region = not a region\n", "region"),
            ("[default]\ncredential_process = /bin/false\n", "the program of credential_process"),
            ("[default]\ncredential_process = /nonexistent\n", "the program of credential_process"),
            ("[default]\ncredential_process = /bin/echo hunter2\n", "credential_process"),
            ("[default]\nrole_arn = arn\nsource_profile = none\n", "InvalidConfigError"),
            ("[default]\nrole_arn = arn\nsource_profile = y\n", "sign-on or another profile"),
            ("[default]\nrole_arn = arn\nmfa_serial = arn\n", "line 3: mfa_serial"),
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

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_file_with_a_mark_is_used(self, config: Config, encoding: str) -> None:
        """Editors of Windows put it there; all that the profile says counts."""
        config.provisioning.credentials_file.write_text(
            f"{KEY}region = eu-west-1\n".replace("\n", "\r\n"), encoding=encoding
        )
        assert key_of(config) == ("AKIAEXAMPLE000000000", "eu-west-1")

    @pytest.mark.parametrize("text", ["", "# the key goes here\n", "[default]\noutput = json\n"])
    def test_a_file_without_any_key_is_none(self, config: Config, text: str) -> None:
        """Whether it has the profile or nothing at all."""
        write(config, text)
        with pytest.raises(NoAwsCredentialsError):
            Cloud(config)

    def test_what_is_no_file_is_refused_at_once(self, config: Config) -> None:
        """A pipe is not waited for, and a directory is named."""
        file = config.provisioning.credentials_file
        os.mkfifo(file)
        with pytest.raises(RefusedError, match="is not a regular file"):
            Cloud(config)
        file.unlink()
        file.mkdir()
        with pytest.raises(RefusedError, match=str(file)):
            Cloud(config)

    def test_a_program_may_give_the_key(self, config: Config) -> None:
        """What it gives is looked at as what is written."""
        good = '{"Version": 1, "AccessKeyId": "AKIAEXAMPLE000000000", "SecretAccessKey": "hunter2"}'
        write(config, f"[default]\nregion = r\ncredential_process = /bin/echo '{good}'\n")
        assert key_of(config) == ("AKIAEXAMPLE000000000", "r")
        spoiled = good.replace("hunter2", "hunter2 # mine")
        write(config, f"[default]\nregion = r\ncredential_process = /bin/echo '{spoiled}'\n")
        with pytest.raises(RefusedError, match="has a remark behind it") as caught:
            Cloud(config)
        assert "hunter2" not in str(caught.value)

    def test_a_key_in_memory_goes_before_the_file(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the environment says; the file need not be sound, and the region is our own."""
        monkeypatch.setenv("AWS_PROFILE", "none")
        write(config, "spoiled")
        config = replace(config, aws=replace(config.aws, region="eu-west-1"))
        with Cloud(config, AccessKey("ASIAEXAMPLE000000000", "hunter2", "token")) as cloud:
            found = cloud._session.get_credentials().get_frozen_credentials()
            assert found[:3] == ("ASIAEXAMPLE000000000", "hunter2", "token")
            assert cloud.region == "eu-west-1"
        with pytest.raises(RefusedError, match="without its session token") as caught:
            Cloud(config, AccessKey("ASIAEXAMPLE000000000", "hunter2"))
        assert "hunter2" not in str(caught.value)

    def test_a_key_in_the_environment_is_looked_at_too(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The words say where it was found."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", '"AKIAOTHER00000000000"')
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        with pytest.raises(RefusedError, match=r"stands in quotes.*\(from env\)"):
            Cloud(config)

    @pytest.mark.parametrize(
        ("mode", "noticed"), [(0o600, False), (0o640, False), (0o604, True), (0o602, True)]
    )
    def test_a_file_open_to_all_is_noticed(
        self,
        config: Config,
        mode: int,
        noticed: bool,  # noqa: FBT001 -- a column of the table
    ) -> None:
        """The service's group may read it."""
        write(config, KEY)
        config.provisioning.credentials_file.chmod(mode)
        assert readable_by_others(config.provisioning.credentials_file) is noticed
