"""Rounds: void ones are measured again, at most twice, and told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bench.broker import lost
from bench.rounds import VoidError, rounds, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def outcomes(*given: float | str) -> Callable[[], dict[str, float]]:
    """A measurement that ends as given: with a figure, or void for a reason."""
    rest = list(given)

    def measure() -> dict[str, float]:
        outcome = rest.pop(0)
        if isinstance(outcome, str):
            raise VoidError(outcome)
        return {"agent": outcome}

    return measure


def test_figures_come_in_their_order() -> None:
    """One a round."""
    assert rounds(3, outcomes(1.0, 2.0, 3.0), name="idle") == {"agent": [1.0, 2.0, 3.0]}


def test_void_round_is_measured_again(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, and leaves no figure."""
    assert rounds(2, outcomes(1.0, "link lost", 2.0), name="idle") == {"agent": [1.0, 2.0]}
    assert "idle: round 2 is void, again: link lost" in capsys.readouterr().err


def test_round_that_is_void_three_times_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The next one is measured all the same."""
    assert rounds(2, outcomes("a", "b", "c", 2.0), name="idle") == {"agent": [2.0]}
    assert "left out: c" in capsys.readouterr().err


def test_row_without_any_round_is_told() -> None:
    """Nothing at all is no row."""
    with pytest.raises(VoidError, match="idle: every round was void"):
        rounds(1, outcomes("a", "b", "c"), name="idle")


def test_window_that_is_void_has_others_begin_anew() -> None:
    """What ran in it has ended before; without a void one all look at the same."""
    measure, happened = outcomes(1.0, "link lost", 2.0, 3.0), list[str]()

    @contextmanager
    def begin() -> Iterator[Callable[[], dict[str, float]]]:
        happened.append("begin")
        yield measure
        happened.append("end")

    assert windows(3, begin, name="idle") == {"agent": [1.0, 2.0, 3.0]}
    assert happened == ["begin", "end", "begin", "end"]


def test_window_whose_processes_do_not_begin_is_void() -> None:
    """They are started again as often as any other is measured."""
    measure, beginnings = outcomes(1.0, 2.0), ["does not connect", ""]

    @contextmanager
    def begin() -> Iterator[Callable[[], dict[str, float]]]:
        if reason := beginnings.pop(0):
            raise VoidError(reason)
        yield measure

    assert windows(2, begin, name="idle") == {"agent": [1.0, 2.0]}


def test_end_of_a_connection_is_seen_in_the_log() -> None:
    """A take-over, a silence, a broken socket, a goodbye: of this client, and of no other."""
    fine = [
        "1795719694: New connection from 127.0.0.1:59735 on port 30242.",
        "1795719694: New client connected from 127.0.0.1:59735 as bench-1 (p5, c0, k60).",
        "1795719695: Client bench-10 closed its connection.",
    ]
    assert not lost(fine, "bench-1")
    for ending in (
        "1795719696: Client bench-1 already connected, closing old connection.",
        "1795719696: Client bench-1 has exceeded timeout, disconnecting.",
        "1795719696: Client bench-1 closed its connection.",
        "1795719696: Client bench-1 disconnected.",
        "1795719696: Socket error on client bench-1, disconnecting.",
    ):
        assert lost([*fine, ending], "bench-1") == ending
