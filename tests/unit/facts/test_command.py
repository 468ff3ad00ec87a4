"""Commands run once for each event, in order and for a time, and are told when they fail."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from agent.config.rule import Rule
from agent.facts.command import Commands
from agent.health.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Bench:
    """Commands in a directory, and what is told of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.turned = threading.Event()
        self.health = Health(on_turn=self.turned.set)
        self.commands = Commands(self.health)

    def rule(self, script: str, *, name: str = "rule", timeout_s: float = 30.0) -> Rule:
        """A rule whose command is this script of sh, in which `$0` is the directory."""
        command = ("/bin/sh", "-c", script, str(self.directory))
        return Rule(name=name, offline_for_s=60, command=command, command_timeout_s=timeout_s)

    def pipe(self, name: str) -> Path:
        """A pipe, at which the two ends wait for each other."""
        path = self.directory / name
        os.mkfifo(path)
        return path

    def told(self) -> tuple[str, str]:
        """Text and hint of the failure, awaited."""
        assert self.turned.wait(30)
        (condition,) = self.health.snapshot().conditions
        assert (condition.code, condition.severity) == ("command-failing", "warning")
        return condition.text, condition.hint


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench, cleared at the end."""
    bench = Bench(tmp_path)
    yield bench
    bench.commands.close()


def test_a_command_is_told_the_event(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its environment, in which nothing is secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    out = bench.pipe("out")
    bench.commands.start(bench.rule('env | sort >"$0/out"'), "begin", 31.50)
    lines = out.read_text().splitlines()
    assert [one for one in lines if one.startswith("PI_IOT_")] == [
        "PI_IOT_EVENT=begin",
        "PI_IOT_KIND=offline",
        "PI_IOT_RULE=rule",
        "PI_IOT_VALUE=31.5",
    ]
    assert not [one for one in lines if one.startswith(("AWS_", "NOTIFY_"))]


def test_begin_and_end_run_in_order_and_the_newest_wins(bench: Bench) -> None:
    """What comes while one runs waits, and what came before it in the queue is left out."""
    gate, out = bench.pipe("gate"), bench.pipe("out")
    rule = bench.rule('read _ <"$0/gate"; echo $PI_IOT_EVENT $PI_IOT_VALUE >"$0/out"')
    for event, value in (("begin", 1), ("end", 2), ("begin", 3), ("end", None)):
        bench.commands.start(rule, event, value)
    ran = []
    for _ in range(2):
        gate.write_text("go\n")
        ran.append(out.read_text())
    assert ran == ["begin 1\n", "end\n"]
    done = bench.pipe("done")
    bench.commands.start(bench.rule('echo one >"$0/done"'), "begin", 5)  # the same, at rest again
    assert done.read_text() == "one\n"


def test_rules_do_not_wait_for_each_other(bench: Bench) -> None:
    """One whose command hangs holds up nobody, nor who starts it."""
    gate, out = bench.pipe("gate"), bench.pipe("out")
    bench.commands.start(bench.rule('read _ <"$0/gate"', name="hangs"), "begin", 1)
    bench.commands.start(bench.rule('echo over >"$0/out"', name="other"), "begin", 1)
    assert out.read_text() == "over\n"
    gate.write_text("go\n")


def test_a_command_that_takes_too_long_is_killed_with_all_it_started(bench: Bench) -> None:
    """And told; the pipe ends when nobody holds it any more."""
    out = bench.pipe("out")
    bench.commands.start(bench.rule('sleep 3600 >"$0/out" & sleep 3600', timeout_s=0.2), "begin", 1)
    assert out.read_text() == ""
    text, hint = bench.told()
    assert text == "rule: it takes too much time"
    assert "by hand" in hint


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("echo no buzzer >&2; exit 3", "rule: /bin/sh: exit code 3: no buzzer"),
        ("kill -TERM $$", "rule: /bin/sh was ended: Terminated"),
        ("yes", "rule: it prints more than 65536 bytes"),
    ],
)
def test_a_failure_is_told_and_over_with_the_next_success(
    bench: Bench, script: str, text: str
) -> None:
    """With what the program said last."""
    bench.commands.start(bench.rule(script), "begin", 1)
    assert bench.told()[0] == text
    bench.turned.clear()
    bench.commands.start(bench.rule("echo well"), "end", None)
    assert bench.turned.wait(30)
    assert bench.health.snapshot().conditions == ()


def test_a_program_that_is_not_there_is_told(bench: Bench) -> None:
    """As that of a sensor is."""
    rule = Rule(name="rule", offline_for_s=60, command=("/usr/bin/buzer", "on"))
    bench.commands.start(rule, "begin", 1)
    assert bench.told()[0] == "rule: /usr/bin/buzer: No such file or directory"


def test_the_end_of_the_agent_ends_what_runs(bench: Bench) -> None:
    """Without a word, and what waits is not begun; more than once does no harm."""
    out, held = bench.pipe("out"), bench.pipe("held")
    rule = bench.rule('echo on >"$0/out"; sleep 3600 >"$0/held"')
    bench.commands.start(rule, "begin", 1)
    assert out.read_text() == "on\n"
    with held.open() as pipe:
        bench.commands.start(rule, "end", None)
        bench.commands.close()
        bench.commands.close()
        assert pipe.read() == ""  # nobody has it any more
    bench.commands.start(rule, "begin", 1)
    assert not [
        one for one in threading.enumerate() if one.name == "command of rule" and stays(one)
    ]
    assert bench.health.snapshot().conditions == ()


def stays(thread: threading.Thread) -> bool:
    """True if it does not end."""
    thread.join(30)
    return thread.is_alive()
