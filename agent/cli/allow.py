"""Drop-in of the unit by which the service may open the devices of its sensors, and no others.

What stands in it comes from the drivers alone, nothing from the configuration's text. Root writes
it, in systemd's directory, where nobody else can.
"""

from __future__ import annotations

import grp
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from agent import account, files, sensors
from agent.cli import service_unit
from agent.cli.output import tell
from agent.config import DEFAULT_PATH
from agent.errors import EXIT_OK, AgentError, NotPermittedError, explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.config import Config

#: Where an administrator's units and their drop-ins lie (systemd.unit(5)).
UNITS = Path("/etc/systemd/system")
DROP_IN = "10-sensors.conf"

#: First line of a file of ours; any other is somebody's own.
HEADER = (
    "# Written by `pi-iot-agent setup`, which changes it and takes it away as the sensors need."
)

#: An example that owners of earlier versions have copied beside it.
OLD_DROP_IN = "gpio.conf"

AGAIN = "then: sudo pi-iot-agent setup --allow"


def group_exists(name: str) -> bool:
    """Tell whether this machine knows the group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def reload_units() -> None:
    """Have systemd, where it runs, read its files anew."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "daemon-reload"], check=False)  # noqa: S607 -- as PATH


def allow(
    config: Config,
    *,
    anew: bool = False,
    installed: Path = DEFAULT_PATH,
    units: Path = UNITS,
    group_exists: Callable[[str], bool] = group_exists,
    reload_units: Callable[[], None] = reload_units,
) -> bool:
    """Write the drop-in that the sensors of `config` need, or take it away; True if it changed.

    systemd has then loaded it, and the service is to be started anew; with `anew` systemd reads its
    files in any case, since an owner may have changed a drop-in. Nothing is done for another
    configuration than that of the `installed` service. Raises AgentError where something that is
    not ours is in the way, NotPermittedError for others than root, StorageError.
    """
    if not _is_installed(config, installed, units):
        return False
    path = units / f"{account.UNIT}.d" / DROP_IN
    drivers = sorted({one.driver for one in config.sensors})
    built_in = sensors.BUILT_IN.keys() >= set(drivers)
    needs = [sensors.needs(driver) for driver in drivers]
    devices = [name for one in needs for name in one.devices]
    groups = [name for one in needs for name in one.groups]
    missing = [name for name in groups if not group_exists(name)]
    for name in missing:  # with it the service would not start
        tell(f"There is no group {name}, whose the devices are: sudo systemd-sysusers; {AGAIN}")
    text = _text(devices, [name for name in groups if name not in missing])
    with explained():
        changed = text != _ours(path)
        if changed:
            _put(path, text)
            written = "written; the service may open what its sensors need"
            tell(f"{path}: {written if text else 'removed; no sensor needs a device'}")
        old = path.with_name(OLD_DROP_IN)
        if old.exists() and built_in:  # a plug-in may well need it
            tell(f"{old}: no sensor needs it any more; to take it away: sudo rm {old}")
    if changed or anew:
        reload_units()
    if changed:
        account.of_service.cache_clear()  # it has the groups of the unit
    return changed


def alone(config: Config) -> int:
    """Work of `setup --allow`: nothing but this, and a restart of the service if it runs.

    Raises AgentError.
    """
    if not _is_installed(config, DEFAULT_PATH, UNITS):
        raise AgentError(
            f"{config.path}: only the service that systemd starts needs this",
            hint=f"leave out --config: the service's is {DEFAULT_PATH}",
        )
    if os.geteuid() != 0:
        raise NotPermittedError(
            "only root may change what the service can open", hint="run this with sudo"
        )
    if not allow(config, anew=True):
        tell("Nothing to change: the drop-in of the service is as its sensors need it.")
    if service_unit.process():
        service_unit.restart(config)
    return EXIT_OK


def _is_installed(config: Config, installed: Path, units: Path) -> bool:
    return config.path.resolve() == installed.resolve() and units.is_dir()


def _text(devices: Sequence[str], groups: Sequence[str]) -> str:
    """The drop-in's content; empty without devices."""
    if not devices:
        return ""
    lines = [
        HEADER,
        "[Service]",
        "PrivateDevices=no",
        *(f"DeviceAllow={name} rw" for name in dict.fromkeys(devices)),
        *(f"SupplementaryGroups={name}" for name in dict.fromkeys(groups)),
    ]
    return "\n".join([*lines, ""])


def _ours(path: Path) -> str:
    """The drop-in as it is; empty if there is none. Raises AgentError for another's, OSError."""
    if path.parent.is_symlink():
        raise _in_the_way(path.parent, "is a link")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise _in_the_way(path, "is no file")
    try:
        text = files.read(path).decode(errors="replace")
    except FileNotFoundError:
        return ""
    if not text.startswith(HEADER):
        raise _in_the_way(path, "is not what `setup` writes")
    return text


def _in_the_way(path: Path, why: str) -> AgentError:
    return AgentError(f"{path}: {why}, and left as it is", hint=f"take it away, {AGAIN}")


def _put(path: Path, text: str) -> None:
    """Have the drop-in say this, or not be there without a text. Raises OSError."""
    if text:
        files.make_directory(path.parent, 0o755)
        files.replace(path, text.encode(), mode=files.PUBLIC_FILE)
        return
    path.unlink()
    files.sync_directory(path.parent)
    with suppress(OSError):  # an owner's own drop-ins are in it
        path.parent.rmdir()
