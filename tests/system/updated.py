"""A device that takes its updates from a repository, and the way back that it has."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.system.device import Device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.system.repository import Repository

#: What a box of such a device has beside what the package depends on.
UPGRADER = ("unattended-upgrades",)

NOTES = "/var/lib/pi-iot-agent-updates"
WATCH = "pi-iot-agent-rollback.service"
KEY = "/root/updates.asc"

#: What apt and dpkg remember of a package that was there, and what a test has put in.
HISTORY = ("/var/log/", "/root/", "/var/lib/apt/lists/", f"/etc/systemd/system/{WATCH}.d")

#: Timers that may go off during a test.
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "pi-iot-agent-updates.timer")


class Updated(Device):
    """Looks for updates, has them installed, and tells how that went."""

    def prepare(self, *, watch_s: float) -> None:
        """Have it be installed, registered and online, and an upgrade be watched for so long."""
        self.install()
        unit = self.box.output("cat", f"/usr/lib/systemd/system/{WATCH}")
        (start,) = re.findall(r"^ExecStart=(?:.*\\\n)*.*$", unit, re.MULTILINE)
        shorter = start.replace("upgrade watch", f"upgrade watch --for {watch_s:g}")
        drop_in = f"/etc/systemd/system/{WATCH}.d/shorter.conf"
        self.box.write(drop_in, f"[Service]\nExecStart=\n{shorter}\n")
        self.systemctl("daemon-reload")
        self.configure()
        self.restart()
        self.wait_sent()

    def alone(self) -> None:
        """Have nothing be installed by itself until the next boot."""
        self.systemctl("stop", *TIMERS)

    def wait_sent(self) -> None:
        """Wait until a record has arrived, and none waits."""
        self.wait_status(
            "all is sent", lambda status: status["acked"] > 0 and status["queued"] == 0
        )

    def take_up(self, repository: Repository) -> str:
        """What the owner does once; what it said."""
        self.box.copy_in(repository.key.public, KEY)
        url = ("--updates", repository.url, "--updates-key", KEY)
        return self.box.run("pi-iot-agent", "setup", *url).stdout

    def look(self) -> str:
        """What the daily look for updates says."""
        done = self.box.run("pi-iot-agent", "updates", check=False, timeout_s=300)
        return done.stdout + done.stderr

    def upgrade(self) -> str:
        """Look, and have unattended-upgrades install what waits; what that said."""
        looked = self.look()
        done = self.box.run("unattended-upgrade", "-v", check=False, timeout_s=300)
        return f"{looked}{done.stdout}{done.stderr}"

    @property
    def version(self) -> str:
        """Of the package, as dpkg has it, whatever its state is."""
        return self.box.output("dpkg-query", "-Wf${Version}", "pi-iot-agent")

    def note(self, name: str) -> dict[str, Any]:
        """One of root's notes; empty if there is none."""
        read = self.box.run("cat", f"{NOTES}/{name}.json", check=False)
        return dict(json.loads(read.stdout)) if read.returncode == 0 else {}

    def wait_judged(self, new: str, *, timeout_s: float = 180) -> dict[str, Any]:
        """How the upgrade to `new` went, once that is known."""

        def judged() -> bool:
            return not self.note("pending") and self.note("outcome").get("new") == new

        self.box.wait(f"{new} is judged", judged, timeout_s=timeout_s)
        return self.note("outcome")

    def wait_condition(self, code: str) -> dict[str, Any]:
        """The condition, once status.json has it."""
        self.wait_status(code, lambda status: code in _codes(status))
        return next(one for one in self.status()["conditions"] if one["code"] == code)

    def told(self, topic: str = "status") -> list[dict[str, Any]]:
        """What has arrived at the cloud on this topic of the device's, oldest first."""
        messages = self.cloud.observer.messages(f"{self.name}/{topic}")
        return [message.json() for message in messages]

    def settled(self, versions: set[str], *, timeout_s: float = 120) -> None:
        """Wait until one of these versions is installed and online, and nothing is left half."""
        self.box.wait(
            f"one of {versions} is installed, and nothing half",
            lambda: self.installed and self.is_clean() and self.version in versions,
            timeout_s=timeout_s,
        )
        self.wait_online()
        told = self.box.output("pi-iot-agent", "status", check=False)
        assert self.version in told, told

    def leftovers(self) -> list[str]:
        """Files of the package, and of its updates, that are on the disk."""
        search = ["find", "/", "-xdev", "-path", "/proc", "-prune", "-o"]
        found = self.box.output(*search, "-name", "*pi*iot*agent*", "-print").splitlines()
        return [path for path in found if not path.startswith(HISTORY)]

    def is_clean(self) -> bool:
        """Whether dpkg has nothing to complain about."""
        return not self.box.output("dpkg", "--audit")


def _codes(status: Mapping[str, Any]) -> set[str]:
    return {one["code"] for one in status["conditions"]}
