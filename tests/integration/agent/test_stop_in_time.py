"""Within 4 s of SIGTERM the agent has ended, whatever hangs; 0 tells that nothing was lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.agent.conftest import name_of
from tests.timing import allowed_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.agent_process import AgentProcess
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws

PROMISED_S = 4.0

#: Each call hangs, and takes no signal for an answer, while a file of its name is in $HANG.
HANGING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void hang(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("HANG"), name);
    struct timespec left = {60, 0};
    if (!access(path, F_OK)) while (nanosleep(&left, &left)) {}
}
int fsync(int fd) {
    hang("fsync");
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
int fdatasync(int fd) {
    hang("fsync");
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
int renameat(int from, const char *old, int to, const char *new) {
    if (!strcmp(new, "status.json")) hang("status");
    return ((int (*)(int, const char *, int, const char *))dlsym(RTLD_NEXT, "renameat"))
        (from, old, to, new);
}
int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r) {
    hang("look-up");
    return ((int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))
        dlsym(RTLD_NEXT, "getaddrinfo"))(n, s, h, r);
}
"""

PLUG_IN = """
import time

class Driver:
    def read(self):
        open({told!r}, "w").close()
        time.sleep(3600)
    def close(self):
        pass

def open_driver(options, *, clock):
    return Driver()
"""

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="cc is not installed")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that has system calls hang, for LD_PRELOAD."""
    directory = tmp_path_factory.mktemp("hang")
    source = directory / "hang.c"
    source.write_text(HANGING)
    made = directory / "hang.so"
    command = [str(shutil.which("cc")), "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return made


def hangs(agent: AgentProcess, library: Path) -> Path:
    """A directory in which a file's name says what hangs from then on."""
    directory = agent.directory / "hang"
    directory.mkdir()
    agent.environment |= {"LD_PRELOAD": str(library), "HANG": str(directory)}
    return directory


def plug_in(agent: AgentProcess) -> Path:
    """A driver `hang`; the file that it makes once it hangs."""
    site, told = agent.directory / "site", agent.directory / "hangs"
    metadata = site / "hang-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hang\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[pi_iot_agent.sensors]\nhang = hang_driver:open_driver\n"
    )
    (site / "hang_driver.py").write_text(PLUG_IN.format(told=str(told)))
    agent.environment["PYTHONPATH"] = str(site)
    return told


def stopped(agent: AgentProcess, *numbers: signal.Signals) -> int:
    """The exit code after SIGTERM, within the time that is promised."""
    began_s = time.monotonic()
    for number in numbers or (signal.SIGTERM,):
        agent.signal(number)
        time.sleep(0.05)
    code = agent.wait(60)
    took_s = time.monotonic() - began_s
    assert took_s < allowed_s(PROMISED_S), f"{took_s:.2f} s\n{agent.log}"
    assert "Traceback" not in agent.log
    return code


def wait_for(wanted: Callable[[], bool]) -> None:
    """Wait until it is so."""
    until_s = time.monotonic() + 60
    while not wanted():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_a_program_that_hangs(cloud: LocalAws, make_agent: MakeAgent, tmp_path: Path) -> None:
    """It is left out, and ended; the rest ends in order, and the cloud hears of it."""
    told = tmp_path / "pid"
    command = ["/bin/sh", "-c", f"echo $$ >{told}; exec sleep 600"]
    sensor = {
        "name": "stuck",
        "driver": "exec",
        "command": command,
        "interval_s": 0.2,
        "timeout_s": 300,
    }
    room = {"name": "room", "driver": "simulated", "interval_s": 0.2}
    agent = make_agent(sensors=[sensor, room]).start()
    agent.wait_online()
    wait_for(told.exists)

    assert stopped(agent) == 0

    last = cloud.observer.wait(f"{name_of(agent)}/status", count=2)[-1].json()
    assert last["reason"] == "stopped"
    program = Path(f"/proc/{told.read_text().strip()}")
    wait_for(lambda: not program.exists())


def test_a_driver_that_hangs(make_agent: MakeAgent) -> None:
    """Its thread is left behind, and the rest ends in order."""
    agent = make_agent(sensors=[{"name": "stuck", "driver": "hang", "interval_s": 0.2}])
    told = plug_in(agent)
    agent.start().wait_online()
    wait_for(told.exists)

    assert stopped(agent) == 0

    assert "stuck: it hangs and is left behind" in agent.log


@needs_compiler
@pytest.mark.parametrize("commit_after_s", [0, 60])
def test_a_card_that_hangs(make_agent: MakeAgent, library: Path, commit_after_s: int) -> None:
    """The process ends without it, and says so; SIGTERM again and SIGHUP change nothing."""
    room = {"name": "room", "driver": "simulated", "interval_s": 0.2}
    agent = make_agent(sensors=[room], store={"commit_after_s": commit_after_s})
    hanging = hangs(agent, library)
    agent.start().wait_online()
    (hanging / "fsync").touch()
    time.sleep(1)

    code = stopped(agent, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM)

    assert code in {1, -signal.SIGALRM}  # the kernel's, where a busy machine is slower yet
    assert code != 1 or agent.log.count("cut short") == 1


@needs_compiler
def test_a_runtime_directory_that_hangs(
    cloud: LocalAws, make_agent: MakeAgent, library: Path
) -> None:
    """Nothing but status.json is lost."""
    agent = make_agent()
    hanging = hangs(agent, library)
    agent.start().wait_online()
    (hanging / "status").touch()
    time.sleep(1.5)

    assert stopped(agent) == 0

    last = cloud.observer.wait(f"{name_of(agent)}/status", count=2)[-1].json()
    assert last["reason"] == "stopped"
    assert "reporter is stuck and is left behind" in agent.log
    assert "no record waits" in agent.command("queue").stdout


@needs_compiler
def test_a_look_up_that_hangs(make_agent: MakeAgent, library: Path) -> None:
    """It is not waited for; all that the uplink could have lost is in the store."""
    agent = make_agent()
    assert agent.command("provision").returncode == 0
    hanging = hangs(agent, library)
    (hanging / "look-up").touch()
    agent.start().wait_status(lambda status: status["state"] == "connecting")

    assert stopped(agent) == 0


@needs_compiler
def test_a_card_that_hangs_while_the_agent_starts(make_agent: MakeAgent, library: Path) -> None:
    """The end does not wait for the beginning."""
    agent = make_agent()
    hanging = hangs(agent, library)
    (hanging / "fsync").touch()
    agent.start()
    wait_for((agent.directory / "state").exists)

    assert stopped(agent) != 0


def test_records_that_were_in_memory_only_are_told(make_agent: MakeAgent) -> None:
    """Where the card gives no file and nothing was sent, the end is none in order."""
    agent = make_agent(mqtt={"endpoint": "127.0.0.1", "port": 9})
    (agent.directory / "state").mkdir()
    (agent.directory / "state" / "store.db").mkdir()
    agent.start()
    agent.wait_status(lambda status: status["queued"] > 0)

    assert stopped(agent) == 1

    assert agent.log.count("what was in memory only is lost: ") == 1
