"""The broker of the benchmarks: a real mosquitto."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NoReturn

import pytest

from bench.broker import Broker, make_certificates
from tests.unit.bench.processes import running

if TYPE_CHECKING:
    from pathlib import Path


class Interrupted(Broker):
    """A broker during whose start somebody loses patience."""

    def wait(self, *_: object, **__: object) -> NoReturn:
        """Interrupt."""
        raise KeyboardInterrupt


def test_broker_whose_start_is_interrupted_has_ended(tmp_path: Path) -> None:
    """Nobody else would end it: what raises in `__enter__` calls no `__exit__`."""
    broker = Interrupted(make_certificates(tmp_path))
    with pytest.raises(KeyboardInterrupt), broker:
        pass
    assert not running(broker.pid)


def test_broker_serves_again_on_its_ports(tmp_path: Path) -> None:
    """It ends and begins as often as it is told to, and its log goes on."""
    with Broker(make_certificates(tmp_path)) as broker:
        first, lines = broker.pid, len(broker.log)
        broker.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", broker.port))
        assert broker.start() == broker.wait("running", behind=lines).at_s
        assert broker.pid != first
        socket.create_connection(("127.0.0.1", broker.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port))


def test_nobody_waits_for_a_broker_that_has_ended(tmp_path: Path) -> None:
    """Another program has its port: the error has what mosquitto says of it."""
    broker = Broker(make_certificates(tmp_path))
    with (
        socket.create_server(("127.0.0.1", broker.port)),
        pytest.raises(TimeoutError, match="Address already in use"),
    ):
        broker.start()
    with pytest.raises(TimeoutError):
        broker.wait("running", timeout_s=3600)
    broker.stop()


def test_wait_for_what_is_not_logged_ends(tmp_path: Path) -> None:
    """The error says how often it was seen, of how often."""
    with (
        Broker(make_certificates(tmp_path)) as broker,
        pytest.raises(TimeoutError, match=r"running: 1 of 2 in 0\.05 s"),
    ):
        broker.wait("running", count=2, timeout_s=0.05)
