"""systemd is told in datagrams that it understands; elsewhere nothing is said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.daemon.notify import Notifier, watchdog_interval_s

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.daemon.conftest import Systemd

# sdnotify leaves its socket to the end of the process, and these tests end it sooner.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def test_each_fact_has_a_datagram_of_its_own(systemd: Systemd) -> None:
    """READY, WATCHDOG and STOPPING are the words of sd_notify(3)."""
    notifier = Notifier()
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()
    assert systemd.heard() == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_the_status_is_one_line_of_ascii(systemd: Systemd) -> None:
    """No text can start a field of its own or make the datagram unreadable."""
    Notifier().status("online as caf\u00e9 \u2603\nWATCHDOG=trigger\r\n  2 queued")
    assert systemd.heard() == [b"STATUS=online as caf? ? WATCHDOG=trigger 2 queued"]


def test_the_status_is_sent_when_it_changed(systemd: Systemd) -> None:
    """An unchanged line costs no datagram."""
    notifier = Notifier()
    for text in ("one", "one", "two", "one"):
        notifier.status(text)
    assert systemd.heard() == [b"STATUS=one", b"STATUS=two", b"STATUS=one"]


def test_a_lone_surrogate_does_no_harm(systemd: Systemd) -> None:
    """A file name that is not UTF-8 may be in the text."""
    Notifier().status("no file \udcff")
    assert systemd.heard() == [b"STATUS=no file ?"]


def test_what_the_agent_starts_cannot_speak_for_it(systemd: Systemd) -> None:
    """A child inherits no way to systemd, which still hears the agent itself."""
    notifier = Notifier()
    assert "NOTIFY_SOCKET" not in os.environ
    notifier.ready()
    assert systemd.heard() == [b"READY=1"]


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No socket, or one that nobody listens at, is no error."""
    for address in (None, str(tmp_path / "absent")):
        if address is None:
            monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        else:
            monkeypatch.setenv("NOTIFY_SOCKET", address)
        notifier = Notifier()
        notifier.ready()
        notifier.status("text")
        notifier.watchdog()
        notifier.stopping()


@pytest.mark.parametrize(
    ("environment", "expected_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "180000000"}, 180),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_counts_only_when_meant_for_this_process(
    environment: dict[str, str], expected_s: float | None
) -> None:
    """The interval is systemd's, in seconds; another process's, or nonsense, is none."""
    assert watchdog_interval_s(environment) == expected_s
