"""systemd's end of the notification socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Systemd:
    """The receiving end of sd_notify: the datagrams that came, in order."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0)

    def heard(self) -> list[bytes]:
        """All datagrams since the last call."""
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(65536))
            except BlockingIOError:
                return datagrams

    def close(self) -> None:
        """No one listens any more."""
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """A systemd that has started this process."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.close()
