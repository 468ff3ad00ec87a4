"""A real mosquitto that stands in for AWS IoT Core's message broker."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.tools.cloud.fleet_link import FleetLink
from tests.tools.cloud.link import Control, Observer
from tests.tools.cloud.mosquitto import (
    CONFIGURATION,
    CloudError,
    dynamic_security,
    find_mosquitto,
    free_ports,
    role,
)
from tests.tools.cloud.plugin import build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from tests.tools.cloud.authority import Authority
    from tests.tools.cloud.policies import Grant

RELOAD_S = 0.2
PATIENCE_S = 30  # a busy machine may take long over mosquitto's fsync
#: As a process returns them; the last where a reload met one that was just beginning.
CRASHES = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGHUP}
CONNECTED = re.compile(r"New client connected from \S+ as (.*) \(p(\d), .*u'(device-\w+)'\)")


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT that passed TLS: epoch seconds, client id, MQTT version (4 or 5), common name."""

    time_s: float
    client_id: str
    protocol: int
    common_name: str


@dataclass(frozen=True, slots=True)
class Access:
    """Grants of the certificates that may connect, by common name; serial numbers of all others.

    `waiting`: common names of those that pass TLS, and whose connections end without a CONNACK.
    """

    grants: Mapping[str, Grant]
    revoked: frozenset[int]
    waiting: frozenset[str] = frozenset()


class Broker:
    """mosquitto on TLS, on one port for all its life; a context manager.

    A mosquitto that crashes is started again at once, with the sessions it had a second ago. 2.0.11
    without the plugin does so, some time after a reload with a session away (`fleet_plugin.c`).

    A certificate that is not ACTIVE, or whose policies allow no CONNECT, is refused in the TLS
    handshake. One that may connect, but not with the client id it gave, is thrown out at once:
    mosquitto has no way to refuse its CONNECT. `apply` changes what is allowed while it runs.

    `fleet` has what devices ask of fleet provisioning, unless `lacking` says what that needs.
    """

    def __init__(
        self, directory: Path, *, devices: Sequence[Authority], server: tuple[str, bytes]
    ) -> None:
        self._directory = directory
        self._devices = devices
        self._password = secrets.token_hex(16)
        self._access = Access({}, frozenset())
        self._roles: dict[str, frozenset[Any]] = {}
        self._revoked: frozenset[int] = frozenset()
        self._lock = threading.RLock()
        self._logged = threading.Condition()
        self._reloads = 0
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._paused = False
        self._ending = False
        self._crashes = 0
        self.log: list[str] = []
        self.connects: list[Connect] = []
        self.port, self.inner_port = free_ports(2)
        self.observer = Observer(self.inner_port, password=self._password)
        self._control = Control(self.inner_port, password=self._password)
        self.fleet = FleetLink(self.inner_port, password=self._password)
        self.lacking = ""
        first = ""
        try:
            first = f"plugin {build()}\nplugin_opt_waiting {directory}/waiting"
        except CloudError as error:
            self.lacking = str(error)
        self._links = [
            self._control.link,
            self.observer.link,
            *([self.fleet.link] if first else []),
        ]
        self._binary, self._plugin = find_mosquitto()
        self._write("device-ca.pem", "".join(each.pem for each in devices).encode())
        self._write("server.pem", server[0].encode())
        self._write("server.key", server[1])
        text = CONFIGURATION.format(
            port=self.port,
            inner_port=self.inner_port,
            directory=directory,
            fleet=first,
            name="" if first else "use_identity_as_username true",  # the plugin does that
            plugin=self._plugin,
            user="user root" if os.geteuid() == 0 else "",
        )
        self._write("mosquitto.conf", text.encode())

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of mosquitto; 0 while there is none."""
        return self._process.pid if self._process is not None and self.running else 0

    def start(self) -> None:
        """Start it and wait until it serves; it goes on with the sessions it had."""
        with self._lock:
            if self.running:
                return
            self._ending = False
            self._write_access()
            started = threading.Event()
            self._reader = threading.Thread(
                target=self._run, args=(started,), name="cloud-mosquitto", daemon=True
            )
            self._reader.start()
            if not started.wait(PATIENCE_S) or not self._serves():
                self.kill()
                last = "\n  ".join(self.log[-8:])
                raise CloudError(f"mosquitto does not start; the last it said:\n  {last}")
            for link in self._links:
                if not link.started:
                    link.__enter__()
                if not link.wait_subscribed(PATIENCE_S):
                    raise CloudError(f"the cloud cannot reach its own broker: {self.log[-8:]}")

    def stop(self) -> None:
        """End it in order, as in maintenance: devices are disconnected, sessions kept."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as in a crash: sessions are as they were a second ago."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay up and nothing answers."""
        with self._lock:
            if self.running and not self._paused:
                self._signal(signal.SIGSTOP)
                self._paused = True

    def resume(self) -> None:
        """Let it go on, with what has changed in access since."""
        with self._lock:
            if self._paused:
                self._signal(signal.SIGCONT)
                self._paused = False
                self.apply(self._access)

    def close(self) -> None:
        """End it and the cloud's own connections; more than once does no harm."""
        for link in reversed(self._links):
            link.close()
        self.stop()

    def apply(self, access: Access) -> None:
        """Allow this from now on. Returns when it is in force, or at once if none runs."""
        with self._lock:
            self._access = access
            if not self.running or self._paused:
                return
            self._write_waiting()
            if access.revoked != self._revoked:
                self._revoked = access.revoked
                self._reload()
            wanted = {name: grant.acls() for name, grant in access.grants.items()}
            commands: list[dict[str, Any]] = []
            for name in self._roles.keys() - wanted.keys():
                commands += [
                    {"command": "deleteClient", "username": name},
                    {"command": "deleteRole", "rolename": name},
                ]
            for name, acls in wanted.items():
                entries = [acl.to_json() for acl in acls]
                if name not in self._roles:
                    commands += [
                        {"command": "createRole", "rolename": name, "acls": entries},
                        {"command": "createClient", "username": name, "roles": role(name)},
                    ]
                elif acls != self._roles[name]:
                    commands.append({"command": "modifyRole", "rolename": name, "acls": entries})
            self._roles = wanted
            if commands:
                before = self._crashes  # what is started anew knows all of it
                self._control.request(commands, lost=lambda: self._crashes > before)

    def _reload(self) -> None:
        self._write_revoked()
        with self._logged:
            before, deadline_s = self._reloads, time.monotonic() + PATIENCE_S
            crashes = self._crashes
            while self._reloads == before and self._crashes == crashes:
                if time.monotonic() > deadline_s:
                    raise CloudError("mosquitto does not react to SIGHUP")
                # It forgets one that arrives while it is still busy with the last.
                self._signal(signal.SIGHUP)
                self._wake()
                self._logged.wait_for(lambda: self._reloads > before, RELOAD_S)

    def _wake(self) -> None:
        """Connect, so that it sees a signal at once: it sleeps through one for up to 100 ms."""
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.inner_port), 1).close()

    def _write_access(self) -> None:
        self._revoked = self._access.revoked
        self._roles = {name: grant.acls() for name, grant in self._access.grants.items()}
        self._write_revoked()
        self._write_waiting()
        access = dynamic_security(self._roles, password=self._password)
        self._write("dynamic-security.json", json.dumps(access, indent=1).encode())

    def _write_revoked(self) -> None:
        lists = [each.revocation_list(self._revoked) for each in self._devices]
        self._write("revoked.pem", "".join(lists).encode())

    def _write_waiting(self) -> None:
        self._write("waiting", "".join(f"{name}\n" for name in self._access.waiting).encode())

    def _run(self, started: threading.Event) -> None:
        """Own the process: its death signal is tied to the thread that started it (prctl(2))."""
        command = [self._binary, "-c", str(self._directory / "mosquitto.conf")]
        setpriv = shutil.which("setpriv")
        if setpriv:  # if we are killed, it goes too
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        while not self._ending:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C at the terminal is for us to pass on
            ) as process:
                self._process = process
                started.set()
                assert process.stderr is not None
                for line in process.stderr:
                    self._note(line.rstrip("\n"))
            if process.returncode not in CRASHES:
                return
            self._crashes += 1
            self._write_access()

    def _note(self, line: str) -> None:
        with self._logged:
            self.log.append(line)
            self._reloads += line.endswith("Reloading config.")
            self._logged.notify_all()
        found = CONNECTED.search(line)
        if found is None:
            return
        client_id, protocol, name = found[1], {"2": 4}.get(found[2], int(found[2])), found[3]
        self.connects.append(Connect(time.time(), client_id, protocol, name))
        grant = self._access.grants.get(name)
        if grant is None or not grant.may_connect(client_id):
            self._control.send(  # disabling throws it out, but does not keep it out
                [
                    {"command": "disableClient", "username": name},
                    {"command": "enableClient", "username": name},
                ]
            )

    def _serves(self) -> bool:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s and self.running:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.inner_port), 1):
                return True
            time.sleep(0.01)
        return False

    def _end(self, number: signal.Signals) -> None:
        with self._lock:
            process, self._paused, self._ending = self._process, False, True
            if process is None:
                return
            if self.running:
                self._signal(number)
                self._signal(signal.SIGCONT)
                try:
                    process.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
            if self._reader is not None:
                self._reader.join(PATIENCE_S)
            self._process = None
            for link in self._links:
                link.wait_lost(PATIENCE_S)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _write(self, name: str, data: bytes) -> None:
        path = self._directory / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
