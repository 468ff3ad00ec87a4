"""Document read by a child process, which takes the parser with it when it ends.

With what it imports, tomllib is a MiB, and a daemon needs it once.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from agent.config.document import read_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def read_apart(path: Path, data: bytes) -> dict[str, object]:
    """The document in `data`, which was read from the file `path`; called before a second thread.

    What is no TOML, or has a value that JSON has not, such as a date, is read here after all; so is
    everything where there is room for no other process. Raises as `read_toml` does.
    """
    told = b""
    with suppress(OSError):
        told = _told(path, data)
    with suppress(ValueError, RecursionError):
        document: dict[str, object] = json.loads(told)
        return document
    return read_toml(path, data)


def _told(path: Path, data: bytes) -> bytes:
    """The document as JSON, made by the child; less than the whole, or nothing, if it cannot."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as answer:
        with os.fdopen(writer, "wb") as pipe:
            if (child := os.fork()) == 0:
                try:
                    pipe.write(json.dumps(read_toml(path, data)).encode())
                    pipe.flush()
                finally:
                    os._exit(os.EX_OK)  # whatever was raised: the parent finds out for itself
        told = answer.read()
    os.waitpid(child, 0)
    return told
