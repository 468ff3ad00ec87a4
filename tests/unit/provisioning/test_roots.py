"""The Amazon roots come from the system or the internet, and only the pinned ones are taken."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from agent.errors import TransientCloudError
from agent.identity import ROOT_CA_1, amazon_roots
from agent.provisioning import roots
from tests.tools.cloud.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator


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
