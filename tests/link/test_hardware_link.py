"""The connection with a key in hardware: what OpenSSL's provider leaves is no fault of the link."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from agent.identity.hardware import Link, libcrypto
from tests.link.certificates import Certificates

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("kind", "raised"), [(Link, ssl.SSLWantReadError), (ssl.SSLSocket, ssl.SSLError)]
)
def test_what_was_tried_in_vain_breaks_no_connection(
    kind: type[ssl.SSLSocket], raised: type[Exception], tmp_path: Path
) -> None:
    """A read that has to wait says so; with Python's own socket it would be an error."""
    made = Certificates(tmp_path)
    ours, theirs = socket.socketpair()
    context = ssl.create_default_context(cafile=made.device.root)
    context.load_cert_chain(made.device.certificate, made.device.key)
    context.sslsocket_class = kind
    server = made.context(version=ssl.TLSVersion.TLSv1_2)  # which sends nothing by itself later
    accepted: list[ssl.SSLSocket] = []
    serve = threading.Thread(
        target=lambda: accepted.append(server.wrap_socket(theirs, server_side=True))
    )
    serve.start()
    with context.wrap_socket(ours, server_hostname="localhost") as secure:
        serve.join()
        secure.settimeout(0.0)
        assert not libcrypto().OSSL_PROVIDER_load(None, b"none of this name")
        with pytest.raises(raised) as told:
            secure.recv(1)
        assert type(told.value) is raised
        accepted[0].send(b"sound")
        assert secure.recv(5) == b"sound"
        libcrypto().OSSL_PROVIDER_load(None, b"none of this name")
        assert secure.send(b"sound") == 5
        assert accepted[0].recv(5) == b"sound"
        accepted[0].close()
    libcrypto().ERR_clear_error()
