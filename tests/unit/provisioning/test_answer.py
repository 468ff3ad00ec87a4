"""What is no answer of AWS is a failure that passes, whoever gave it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from agent import config as configuration
from agent.errors import TransientCloudError
from agent.provisioning.access_key import AccessKey
from agent.provisioning.answer import checked
from agent.provisioning.cloud import Cloud
from agent.provisioning.failures import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALL = Call("iot:CreateThing", "thing/x", "https://iot", "eu-west-1")
PAGES = {
    "xhtml": b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
    "html": b"<!DOCTYPE html><html><head><meta charset=utf-8><body>Please log in<br>",
    "json": b'{"status": "login required"}',
    "list": b"[1, 2]",
    "text": b'"x"',
    "numbers": b'{"endpointAddress": 1, "policyArn": {}}',
    "sts": b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>x</Arn><Account>1</Account>"
    b"</GetCallerIdentityResult></GetCallerIdentityResponse>",
    "empty": b"",
}


class Portal(ThreadingHTTPServer):
    """A server on loopback that gives the same answer to every call."""

    daemon_threads = True
    status, kind, page = 200, "text/html", b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Portal

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.page)))
        self.end_headers()
        self.wfile.write(self.server.page)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 -- http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    """A login page between the device and AWS."""
    with Portal() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def cloud(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A session with what is at the portal."""
    toml = Path(tmp_path_factory.mktemp("portal")) / "agent.toml"
    toml.write_text(f'[aws]\nregion = "eu-west-1"\nendpoint_url = "{portal.url}"\n')
    config = configuration.load(toml, options_of=lambda _: dict, environment={})
    with Cloud(config, AccessKey("AKIAEXAMPLE000000000", "secret")) as session:
        yield session


CALLS: list[Callable[[Cloud], object]] = [
    lambda cloud: cloud.caller(),
    lambda cloud: cloud.call("describe_endpoint", "*", endpointType="x")["endpointAddress"],
    lambda cloud: cloud.call("create_policy", "*", policyName="x", policyDocument="x")["policyArn"],
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["text/html", "application/json"])
@pytest.mark.parametrize("status", [200, 302, 403, 511])
def test_a_login_page_is_no_answer(
    portal: Portal, cloud: Cloud, status: int, kind: str, page: str
) -> None:
    """Whatever its form and status: it is tried again, and nothing is to be granted."""
    portal.status, portal.kind, portal.page = status, kind, PAGES[page]
    for call in CALLS:
        with pytest.raises(TransientCloudError, match="no usable answer from http") as caught:
            call(cloud)
        assert "login page" in caught.value.hint


def test_a_login_page_is_no_answer_to_what_has_no_answer(portal: Portal, cloud: Cloud) -> None:
    """Else a step would count as done."""
    portal.status, portal.kind, portal.page = 200, "text/html; charset=utf-8", b""
    with pytest.raises(TransientCloudError, match="a web page"):
        cloud.call("attach_policy", "*", policyName="x", target="x")


def test_pages_end(portal: Portal, cloud: Cloud) -> None:
    """A server that gives the same page for ever is none of AWS's."""
    portal.status, portal.kind = 200, "application/json"
    portal.page = b'{"principals": ["a"], "nextToken": "t"}'
    with pytest.raises(TransientCloudError, match="the same page again"):
        cloud.pages("list_thing_principals", "*", "principals", thingName="x")


def shape(operation: str) -> Any:  # noqa: ANN401 -- botocore's
    """The service model's shape of an answer."""
    model = botocore.session.Session().get_service_model("iot")
    return model.operation_model(operation).output_shape


def test_a_missing_field_is_no_answer_wherever_it_stands() -> None:
    """What may be missing is asked for by `get`."""
    found = checked({"keyPair": {"PublicKey": "p"}}, shape("CreateKeysAndCertificate"), CALL)
    assert found["keyPair"]["PublicKey"] == "p"
    assert found.get("certificateArn") is None
    for structure, missing in ((found, "certificateArn"), (found["keyPair"], "PrivateKey")):
        with pytest.raises(TransientCloudError, match=f"no {missing}"):
            structure[missing]


@pytest.mark.parametrize(
    ("operation", "found"),
    [
        ("DescribeThing", {"thingName": 1}),
        ("DescribeThing", {"attributes": ["serial"]}),
        ("DescribeThing", {"attributes": {"serial": 1}}),
        ("CreateKeysAndCertificate", {"keyPair": "x"}),
        ("ListThingPrincipals", {"principals": "x"}),
        ("ListThingPrincipals", {"principals": [None]}),
        ("ListPolicyVersions", {"policyVersions": [{"versionId": 1}]}),
        ("ListPolicyVersions", {"policyVersions": [{"isDefaultVersion": "x"}]}),
    ],
)
def test_a_field_of_another_type_is_no_answer(operation: str, found: dict[str, Any]) -> None:
    """By the service model that botocore has of AWS."""
    with pytest.raises(TransientCloudError, match="no usable answer"):
        checked(found, shape(operation), CALL)


def test_what_aws_may_add_is_left_out() -> None:
    """Only what the service model knows is kept, and what is said about the answer itself."""
    assert "new" not in checked({"new": 1}, shape("DescribeThing"), CALL)
    assert "new" not in checked({"new": 1}, None, CALL)
