"""What a person does with the certificates goes before what the daemon does by itself."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from agent import files
from agent.errors import BusyError, CredentialsError
from agent.identity import Generations, by_hand
from agent.identity.credentials import read, read_identity

if TYPE_CHECKING:
    from pathlib import Path


def test_a_person_says_so_and_waits_until_the_daemon_has_let_go(tmp_path: Path) -> None:
    """The daemon's own attempt sees the other lock, and ends."""
    certs = tmp_path / "certs"
    certs.mkdir()
    generations = Generations(certs, "cat")
    seen = []
    with ExitStack() as daemon:
        daemon.enter_context(files.lock(certs / ".lock", "the daemon"))

        def sleep(_seconds: float) -> None:
            seen.append(by_hand(certs))
            if len(seen) > 1:
                daemon.close()

        with generations.locked(by_hand=True, sleep=sleep):
            assert files.is_locked(certs / ".lock")
    assert seen == [True, True]
    assert not by_hand(certs)


def test_two_persons_and_a_daemon_that_never_lets_go_are_told(tmp_path: Path) -> None:
    """The second of two is told at once; the daemon's attempt is given a quarter of a minute."""
    generations = Generations(tmp_path / "certs", "cat")
    waited: list[float] = []
    with generations.locked(by_hand=True):
        for one in (True, False):
            with pytest.raises(BusyError, match="another command's"):
                generations.locked(by_hand=one).__enter__()
    with files.lock(tmp_path / "certs/.lock", "the daemon"), pytest.raises(BusyError):
        generations.locked(by_hand=True, sleep=waited.append).__enter__()
    assert sum(waited) == 15


@pytest.mark.parametrize("name", ["identity.json", "cat-certificate.pem.crt", "AmazonRootCA1.pem"])
def test_a_fifo_in_a_generation_is_told_and_never_waited_for(tmp_path: Path, name: str) -> None:
    """Nor is a link that goes round."""
    os.mkfifo(tmp_path / name)
    (tmp_path / "round").symlink_to("round")
    generations = Generations(tmp_path, "cat")
    assert generations.fingerprint(tmp_path) == ""
    for directory in (tmp_path, tmp_path / "round"):
        with pytest.raises(CredentialsError):
            read(directory, "cat")
    with pytest.raises(CredentialsError):
        read_identity(tmp_path / name)
