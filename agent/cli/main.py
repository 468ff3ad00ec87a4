"""Commands: one small file each, loaded when it is chosen, so that every start is cheap.

A command's file has `add(subparsers)`, which declares its arguments except `--config`, and
`run(arguments) -> int`, which does its work and returns the exit code. The daemon's process, which
lives for years, never loads argparse: what is no plain `run --config FILE` does.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from agent import __version__, config, sensors
from agent.cli.output import PROGRAM, guarded, streams
from agent.errors import AgentError, has_service
from agent.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol, TypeAlias

    #: What root has read for a process that could not: the bytes of each file.
    Content = Mapping[Path, bytes]

    # argparse gives what add_subparsers() returns no public name
    Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
    Arguments: TypeAlias = "argparse.Namespace | PlainRun"
else:
    Protocol = object

#: Each command's file is agent/cli/<command>.py; this is its line in the help.
COMMANDS = {
    "run": "run the agent in the foreground",
    "setup": "register this device, and say what is wired to it",
    "provision": "register this device with AWS, as the agent itself does",
    "rotate": "replace this device's certificate by a new one",
    "deprovision": "remove this device from AWS, and then its local files",
    "status": "show what the running agent reports",
    "mode": "say that nobody is at home, that somebody visits, or that it is a test",
    "doctor": "check the whole way from the configuration to a live connection",
    "check": "read the configuration and tell every problem",
    "read": "read the sensors once, or watch one detect",
    "queue": "show what waits to be sent",
    "report": "show the last days as charts, here or as a page for a browser",
    "privacy": "tell what leaves the house, how often, and how much it is in a month",
    "updates": "look for a newer version now, and tell which is installed and which waits",
}

#: Debian's name of what a command may miss; botocore comes with boto3.
DEBIAN = {
    "boto3": "python3-boto3",
    "botocore": "python3-boto3",
    "paho": "python3-paho-mqtt",
    "sdnotify": "python3-sdnotify",
    "tenacity": "python3-tenacity",
    "tomlkit": "python3-tomlkit",
}

#: Commands that the package and the agent call, and that the help does not list.
INTERNAL = ("preseed", "provision-child", "reach", "upgrade")

#: Commands of which a part is root's own; every other is wholly done by the service's user.
PARTLY_ROOTS = (
    ["setup"],
    ["preseed"],
    ["rotate"],
    ["deprovision"],
    ["doctor"],
    ["report"],
    ["updates"],
    ["upgrade"],
)


class Command(Protocol):
    """Functions of a command's file."""

    def add(self, subparsers: Subparsers) -> None:
        """Declare the command and its own arguments."""

    def run(self, arguments: Arguments) -> int:
        """Do the work; the exit code. Raises AgentError for what a person can mend."""


class PlainRun(Value):
    """Arguments of `run` that need no parser."""

    config: Path
    content: Content


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (those of the process by default) and return its exit code.

    Errors go to stderr in words. What root runs is done by a process that has become the service's
    user; it is given the configuration's text, which may lie where only root can read it.
    """
    chosen = sys.argv[1:] if arguments is None else list(arguments)
    with streams():
        if os.geteuid() == 0 and has_service():
            from agent import account, ownership  # noqa: PLC0415 -- the daemon needs neither

            if service := account.of_service():
                content = _lent(chosen, partial(ownership.lend, service.uid))
                work = partial(guarded, partial(_run, chosen, content))
                if chosen[:1] in PARTLY_ROOTS:
                    return work()
                return guarded(partial(account.run_as, service, work))
        return guarded(partial(_run, chosen, {}))


def _run(chosen: list[str], content: Content) -> int:
    with _packages_named(chosen):
        if path := _of_plain_run(chosen):
            return _load("run").run(PlainRun(path, content))
        command, parsed = _parse(chosen)
        parsed.content = content
        return command.run(parsed)


def _of_plain_run(chosen: list[str]) -> Path | None:
    """The configuration of `run`; None for another command, and for whatever argparse judges."""
    match chosen:
        case ["run"]:
            return config.DEFAULT_PATH
        case ["run", "--config", path] if not path.startswith("-"):
            return Path(path)
        case ["run", option] if option.startswith("--config="):
            return Path(option.removeprefix("--config="))
    return None


def _lent(chosen: list[str], lend: Callable[[Path], bytes | None]) -> Content:
    """The text of the configuration that is named, as far as root lends it."""
    path = _of_plain_run(chosen) or _named(chosen)
    paths = (path, path.parent / config.LEGACY_FILE) if path else ()
    return {one: data for one in paths if (data := lend(one)) is not None}


def _named(chosen: list[str]) -> Path | None:
    """The configuration of any command; None where it is not given as it must be."""
    import argparse  # noqa: PLC0415 -- the daemon does without

    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    _add_config(parser)
    try:
        path: Path = parser.parse_known_args(chosen)[0].config
    except argparse.ArgumentError:
        return None
    return path


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=config.DEFAULT_PATH,
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


def settings(arguments: Arguments) -> config.Config:
    """The configuration that `--config` names. Raises ConfigError."""
    path: Path = arguments.config
    return config.load(path, options_of=sensors.options_of, content=arguments.content)


def _parse(arguments: list[str]) -> tuple[Command, argparse.Namespace]:
    """The chosen command and its arguments; SystemExit as argparse has it."""
    import argparse  # noqa: PLC0415 -- the daemon does without

    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="A headless Raspberry Pi's agent for AWS IoT Core."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command: Command | None = None
    for name in (*COMMANDS, *INTERNAL):
        if arguments[:1] == [name]:
            command = _load(name)
            command.add(subparsers)
            _add_config(subparsers.choices[name])
        elif name in COMMANDS:
            subparsers.add_parser(name, help=COMMANDS[name])
    parsed = parser.parse_args(arguments)
    if command is None:  # options before the command, which is then none of ours to guess
        parser.error("name the command first")
    return command, parsed


def _load(name: str) -> Command:
    """The command's file; all is loaded then that it needs."""
    command: Command = importlib.import_module(f"agent.cli.{name.replace('-', '_')}")
    if name == "run":
        gc.collect()  # 10 ms once, and 0.2 MiB less for years
    gc.freeze()  # it stays, so that nobody needs to look through it
    gc.enable()
    return command


@contextmanager
def _packages_named(chosen: list[str]) -> Iterator[None]:
    """Raise an AgentError in place of one that says that a package is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise AgentError(
            f"`{chosen[0]}` cannot start: the Python package {package} is missing",
            hint=f"install it, on Debian with `sudo apt install {DEBIAN.get(package, package)}`",
        ) from error
