"""Commands: one small file each, loaded when it is chosen, so that every start is cheap.

A command's file has `add(subparsers)`, which declares its arguments except `--config`, and
`run(arguments) -> int`, which does its work and returns the exit code.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from agent import __version__, config, sensors
from agent.errors import EXIT_FAILURE, EXIT_USAGE, AgentError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    # argparse gives what add_subparsers() returns no public name
    Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

PROGRAM = "pi-iot-agent"

#: Each command's file is agent/cli/<command>.py; this is its line in the help.
COMMANDS = {
    "run": "run the agent in the foreground",
    "setup": "ask for name, region and AWS key, and register this device",
    "provision": "register this device with AWS, as the agent itself does",
    "deprovision": "remove this device from AWS, and then its local files",
    "status": "show what the running agent reports",
    "doctor": "check the whole way from the configuration to a live connection",
    "check": "read the configuration and tell every problem",
    "read": "read the sensors once, or watch one detect",
    "queue": "show what waits to be sent",
}

#: Debian's name of what a command may miss; botocore comes with boto3.
DEBIAN = {
    "boto3": "python3-boto3",
    "botocore": "python3-boto3",
    "paho": "python3-paho-mqtt",
    "sdnotify": "python3-sdnotify",
    "tenacity": "python3-tenacity",
}

#: Commands that the package and the agent call, and that the help does not list.
INTERNAL = ("preseed", "provision-child")

#: Exit code that a shell reports for a process that Ctrl-C ended.
EXIT_INTERRUPTED = 130

#: Set in the environment, it shows the traceback of an internal error.
DEBUG = "PI_IOT_AGENT_DEBUG"


class Command(Protocol):
    """Functions of a command's file."""

    def add(self, subparsers: Subparsers) -> None:
        """Declare the command and its own arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work; the exit code. Raises AgentError for what a person can mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (those of the process by default) and return its exit code.

    Errors go to stderr in words; a defect's traceback only with PI_IOT_AGENT_DEBUG set.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal shows names it cannot write
            stream.reconfigure(errors="backslashreplace")
    chosen = sys.argv[1:] if arguments is None else list(arguments)
    try:
        command, parsed = _parse(chosen)
        code = command.run(parsed)
        sys.stdout.flush()
    except SystemExit as end:  # argparse's way to say that it has printed help or a usage error
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    except AgentError as error:
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        if isinstance(error, BrokenPipeError):  # the reader, head for one, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILURE
        _say(f"{PROGRAM}: internal error: {error!r}; set {DEBUG}=1 for more")
        return EXIT_FAILURE
    return code


def settings(arguments: argparse.Namespace) -> config.Config:
    """The configuration that `--config` names. Raises ConfigError."""
    path: Path = arguments.config
    return config.load(path, options_of=sensors.options_of)


def complain(error: AgentError) -> None:
    """Print to stderr what went wrong and what to do next.

    A configuration's problems begin with the file's path, as compilers' messages do.
    """
    if isinstance(error, ConfigError):
        lines = list(error.problems)
    else:
        lines = [f"{PROGRAM}: {line}" for line in error.text.splitlines()]
    _say(*lines, *([f"hint: {error.hint}"] if error.hint else []))


def _say(*lines: str) -> None:
    """Print to stderr; where that is systemd's journal, each line as an error (sd-daemon(3)).

    systemd says in JOURNAL_STREAM which file that is (systemd.exec(5)).
    """
    try:
        status = os.fstat(sys.stderr.fileno())
        journal = os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    except OSError:  # it is no file
        journal = False
    print(*(f"<3>{line}" if journal else line for line in lines), sep="\n", file=sys.stderr)


def _parse(arguments: list[str]) -> tuple[Command, argparse.Namespace]:
    """The chosen command and its arguments; SystemExit as argparse has it."""
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
            subparsers.choices[name].add_argument(
                "--config",
                type=Path,
                default=config.DEFAULT_PATH,
                metavar="FILE",
                help="the configuration (default: %(default)s)",
            )
        elif name in COMMANDS:
            subparsers.add_parser(name, help=COMMANDS[name])
    parsed = parser.parse_args(arguments)
    if command is None:  # options before the command, which is then none of ours to guess
        parser.error("name the command first")
    return command, parsed


def _load(name: str) -> Command:
    """The command's file. Raises AgentError if a package that it needs is not installed."""
    try:
        command: Command = importlib.import_module(f"agent.cli.{name.replace('-', '_')}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise AgentError(
            f"`{name}` cannot start: the Python package {package} is missing",
            hint=f"install it, on Debian with `sudo apt install {DEBIAN.get(package, package)}`",
        ) from error
    return command
