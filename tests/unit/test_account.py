"""Root becomes the service's user for good, and is led nowhere by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from agent.account import Account

ROOT = Path(__file__).parents[2]

#: Nobody of this machine, in a group of its own.
NUMBER = 64_321
NOBODY = Account(NUMBER, NUMBER, (NUMBER, NUMBER + 1))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

RUN = """
import os, subprocess, sys, time
from agent.account import Account, run_as
from agent.cli.output import guarded, streams
secret = os.open("/etc/shadow", os.O_RDONLY)
os.set_inheritable(secret, True)
def work():
{work}
with streams():
    sys.exit(guarded(lambda: run_as(Account({uid}, {uid}, ({uid}, {uid} + 1)), work)))
"""


def run(work: str, *, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Have the lines of `work` done by NOBODY, in a process of root's with a terminal's manners."""
    body = "".join(f"    {line}\n" for line in work.strip().splitlines())
    return subprocess.run(
        [sys.executable, "-c", RUN.format(work=body, uid=NUMBER)],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "SUDO_USER": "somebody", "LANG": "C.UTF-8", "AWS_REGION": "r"},
        text=True,
        timeout=30,
        check=False,
    )


def test_nothing_of_root_is_left_in_the_child() -> None:
    """Users, groups, capabilities, open files, session, environment and home are the service's."""
    done = run("""
print(os.getresuid(), os.getresgid(), os.getgroups())
for number in range(3, 64):
    try:
        os.fstat(number)
    except OSError:
        continue
    print("open:", number)
print([l for l in open("/proc/self/status") if l.startswith(("CapEff", "NoNewPrivs"))])
print(os.getsid(0) == os.getpid(), os.umask(0o77) == 0o77)
print(sorted({"HOME", "SUDO_USER", "LANG", "AWS_REGION"} & set(os.environ)), os.environ["HOME"])
try:
    os.setresuid(0, 0, 0)
except PermissionError:
    print("for good")
try:
    open("/etc/shadow")
except PermissionError:
    print("closed")
return 7
""")
    me = (NUMBER,) * 3
    assert done.stdout.splitlines() == [
        f"{me} {me} {[NUMBER, NUMBER + 1]}",
        "['CapEff:\\t0000000000000000\\n', 'NoNewPrivs:\\t1\\n']",
        "True True",
        "['AWS_REGION', 'HOME', 'LANG'] /nonexistent",
        "for good",
        "closed",
    ]
    assert (done.returncode, done.stderr) == (7, "")


def test_no_other_process_of_that_user_reads_what_it_was_given() -> None:
    """A secret in its first environment stays there, whatever is taken out of os.environ."""
    done = run("""
subprocess.run(["cat", f"/proc/{os.getpid()}/environ"])
subprocess.run(["cat", f"/proc/{os.getpid()}/maps"])
return 0
""")
    assert done.stdout == ""
    assert done.stderr.count("Permission denied") == 2


def test_a_process_that_could_be_root_again_does_nothing() -> None:
    """What is verified is the outcome, not the calls."""
    program = "from agent.account import *; become(Account(0, 0, ()))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "NotPermittedError: this process is still root" in done.stderr


def test_what_it_says_reaches_the_terminal_without_controls() -> None:
    """On both streams; letters that arrive in two pieces stay whole."""
    done = run("""
sys.stdout.write("a\\x1b]0;title\\x07b\\tc\\rd\\u009b\\n")
os.write(2, b"\\x1b[2J")
half, rest = "\\u00fc\\n".encode()[:1], "\\u00fc\\n".encode()[1:]
os.write(1, half); time.sleep(0.05); os.write(1, rest)
os.write(1, b"\\xff\\n")
return 0
""")
    assert done.stdout == "a\\x1b]0;title\\x07b\tc\\x0dd\\x9b\nü\n\\xff\n"
    assert done.stderr == "\\x1b[2J"


def test_what_it_leaves_behind_keeps_nobody_waiting() -> None:
    """A process that it started holds the pipes, and goes on talking; all that it said is shown."""
    done = run("""
print("x" * 60_000)
left = subprocess.Popen(["sh", "-c", "while :; do echo more; sleep 0.01; done"])
print(left.pid, file=sys.stderr)
return 0
""")
    os.kill(int(done.stderr), signal.SIGKILL)
    assert done.stdout.startswith("x" * 60_000)


@pytest.mark.parametrize(
    ("end", "code"), [("os.kill(os.getpid(), 9)", 137), ("raise ValueError('x')", 1)]
)
def test_its_end_is_the_exit_code_of_the_command(end: str, code: int) -> None:
    """As a shell has it."""
    assert run(end).returncode == code


def test_a_signal_to_root_goes_on_to_the_child() -> None:
    """The child, which leads a session of its own, would not get it from the terminal."""
    body = "    print('ready', flush=True)\n    time.sleep(60)\n    return 0\n"
    with subprocess.Popen(
        [sys.executable, "-c", RUN.format(work=body, uid=NUMBER)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "ready\n"
        parent.terminate()
        assert parent.wait(20) == 128 + signal.SIGTERM


def test_a_line_typed_at_roots_terminal_interrupts_the_child() -> None:
    """The child itself has no terminal."""
    code = f"""
import os, sys, time
from agent.account import Account, run_as
def work():
    try:
        print("begun", os.isatty(0), flush=True)
        time.sleep(20)
    except KeyboardInterrupt:
        print("interrupted")
    return 3
sys.exit(run_as(Account({NUMBER}, {NUMBER}, ({NUMBER},)), work, ends=0))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "begun False\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "interrupted\n"
    assert process.returncode == 3


def test_a_reader_that_has_seen_enough_ends_nothing() -> None:
    """The work is done to its end, whoever listens, and how it ended is told."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(
        'os.write(1, b"x\\n")\ntime.sleep(0.1)\nos.write(2, b"done")\nreturn 5', stdout=writer
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (5, "done")


KEYS = """
import ctypes, os, sys
from agent.account import KEYCTL, Account, run_as
keyctl, call = KEYCTL[os.uname().machine[:3], sys.maxsize > 2**32], ctypes.CDLL(None).syscall
def found():  # KEYCTL_SEARCH in the session's keyring
    return call(keyctl, 10, -3, b"user", b"secret", 0) > 0
assert call(keyctl, 1, 0) > 0, "a session keyring of this test's own"
assert call(keyctl - 2, b"user", b"secret", b"x", 1, -3) > 0  # add_key(2)
assert found()
sys.exit(run_as(Account({uid}, {uid}, ()), lambda: 3 if found() else 4))
"""


def test_the_keys_of_roots_session_stay_there() -> None:
    """A session's keyring goes along with a fork and a change of user."""
    command = [sys.executable, "-c", KEYS.format(uid=NUMBER)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 4


def test_a_child_that_is_held_still_is_ended_by_a_second_signal() -> None:
    """The service's user may stop its own processes, but root's command is root's to end."""
    body = "    import signal; signal.signal(2, signal.SIG_IGN); print(1, flush=True)\n"
    body += "    while True: os.kill(os.getpid(), 19)\n"
    with subprocess.Popen(
        [sys.executable, "-c", RUN.format(work=body, uid=NUMBER)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline().strip().isdecimal()
        for _ in range(2):
            parent.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                parent.wait(1)
        assert parent.wait(20) == 128 + signal.SIGKILL


def test_a_child_that_is_killed_is_told() -> None:
    """By the kernel for want of memory, for one."""
    done = run("os.kill(os.getpid(), 9)")
    assert done.returncode == 128 + signal.SIGKILL
    first, hint = done.stderr.splitlines()
    assert "was ended by SIGKILL; memory may have run out" in first
    assert hint.startswith("hint: ")
