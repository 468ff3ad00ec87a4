"""A real apt with directories of its own, as of a machine with one source of packages."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

CONFIGURATION = """
Dir::State "{directory}/state";
Dir::State::status "{directory}/status";
Dir::Cache "{directory}/cache";
Dir::Etc "{directory}/etc";
APT::Architecture "{architecture}";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::http::Proxy "DIRECT";
Acquire::Retries "0";
"""
SOURCE = """Types: deb
URIs: {uri}
Suites: stable
Components: main
Signed-By: {keys}
"""


class Apt:
    """The apt of a machine whose source of packages is `uri`, trusted where one of `keys` signs."""

    def __init__(self, directory: Path, uri: str, keys: Path, architecture: str = "amd64") -> None:
        self._directory = directory
        names = ("state/lists/partial", "cache/archives/partial")
        for name in (*names, "got", "etc/sources.list.d", "etc/apt.conf.d"):
            (directory / name).mkdir(parents=True)
        (directory / "status").touch()
        settings = CONFIGURATION.format(directory=directory, architecture=architecture)
        (directory / "apt.conf").write_text(settings)
        self._source = directory / "etc/sources.list.d/test.sources"
        self._source.write_text(SOURCE.format(uri=uri, keys=keys))

    def update(self) -> str:
        """Look for packages; an empty string, or what is wrong."""
        done = self._run("/usr/bin/apt-get", "-q", "update")
        assert (done.returncode == 0) == (done.stderr == ""), done
        return done.stderr

    def versions(self) -> list[str]:
        """What it knows of the package, the version that it would install first."""
        lines = self._run("/usr/bin/apt-cache", "madison", "pi-iot-agent").stdout.splitlines()
        return [line.split("|")[1].strip() for line in lines]

    def get(self, version: str) -> bytes | str:
        """The package, or what is wrong."""
        done = self._run("/usr/bin/apt-get", "-q", "download", f"pi-iot-agent={version}")
        file = self._directory / f"got/pi-iot-agent_{version}_all.deb"
        return done.stderr if done.returncode else file.read_bytes()

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "APT_CONFIG": str(self._directory / "apt.conf")}
        return subprocess.run(
            command,
            env={**environment, "LC_ALL": "C.UTF-8"},
            cwd=self._directory / "got",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def machine(tmp_path: Path, keys: Path) -> Apt:
    """One that knows the repository by way of a USB stick, as it were, and has seen nothing yet."""
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    return Apt(place, f"file:{tmp_path / 'repository'}", keys)
