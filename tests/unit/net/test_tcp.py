"""A name is looked up in a thread, without tables that it does not need; none is a lost link."""

from __future__ import annotations

import subprocess
import sys
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


LOOKS_UP = """
import sys
from agent.net import Waiter, look_up
from agent.wakeup import Wakeup

with Wakeup() as wakeup:
    look_up("localhost", 8883, Waiter(wakeup, lambda: False))
print(*sys.modules)
"""


def test_a_name_in_letters_of_ours_loads_no_tables_of_others() -> None:
    """`encodings.idna` and the Unicode tables behind it are a third of a MiB."""
    command = [sys.executable, "-c", LOOKS_UP]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "agent.net.tcp" in loaded
    assert not {"encodings.idna", "stringprep"} & {*loaded}
