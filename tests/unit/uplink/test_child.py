"""The child finds and reads what the daemon gives it, and however it ends is told in words."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import config as configuration
from agent.errors import EXIT_REFUSED
from agent.uplink.child import BOOT, Child
from agent.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config import Config
    from agent.health.progress import Progress

#: Content of a boto3 that is broken, and what is said of the child that imports it.
ENDINGS = {
    "raise ImportError('no name X in urllib3')": (
        "it ended with exit code 1",
        "ImportError('no name X in urllib3')",
        "provision",
    ),
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": (
        "it was ended by SIGKILL",
        "",
        "journalctl -k",
    ),
    "import os; os._exit(0)": ("it ended with exit code 0", "", "provision"),
    "import no_such_package": (
        "it ended with exit code 1",
        "the Python package no_such_package is missing",
        "apt install no_such_package",
    ),
    "import os, sys; print('first', 'é' * 9999, 'last', sep='\\n', file=sys.stderr); os._exit(3)": (
        "it ended with exit code 3",
        "last",
        "provision",
    ),
    f"raise RuntimeError('it is {'s3cr/t+' * 6}=')": (
        "it ended with exit code 1",
        "RuntimeError('it is …')",
        "provision",
    ),
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A device without an AWS key, whose file has been spoiled since it was read."""
    toml = tmp_path / "agent.toml"
    toml.write_text(
        'thing.name = "a"\naws.region = "eu-west-1"\npaths.certs = "certs"\n'
        'provisioning.credentials_file = "key"\n'
    )
    found = configuration.load(toml, options_of=lambda _: dict, environment={})
    toml.write_text("spoiled")
    return found


def environment(directory: Path) -> dict[str, str]:
    """Where botocore finds no key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "HOME": str(directory), "AWS_CONFIG_FILE": os.devnull}


def run(config: Config, given: Mapping[str, str]) -> tuple[Child, list[Progress]]:
    """A child at its end, and all that it reported."""
    reports = []
    with Wakeup() as wakeup, Child(config, wakeup=wakeup, environment=given) as child:
        until_s = time.monotonic() + 60
        while child.exit_code is None and time.monotonic() < until_s:
            reports += child.poll(1.0)
    return child, reports


def status_of(pid: int) -> str:
    """What the kernel tells of a process; "" once there is none."""
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def ignores_sighup(pid: int) -> bool:
    """True once the command has begun its work: its next step is to read stdin."""
    found = re.search(r"^SigIgn:\s*(\w+)", status_of(pid), re.MULTILINE)
    return bool(found and int(found[1], 16) & 1 << signal.SIGHUP - 1)


def wait_for(done: Callable[[], bool]) -> None:
    """Return once it is so; the test's timeout bounds it."""
    while not done():
        time.sleep(0.02)


def test_it_reads_no_file_of_the_configuration(config: Config, tmp_path: Path) -> None:
    """It does what the daemon was started with, and reports that there is no key."""
    child, reports = run(config, environment(tmp_path))
    assert (child.exit_code, child.troubled) == (EXIT_REFUSED, True)
    assert reports[-1].code == "no-aws-credentials"
    assert str(tmp_path / "key") in reports[-1].hint


@pytest.mark.parametrize("content", ENDINGS)
def test_it_finds_modules_where_the_daemon_does_and_its_end_is_told(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """How it ended, the last line on stderr, and what to do; never what looks like a secret."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "boto3.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path / "broken")
    child, _ = run(config, environment(tmp_path))
    assert not child.troubled
    text, hint = child.ending()
    how, last, advice = ENDINGS[content]
    assert text.startswith(how)
    assert last in text
    assert "\n" not in text
    assert advice in hint


def test_it_finds_modules_nowhere_else(config: Config, tmp_path: Path) -> None:
    """What the environment names counts only as far as the daemon has it too."""
    (tmp_path / "boto3.py").write_text("raise ImportError")
    child, _ = run(config, {**environment(tmp_path), "PYTHONPATH": str(tmp_path)})
    assert child.exit_code == EXIT_REFUSED


def test_it_ends_with_its_parent_before_it_has_read_a_word(tmp_path: Path) -> None:
    """The kernel sees to it, though somebody else keeps its stdin open."""
    command = [sys.executable, "-I", "-c", BOOT, os.pathsep.join(sys.path), "agent"]
    command.append("provision-child")
    program = (
        "import json, os, subprocess, sys, time\n"
        "command = json.loads(sys.argv[1]) + ['--parent', str(os.getpid())]\n"
        "print(subprocess.Popen(command).pid, flush=True); time.sleep(60)"
    )
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(command)],
        stdin=reader,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        wait_for(lambda: ignores_sighup(child))
        parent.kill()
    wait_for(lambda: not status_of(child) or "\nState:\tZ" in status_of(child))
    os.close(reader)
    os.close(writer)
