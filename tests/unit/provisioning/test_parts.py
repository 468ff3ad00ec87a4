"""The parts of provisioning that need no AWS: policy, roots, generations, the AWS key."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from agent import config as configuration
from agent.errors import NoAwsCredentialsError, RefusedError, TransientCloudError
from agent.identity import ROOT_CA_1, Generations, amazon_roots, has_replaced
from agent.provisioning import roots
from agent.provisioning.cloud import Caller, Cloud, readable_by_others
from agent.provisioning.policy import policy_document, policy_name, same_policy
from agent.provisioning.steps import legal_serial
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.config import Config

CALLER = Caller("123456789012", "aws-cn", "cn-north-1", "arn:aws-cn:iam::123456789012:user/x")
KEY = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hunter2\n"


def test_a_policy_has_a_legal_name() -> None:
    """Things may have a colon in their names, policies may not."""
    assert policy_name("room:1") == "room.1_subscribe"


def test_the_policy_allows_what_the_device_does_and_no_more() -> None:
    """Receive as well as Subscribe; partition, region and account are the caller's."""
    document = policy_document(CALLER)
    statements = document["Statement"]
    assert isinstance(statements, list)
    thing = "${iot:Connection.Thing.ThingName}"
    here = "arn:aws-cn:iot:cn-north-1:123456789012:"
    assert [(one["Action"], one["Resource"]) for one in statements if isinstance(one, dict)] == [
        ("iot:Connect", f"{here}client/{thing}"),
        ("iot:Publish", f"{here}topic/{thing}/*"),
        ("iot:Subscribe", f"{here}topicfilter/{thing}/count"),
        ("iot:Receive", f"{here}topic/{thing}/count"),
    ]


def test_policies_are_compared_as_values() -> None:
    """Neither the order of keys nor spaces nor URL encoding makes a difference."""
    document = policy_document(CALLER)
    text = json.dumps(dict(reversed(list(document.items()))), indent=4)
    assert same_policy(text, document)
    assert same_policy(quote(text), document)
    assert not same_policy(text.replace("iot:Receive", "iot:*"), document)
    assert not same_policy("{", document)


def test_a_serial_number_becomes_legal() -> None:
    """An attribute's value may not have every character."""
    assert legal_serial("10000 42é") == "10000-42-"
    assert legal_serial(None) == ""


class Pages(BaseHTTPRequestHandler):
    """What a web server says of each path."""

    def do_GET(self) -> None:
        """The real root, another certificate, or a login page."""
        pages = {
            "/root": amazon_roots()[ROOT_CA_1],
            "/other": Authority("Another root").pem,
            "/login": "<html>Please log in</html>",
        }
        body = pages.get(self.path, "").encode()
        self.send_response(200 if body else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    """The URL of a web server."""
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_roots_come_from_the_system_or_the_internet(web: str) -> None:
    """The internet is asked only where the system has none."""
    assert ROOT_CA_1 in roots.fetch(url=f"{web}/nowhere")
    assert roots.fetch([], url=f"{web}/root") == {ROOT_CA_1: amazon_roots()[ROOT_CA_1]}


@pytest.mark.parametrize("page", ["other", "login", "nowhere"])
def test_a_root_that_is_not_the_pinned_one_is_not_taken(web: str, page: str) -> None:
    """It may be right another time."""
    with pytest.raises(TransientCloudError, match=page):
        roots.fetch([], url=f"{web}/{page}")


def test_no_internet_may_pass() -> None:
    """Nobody answers on this port."""
    with pytest.raises(TransientCloudError):
        roots.fetch([], url="http://127.0.0.1:9/root")


def test_generations_of_other_things_are_not_ours(tmp_path: Path) -> None:
    """Also where one's name begins with the other's."""
    for name in (".a.0123456789ab", ".a-b.0123456789ab", ".ab.0123456789ab", ".a.new-01234567"):
        (tmp_path / name).mkdir()
    assert [path.name for path in Generations(tmp_path, "a").stale()] == [".a.0123456789ab"]
    assert has_replaced(tmp_path, "a")
    (tmp_path / "a").symlink_to(".a.0123456789ab")
    assert not has_replaced(tmp_path, "a")
    assert not has_replaced(tmp_path / "missing", "a")


def test_half_made_things_are_removed_at_the_start(tmp_path: Path) -> None:
    """Of this thing only."""
    (tmp_path / ".a.new-01234567").mkdir()
    (tmp_path / ".b.new-01234567").mkdir()
    (tmp_path / ".a.01234567").symlink_to("x")
    (tmp_path / "..a.pending.01234567").symlink_to("x")
    Generations(tmp_path, "a").prepare()
    assert [path.name for path in tmp_path.iterdir()] == [".b.new-01234567"]


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
