"""`setup`: asks for name, region and AWS key, writes them down, and registers this device.

Where there is no terminal, flags give what would be asked. The secret is never one of them: it
comes from a file, from standard input, or from AWS_SECRET_ACCESS_KEY in the environment.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent import files, sensors
from agent.cli.main import COMMANDS
from agent.cli.questions import NAME, REGION, Questions, ask, at_terminal
from agent.cli.registration import BY_HAND_S, register
from agent.config import DEFAULT_PATH, Aws, Thing, interpret, problem_with, read_toml
from agent.config.editor import UneditableError, with_value
from agent.errors import EXIT_OK, BusyError, ConfigError, NotPermittedError
from agent.provisioning import access_key

if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Subparsers
    from agent.cli.questions import Answers
    from agent.config import Config

UNIT = "pi-iot-agent.service"
_BOM = "\ufeff"


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "setup", help=COMMANDS["setup"], description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--name", help="the thing's name in AWS IoT")
    parser.add_argument("--region", help="the AWS region, such as ap-northeast-1")
    parser.add_argument("--access-key-id", metavar="ID", help="of the AWS key to register with")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--secret-file", type=Path, metavar="FILE", help="the key's secret in it")
    secret.add_argument("--secret-stdin", action="store_true", help="read the secret from stdin")
    erase = parser.add_mutually_exclusive_group()
    erase.add_argument("--erase-key", action="store_true", default=None, help="after success")
    erase.add_argument("--keep-key", action="store_false", dest="erase_key", help="(default)")


def run(arguments: argparse.Namespace) -> int:
    """Ask, write, register, start. Raises AgentError; each file is then the old or the new one."""
    path: Path = arguments.config
    known = _known(path)
    key_file = known.provisioning.credentials_file
    for written in (path, key_file, known.paths.certs):
        _check_writable(written)
    own_certificate = known.mqtt.cert_file is not None
    with files.explained():
        stored = access_key.read(key_file, _profile(known))
        answers = Questions(arguments).all(known, stored, own_certificate=own_certificate)
        config = _write(path, known, answers)
    erased = False
    try:
        if not own_certificate:
            _register(config)
            erased = _erase(config, arguments.erase_key)
    finally:  # a start with the new settings also goes on with what has failed here
        _restart(config)
    if not erased and not own_certificate:
        print(f"The AWS key stays in {key_file}; it may be removed.")
    print("Done. `pi-iot-agent status` tells how it is.")
    return EXIT_OK


def _known(path: Path) -> Config:
    """The present configuration; a name or region that is wrong counts as not given.

    Raises ConfigError for anything else that is wrong, before anybody is asked.
    """
    document = read_toml(path)
    for (table, key), kind in ((NAME, Thing), (REGION, Aws)):
        inner = document.get(table)
        if isinstance(inner, dict) and problem_with(kind, table, key, inner.get(key)):
            del inner[key]
    return interpret(document, path, options_of=sensors.options_of)


def _check_writable(path: Path) -> None:
    """Raise NotPermittedError, before anybody is asked, if `path` could not be replaced."""
    directory = path.resolve().parent
    while not directory.exists():
        directory = directory.parent
    if not os.access(directory, os.W_OK | os.X_OK):
        raise NotPermittedError(f"{path}: this user may not write it", hint="run this with sudo")


def _profile(config: Config) -> str:
    return config.aws.profile or access_key.DEFAULT_PROFILE


def _write(path: Path, known: Config, answers: Answers) -> Config:
    """Write what is new into both files; the configuration that results. ConfigError, OSError."""
    before = path.read_bytes().decode()
    text = before.removeprefix(_BOM)
    for key, old, new in (
        (NAME, read_toml(path).get("thing"), answers.name),
        (REGION, read_toml(path).get("aws"), answers.region),
    ):
        if isinstance(old, dict) and old.get(key[1]) == new:
            continue
        try:
            text = with_value(text, key, new)
        except UneditableError as error:
            raise ConfigError(
                [f"{path}: {error}"],
                hint=f'write {key[1]} = "{new}" below [{key[0]}] by hand, and try again',
            ) from None
    if before.startswith(_BOM):
        text = _BOM + text
    if text != before:
        files.rewrite(path, text.encode())
        print(f"{path}: name {answers.name}, region {answers.region}")
    key_file = known.provisioning.credentials_file
    if answers.key:
        access_key.save(key_file, _profile(known), answers.key, answers.region, owner=known.home)
        print(f"{key_file}: AWS key {answers.key.id}")
    return interpret(read_toml(path), path, options_of=sensors.options_of)


def _register(config: Config) -> None:
    """Register; the agent's own attempt, which may have begun when the key came, goes first."""
    until_s = time.monotonic() + BY_HAND_S
    while True:
        try:
            register(config)
            return
        except BusyError as busy:
            if time.monotonic() > until_s:
                raise
            print(f"{busy.text}; waiting for it")
            time.sleep(2)


def _erase(config: Config, wanted: bool | None) -> bool:  # noqa: FBT001 -- a flag, or None to ask
    """Erase the AWS key if that is wanted; True if it was."""
    if wanted is None and at_terminal():
        print("The AWS key is needed again only to renew or remove the registration.")
        wanted = ask("Erase it from this device? [y/N]: ").lower() in {"y", "yes"}
    key_file = config.provisioning.credentials_file
    if wanted:
        with files.explained():
            access_key.erase(key_file, _profile(config), owner=config.home)
        print(f"{key_file}: the AWS key is erased")
    return bool(wanted)


def _restart(config: Config) -> None:
    """Have systemd start the agent anew with these settings, or say who should."""
    installed = config.path.resolve() == DEFAULT_PATH and Path("/run/systemd/system").is_dir()
    if installed and os.geteuid() == 0:
        done = subprocess.run(["systemctl", "restart", UNIT], check=False)  # noqa: S607 -- as PATH
        if done.returncode == 0:
            print(f"{UNIT} has been started anew with these settings.")
            return
    if installed:
        print(f"To have the agent use this: sudo systemctl restart {UNIT}")
    elif files.is_locked(config.paths.lock_file):
        print("The agent runs: stop and start it, so that it uses this.")
