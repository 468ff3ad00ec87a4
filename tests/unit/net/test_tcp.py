"""A name is looked up in a thread; where the system has none to give, that is no defect of ours."""

from __future__ import annotations

import threading

import pytest

from agent.errors import LinkLostError
from agent.net import tcp
from agent.net.waiter import Waiter
from agent.wakeup import Wakeup


@pytest.mark.filterwarnings("error")  # a socket that nobody closes is one
def test_a_look_up_for_which_there_is_no_thread_is_a_lost_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried again as any other; the text says what is short."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with Wakeup() as wakeup, pytest.raises(LinkLostError, match="no thread") as told:
        tcp.look_up("broker", 8883, Waiter(wakeup, lambda: False))
    assert "TasksMax=" in told.value.hint
