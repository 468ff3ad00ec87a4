"""A box with the package in it, driven as a person at its console would."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.system.box import Box
    from tests.tools.cloud import LocalAws

UNIT = "pi-iot-agent.service"
CONFIG = "/etc/pi-iot-agent/agent.toml"
CA_FILE = "/etc/pi-iot-agent/ca.pem"
CREDENTIALS = "/etc/pi-iot-agent/aws/credentials"
EXAMPLES = "/usr/share/doc/pi-iot-agent/examples"
STORE = "/var/lib/pi-iot-agent/store.db"
SENSORS = [
    {"name": "motion", "driver": "simulated", "detections_per_s": 1.0},
    {"name": "room", "driver": "simulated", "interval_s": 0.5},
]


class Device:
    """Installs, configures and looks at the agent in `box`; its AWS is `cloud`.

    After a purge it is another device, with another `name`: its numbers begin anew.
    """

    def __init__(self, box: Box, cloud: LocalAws, package: Path, *, name: str) -> None:
        self.box = box
        self.cloud = cloud
        self.package = package
        self._name = name
        self._purges = 0

    @property
    def name(self) -> str:
        """The thing's."""
        return f"{self._name}-{self._purges}"

    @property
    def certs(self) -> str:
        """Where its certificate lies."""
        return f"/etc/pi-iot-agent/certs/{self.name}"

    def install(self, package: Path | None = None, *options: str) -> str:
        """What a person types after copying the file there; what apt-get said."""
        self.box.copy_in(package or self.package, "/root/pi-iot-agent.deb")
        command = ["apt-get", "install", "-y", *options, "/root/pi-iot-agent.deb"]
        done = self.box.run(*command, timeout_s=300)
        return done.stdout + done.stderr

    def purge(self) -> str:
        """Remove all of it; what apt-get said."""
        done = self.box.run("apt-get", "purge", "-y", "pi-iot-agent", timeout_s=300)
        self._purges += 1
        return done.stdout + done.stderr

    @property
    def installed(self) -> bool:
        """Whether dpkg has it, and not just what it left."""
        asked = self.box.run("dpkg-query", "-Wf${db:Status-Status}", "pi-iot-agent", check=False)
        return asked.stdout == "installed"

    def configure(self, text: str | None = None) -> None:
        """Write agent.toml, for the cloud unless `text` says otherwise, and the AWS key."""
        self.box.write(CA_FILE, self.cloud.ca_file.read_text())
        self.box.write(CONFIG, self.toml if text is None else text)
        self.box.write(CREDENTIALS, self.cloud.credentials, mode="0600", owner="pi-iot-agent")

    @property
    def toml(self) -> str:
        """An agent.toml that works here; the directories are the package's."""
        return self.toml_with()

    def toml_with(self, **sections: Mapping[str, Any]) -> str:
        """The same, but for keys that are added, replaced, or taken out by None."""
        usual: dict[str, Mapping[str, Any]] = {
            "provisioning": {"credentials_file": None},
            "mqtt": {"ca_file": CA_FILE, "backoff_max_s": 2},
            "count": {"window_s": 5},
            "paths": {"certs": None, "state": None, "runtime": None},
        }
        for section, keys in sections.items():
            usual[section] = {**usual.get(section, {}), **keys}
        # Of the directory nothing is of use: no path is below it.
        return self.cloud.agent_toml(self.package, name=self.name, sensors=SENSORS, **usual)

    def systemctl(self, *arguments: str) -> None:
        """Run it to its end; AssertionError tells what it said and how the service is."""
        done = self.box.run("systemctl", *arguments, check=False)
        if done.returncode:
            raise AssertionError(f"systemctl {arguments}: {done.stderr}\n{self.box.report()}")

    def show(self, name: str) -> str:
        """A property of the unit (systemctl(1))."""
        return self.box.output("systemctl", "show", "--value", "-p", name, UNIT)

    @property
    def main_pid(self) -> str:
        """Of the daemon, as it is numbered inside; "0" if it does not run."""
        return self.show("MainPID")

    def cpu_s(self) -> float:
        """The processor time that the service, with its children, has taken since its start."""
        return int(self.show("CPUUsageNSec")) / 1e9

    def status(self) -> dict[str, Any]:
        """status.json as it is now; empty if there is none."""
        read = self.box.run("cat", "/run/pi-iot-agent/status.json", check=False)
        return dict(json.loads(read.stdout)) if read.returncode == 0 else {}

    def processes(self) -> list[str]:
        """What runs as the service's user."""
        return self.box.output(
            *("find", "/proc", "-maxdepth", "1", "-name", "[0-9]*", "-user", "pi-iot-agent")
        ).splitlines()

    def wait_status(
        self, what: str, wanted: Callable[[Mapping[str, Any]], bool], *, timeout_s: float = 60
    ) -> None:
        """Wait until status.json of the process that runs now is as wanted."""

        def reached() -> bool:
            status = self.status()
            return bool(status) and str(status["pid"]) == self.main_pid and wanted(status)

        self.box.wait(what, reached, timeout_s=timeout_s)

    def wait_online(self) -> None:
        """Wait until it is connected, which includes a registration where none is."""
        self.wait_status("the agent is online", lambda status: status["state"] == "online")

    def cursor(self) -> str:
        """A place in the journal: its end."""
        shown = self.box.output("journalctl", "-n0", "--show-cursor")
        return shown.rpartition("cursor: ")[2]

    def journal(self, cursor: str, *arguments: str) -> str:
        """What the unit, and systemd about it, logged since; messages only.

        bookworm's journalctl leaves out the first of those that it was asked for.
        """
        command = ["journalctl", f"--after-cursor={cursor}", "-ocat", "-u", UNIT, *arguments]
        return self.box.output(*command)

    def starts(self, cursor: str) -> int:
        """How often systemd has started it since."""
        return self.journal(cursor).count("Started " + UNIT)

    def birth(self) -> str:
        """Why the agent was gone before its last start, as it told the cloud."""
        births = self.cloud.observer.wait(
            f"{self.name}/status", matching=lambda message: b'"online"' in message.payload
        )
        return str(births[-1].json()["reason"])

    def numbers(self) -> list[tuple[str, int]]:
        """Epoch and seq of every record that has arrived at the cloud, each once, in order."""
        arrived = {
            (record["epoch"], record["seq"])
            for message in self.cloud.observer.messages(f"{self.name}/#")
            if b'"seq"' in message.payload
            for record in [message.json()]
        }
        return sorted(arrived)

    def missing(self) -> list[int]:
        """The numbers that have not arrived though a later one has; for one epoch."""
        numbers = self.numbers()
        assert len({epoch for epoch, _ in numbers}) == 1, numbers
        arrived = {number for _, number in numbers}
        return sorted(set(range(min(arrived), max(arrived))) - arrived)

    def restart(self) -> float:
        """Restart and wait until it is connected; seconds that took."""
        started_s = time.monotonic()
        self.systemctl("restart", UNIT)
        self.wait_online()
        return time.monotonic() - started_s
