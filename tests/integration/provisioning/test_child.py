"""The daemon's child provisions, reports each step, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.errors import EXIT_OK, EXIT_REFUSED, NoAwsCredentialsError
from agent.identity import has_replaced
from agent.provisioning.cloud import Cloud
from agent.uplink.child import Child
from agent.wakeup import Wakeup
from tests.integration.provisioning.device import ROOT, Device, spoil_key
from tests.timing import allowed_s
from tests.tools.cloud import LocalAws
from tests.tools.cloud import faults as fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.health.progress import Progress


@contextmanager
def without_home(directory: Path) -> Iterator[None]:
    """An environment in which botocore finds no key by itself."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["HOME"] = str(directory)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def watch(
    device: Device, *, retire: bool = False, each: Callable[[Child, Progress], None] | None = None
) -> tuple[int, list[Progress]]:
    """Run the daemon's child to its end; its exit code and reports."""
    environment = {**device.aws.environment, "HOME": str(device.directory)}
    reports = []
    with (
        Wakeup() as wakeup,
        Child(device.config, wakeup=wakeup, retire=retire, environment=environment) as child,
    ):
        until_s = time.monotonic() + 60
        while child.exit_code is None and time.monotonic() < until_s:
            for report in child.poll(1.0):
                reports.append(report)
                if each:
                    each(child, report)
        assert child.exit_code is not None
        return child.exit_code, reports


def running(pid: int) -> bool:
    """Whether a process lives, zombies not counted."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class TestChild:
    """The daemon's side."""

    def test_it_reports_each_step_and_leaves_the_replaced_to_the_daemon(
        self, device: Device
    ) -> None:
        """The daemon's own connection is the proof; then it asks for the removal."""
        code, reports = watch(device)
        assert code == EXIT_OK, reports
        assert reports[0].step == "account"
        assert reports[-1].step == "ready"
        device.check_whole()
        spoil_key(device)
        assert watch(device)[0] == EXIT_OK
        assert len(device.own()) == 2
        assert has_replaced(device.certs, device.name)
        code, reports = watch(device, retire=True)
        assert code == EXIT_OK, reports
        assert not has_replaced(device.certs, device.name)
        device.check_whole()

    def test_sighup_ends_its_wait(self, device: Device) -> None:
        """A retry is made at once; what the fault was is reported from its second time on."""
        device.aws.faults.inject(fault.THROTTLED, "CreateThing")

        def each(child: Child, report: Progress) -> None:
            if report.code:
                device.aws.faults.heal()
                child.retry()

        code, reports = watch(device, each=each)
        assert code == EXIT_OK
        assert "provisioning-failing" in {report.code for report in reports}

    def test_it_ends_with_its_parent(self, device: Device) -> None:
        """The kernel sees to it, whatever the parent died of."""
        device.aws.faults.inject(fault.THROTTLED, "CreateThing")
        program = (
            "import sys, time; from pathlib import Path; from agent.wakeup import Wakeup\n"
            "from agent.config import load; from agent.uplink.child import Child\n"
            "config = load(Path(sys.argv[1]), options_of=lambda _: dict)\n"
            "child = Child(config, wakeup=Wakeup())\n"
            "while not child.poll(1): pass\n"
            "print(child._process.pid, flush=True); time.sleep(60)"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", program, str(device.toml)],
            cwd=ROOT,
            env=device.aws.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
        parent.communicate()
        until_s = time.monotonic() + 60
        while running(child) and time.monotonic() < until_s:
            time.sleep(0.05)
        assert not running(child)

    def test_closing_stops_it(self, device: Device) -> None:
        """It is gone within two seconds; closing again does no harm."""
        device.aws.faults.inject(fault.hang(60), "CreateThing", first=1)
        with Wakeup() as wakeup:
            child = Child(device.config, wakeup=wakeup, environment=device.aws.environment)
            while not child.poll(1.0):
                assert child.exit_code is None
            began_s = time.monotonic()
            child.close()
            child.close()
            assert time.monotonic() - began_s < allowed_s(2)
            assert child.exit_code in (-signal.SIGTERM, -signal.SIGKILL)

    def test_a_wake_up_ends_its_poll(self, device: Device) -> None:
        """The thread that waits for it can be called away."""
        device.aws.faults.inject(fault.hang(60), "GetCallerIdentity", first=1)
        with (
            Wakeup() as wakeup,
            Child(device.config, wakeup=wakeup, environment=device.aws.environment) as child,
        ):
            threading.Timer(0.1, wakeup.set).start()
            assert child.poll(600.0) == []

    def test_no_key_is_a_refusal_that_names_the_file(self, aws: LocalAws, tmp_path: Path) -> None:
        """Adding the key later is enough."""
        late = tmp_path / "credentials"
        device = Device(aws, tmp_path, provisioning={"credentials_file": str(late)})
        with pytest.raises(NoAwsCredentialsError), without_home(tmp_path):
            Cloud(device.config)
        code, reports = watch(device)
        assert code == EXIT_REFUSED
        assert reports[-1].code == "no-aws-credentials"
        assert str(late) in reports[-1].hint
        late.write_text(aws.credentials)
        late.chmod(0o600)
        code, reports = watch(device)
        assert code == EXIT_OK
        assert {report.code for report in reports} == {""}
        device.check_whole()
