"""A real Chromium, driven by its DevTools protocol over a pipe.

https://chromedevtools.github.io/devtools-protocol/, version 1.3. It is started as root too, and so
without its sandbox; it is shown pages of ours alone, and reaches no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = shutil.which("chromium")

#: Options against what a browser does at its start besides.
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--proxy-server=127.0.0.1:9"),
    "--remote-debugging-pipe",
)

#: The browser reads commands from descriptor 3 and writes to 4, where a shell puts ours.
SHELL = 'reader=$1 writer=$2; shift 2; exec "$@" 3<&"$reader" 4>&"$writer"'


class Browser:
    """One page in one browser; `events` are what was told besides answers."""

    def __init__(self, directory: Path) -> None:
        self._number = 0
        self._session = ""
        self._left = b""
        self.events: list[dict[str, Any]] = []
        theirs, self._to = os.pipe()
        self._from, back = os.pipe()
        command = ["bash", "-c", SHELL, "bash", str(theirs), str(back), PROGRAM or "chromium"]
        with (directory / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *OPTIONS, f"--user-data-dir={directory / 'profile'}", "about:blank"],
                pass_fds=(theirs, back),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(theirs)
        os.close(back)

    def __enter__(self) -> Self:
        """Itself, with an empty page."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Network", "Runtime"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        """End the browser."""
        os.close(self._to)
        os.close(self._from)
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a command. Raises RuntimeError if there is an error."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        left = memoryview(json.dumps(message).encode() + b"\0")
        while left:
            left = left[os.write(self._to, left) :]
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def show(self, page: Path) -> None:
        """Load a page, and wait until it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self._next())

    def look(self, *, width: int, dark: bool) -> None:
        """Be a screen so wide, of a person who likes it dark or light."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def value(self, script: str) -> Any:  # noqa: ANN401 -- whatever the script gives
        """Value of an expression of JavaScript in the page; of a promise, what it becomes."""
        told = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"]))
        return told["result"].get("value")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            piece = os.read(self._from, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has ended; see browser.log")
            self._left += piece
        message, _, self._left = self._left.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told
