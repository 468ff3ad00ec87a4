"""Kernel modules of the rig, and their parameters."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

FINIT_MODULE = 313  # its number for x86_64, which is all that user-mode Linux is for
PARAMETERS = "/sys/module/{}/parameters"


def load(name: str, parameters: str = "") -> None:
    """Load the module, unless it is there already: finit_module(2) needs no kmod."""
    if Path(PARAMETERS.format(name.replace("-", "_"))).exists():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with (Path(os.environ["HARDWARE_MODULES"]) / f"{name}.ko").open("rb") as file:
        if libc.syscall(FINIT_MODULE, file.fileno(), parameters.encode(), 0):
            raise OSError(ctypes.get_errno(), f"{name} cannot be loaded")


def change(name: str, **parameters: int | list[int]) -> None:
    """Change parameters of a loaded module."""
    directory = Path(PARAMETERS.format(name.replace("-", "_")))
    for parameter, value in parameters.items():
        values = value if isinstance(value, list) else [value]
        (directory / parameter).write_text(",".join(map(str, values)))
