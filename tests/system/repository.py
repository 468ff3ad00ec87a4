"""A signed repository of the package on this machine's loopback, good or spoiled."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.system.package import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "Updates of a test <updates@example.org>"


class Key:
    """An OpenPGP key pair in a key ring of its own; a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make it."""
        # gpg's agent listens in it, and the paths of sockets are short.
        self.home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gpg-")))
        end = ["/usr/bin/gpgconf", "--homedir", str(self.home), "--kill", "all"]
        self._stack.callback(partial(subprocess.run, end, check=True))
        self.gpg("--passphrase", "", "--quick-generate-key", NAME, "ed25519", "sign", "never")
        self.secret, self.public = self.home / "secret.asc", self.home / "public.asc"
        self.gpg("--armor", "--output", str(self.secret), "--export-secret-keys")
        self.gpg("--armor", "--output", str(self.public), "--export")
        listed = self.gpg("--with-colons", "--list-keys").splitlines()
        self.fingerprint = next(line.split(":")[9] for line in listed if line[:4] == "fpr:")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it, and end gpg's agent."""
        self._stack.close()

    def gpg(self, *arguments: str) -> str:
        """Run gpg with its key ring; what it says."""
        gpg = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--yes"]
        return subprocess.run([*gpg, *arguments], check=True, capture_output=True, text=True).stdout


class Repository:
    """What scripts/repository makes in `directory`, served as by a static host; a context manager.

    It is signed with `key`. A file that was changed behind its back is given as it is, whatever the
    one who asks says to have.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.dists = directory / "dists"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make the key, and serve what is in the directory from now on."""
        self.directory.mkdir(parents=True)
        self.key = self._stack.enter_context(Key())
        handler = partial(_Handler, directory=str(self.directory))
        server = self._stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        """Serve it no more; the directory stays."""
        self._stack.close()

    def publish(self, *packages: Path) -> None:
        """Add packages, as their owner does."""
        script = [str(ROOT / "scripts/repository"), str(self.directory)]
        command = [*script, "--key", str(self.key.secret), *map(str, packages)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr

    def keep(self, target: Path) -> None:
        """Copy the index to `target`, for a replay."""
        shutil.copytree(self.dists, target)

    def replay(self, kept: Path) -> None:
        """Serve an index that was kept instead of the present one."""
        shutil.rmtree(self.dists)
        shutil.copytree(kept, self.dists)

    def expire(self) -> None:
        """Sign the index as it is, but valid until yesterday."""
        now = datetime.now(UTC)
        self._sign(
            self.key, {"Date": now - timedelta(days=90), "Valid-Until": now - timedelta(days=1)}
        )

    def sign_with(self, key: Key) -> None:
        """Sign the index as it is with another key."""
        self._sign(key, {})

    def truncate(self, version: str) -> None:
        """Leave half of the package of this version."""
        (package,) = self.directory.glob(f"pool/**/*_{version}_all.deb")
        data = package.read_bytes()
        package.write_bytes(data[: len(data) // 2])

    def _sign(self, key: Key, dates: dict[str, datetime]) -> None:
        release = self.dists / "stable/Release"
        spelled = {name: format_datetime(date, usegmt=True) for name, date in dates.items()}
        lines = list(_with(release.read_text().splitlines(), spelled))
        release.write_text("\n".join([*lines, ""]))
        signed, detached = release.with_name("InRelease"), release.with_name("Release.gpg")
        key.gpg("--output", str(signed), "--clear-sign", str(release))
        key.gpg("--armor", "--output", str(detached), "--detach-sign", str(release))


def _with(lines: list[str], fields: dict[str, str]) -> Iterator[str]:
    for line in lines:
        name = line.partition(":")[0]
        yield f"{name}: {fields[name]}" if name in fields else line


class _Handler(SimpleHTTPRequestHandler):
    def send_head(self) -> object:  # type: ignore[override]  # an open file, or None
        """The whole file, always."""
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def log_message(self, *_: object) -> None:
        """Nobody reads along."""
