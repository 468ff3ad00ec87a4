"""mosquitto's part in fleet provisioning, compiled from `fleet_plugin.c`."""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from tests.tools.cloud.mosquitto import CloudError

SOURCE = Path(__file__).with_name("fleet_plugin.c")
HEADERS = ("mosquitto.h", "mosquitto_broker.h", "mosquitto_plugin.h")
HEADER_PLACES = (Path("/usr/include"), Path("/usr/local/include"))
FLAGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


def build() -> Path:
    """The compiled plugin, made once for this source and this mosquitto.

    CloudError says what to install.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    headers = [
        next((path for place in HEADER_PLACES if (path := place / name).is_file()), None)
        for name in HEADERS
    ]
    if compiler is None or None in headers:
        raise CloudError(
            "fleet provisioning needs a C compiler and mosquitto's headers. On Debian: "
            "sudo apt install gcc libc6-dev mosquitto-dev libmosquitto-dev"
        )
    mark = sha256(b"".join(path.read_bytes() for path in (SOURCE, *headers) if path)).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pi-iot-agent"
    made = cache / f"fleet-plugin-{mark[:12]}.so"
    if made.is_file():
        return made
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = made.with_name(f"{made.name}.{os.getpid()}")
    done = subprocess.run(
        [compiler, *FLAGS, "-o", str(unfinished), str(SOURCE)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        raise CloudError(f"the plugin cannot be compiled:\n{done.stderr}")
    unfinished.replace(made)
    return made
