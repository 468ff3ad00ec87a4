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

from agent import account, files, ownership, sensors
from agent.cli.allow import allow, alone
from agent.cli.main import COMMANDS
from agent.cli.output import tell
from agent.cli.questions import NAME, REGION, Questions
from agent.cli.service import as_service, ask_service, check_writable, key_owner
from agent.config import (
    DEFAULT_PATH,
    Aws,
    Thing,
    contents,
    interpret,
    problem_with,
    read_toml,
    registered_name,
)
from agent.config.editor import UneditableError, with_value
from agent.errors import EXIT_OK, BusyError, ConfigError, explained
from agent.provisioning import access_key

if TYPE_CHECKING:
    import argparse

    from agent.cli.main import Content, Subparsers
    from agent.cli.questions import Answers
    from agent.config import Config, OptionsOf
    from agent.provisioning.access_key import AccessKey

#: Longest wait for a registration that somebody else has begun.
BUSY_S = 120.0
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
    parser.add_argument(
        "--session-token-file", type=Path, metavar="FILE", help="a temporary key's session token"
    )
    parser.add_argument(
        "--allow",
        action="store_true",
        help="only allow the service the devices of the sensors in the configuration; asks nothing",
    )
    erase = parser.add_mutually_exclusive_group()
    erase.add_argument("--keep-key", action="store_true", help="keep the AWS key on this device")
    erase.add_argument("--erase-key", action="store_true", help="after success (default)")


def run(arguments: argparse.Namespace) -> int:
    """Ask, write, register, start. Raises AgentError; each file is then the old or the new one.

    The AWS key is handed on in memory, and written only if it is to stay, or is needed once more.
    """
    path: Path = arguments.config
    if path.exists() and not arguments.allow:
        check_writable(path)
    content = {path: contents(path), **arguments.content}
    # With the sensors, and so with what a plug-in of theirs does: never as root.
    name = ask_service(lambda: _known(path, content, sensors.options_of).thing.name)
    known = _known(path, content, lambda _: dict, name)
    if arguments.allow:
        return alone(known)
    key_file = known.provisioning.credentials_file
    check_writable(key_file)
    own_certificate = known.mqtt.cert_file is not None
    with explained():
        stored = access_key.read(key_file, _profile(known))
        answers = Questions(arguments).all(known, stored, own_certificate=own_certificate)
        config = _configure(path, content, known, answers)
        _make_certs(config.paths.certs)
    allow(config)
    done = own_certificate
    try:
        if not own_certificate:
            as_service(lambda: _register(config, answers.key))
            done = True
    finally:  # a start with the new settings also goes on with what has failed here
        if not own_certificate:
            with explained():
                _settle_key(config, answers.key, keep=arguments.keep_key, done=done)
        _restart(config)
    tell("Done. `pi-iot-agent status` tells how it is.")
    return EXIT_OK


def _known(path: Path, content: Content, options_of: OptionsOf, name: str = "") -> Config:
    """The configuration in `content`; a name or region that is wrong counts as not given.

    `name` is the device's own so far, where it may not be looked for on the disk. Raises
    ConfigError for anything else that is wrong, before anybody is asked.
    """
    document = read_toml(path, content[path])
    for (table, key), kind in ((NAME, Thing), (REGION, Aws)):
        inner = document.get(table)
        if isinstance(inner, dict) and problem_with(kind, table, key, inner.get(key)):
            del inner[key]
    known_name = bool(name) and not problem_with(Thing, *NAME, name)
    registered = (lambda _: name) if known_name else registered_name
    return interpret(document, path, options_of=options_of, registered=registered, content=content)


def _make_certs(certs: Path) -> None:
    """Make the directory of certificates for the service where only root can make it."""
    service = account.of_service()
    if service and not certs.exists():
        ownership.make_directory_for(service.owner, certs)


def _profile(config: Config) -> str:
    return config.aws.profile or access_key.DEFAULT_PROFILE


def _configure(path: Path, content: Content, known: Config, answers: Answers) -> Config:
    """Write what is new into the file; the configuration that results. ConfigError, OSError."""
    before, document = content[path].decode(), read_toml(path, content[path])
    text = before.removeprefix(_BOM)
    for key, old, new in (
        (NAME, document.get("thing"), answers.name),
        (REGION, document.get("aws"), answers.region),
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
        tell(f"{path}: name {answers.name}, region {answers.region}")
    return _known(path, {**content, path: text.encode()}, lambda _: dict, known.thing.name)


def _register(config: Config, key: AccessKey | None) -> int:
    """Register; an attempt of the agent's own, which may have begun before, goes first."""
    from agent.cli.registration import register  # noqa: PLC0415 -- boto3 is never loaded as root

    until_s, told = time.monotonic() + BUSY_S, False
    while True:
        try:
            register(config, key=key)
        except BusyError as busy:
            if time.monotonic() > until_s:
                raise
            if not told:
                tell(f"{busy.text}; waiting for it")
            told = True
            time.sleep(2)
        else:
            return EXIT_OK


def _settle_key(config: Config, given: AccessKey | None, *, keep: bool, done: bool) -> None:
    """Write the key that was given, or take away what is there. Raises ConfigError, OSError."""
    keep = keep or not done
    file, profile = config.provisioning.credentials_file, _profile(config)
    if keep and given:
        access_key.save(file, profile, given, config.aws.region, owner=key_owner())
        why = "kept as asked" if done else "kept, so that the agent can try again"
        tell(f"{file}: AWS key {given.id}, {why}")
    elif not keep:
        there = access_key.read(file, profile).key is not None
        access_key.erase(file, profile, owner=key_owner())
        told = f"{file}: the AWS key is erased" if there else "The AWS key was written nowhere"
        tell(f"{told} (--keep-key keeps it).")


def _restart(config: Config) -> None:
    """Have systemd start the agent anew with these settings, or say who should."""
    installed = config.path.resolve() == DEFAULT_PATH and Path("/run/systemd/system").is_dir()
    if installed and os.geteuid() == 0:
        done = subprocess.run(["systemctl", "restart", account.UNIT], check=False)  # noqa: S607 -- as PATH
        if done.returncode == 0:
            tell(f"{account.UNIT} has been started anew with these settings.")
            return
    if installed:
        tell(f"To have the agent use this: sudo systemctl restart {account.UNIT}")
    elif account.of_service() is None and files.is_locked(config.paths.lock_file):
        tell("The agent runs: stop and start it, so that it uses this.")
