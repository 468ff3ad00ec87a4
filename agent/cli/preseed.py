"""`preseed`: takes over a configuration that lies on the boot partition, and wipes it there.

So a card is prepared for a device in someone else's house. The file is a whole agent.toml that may
hold `[aws] access_key_id` and `secret_access_key` too. It is taken over once: the key goes to the
credentials file, the rest becomes the agent's configuration, and the file is wiped. A run that was
cut short is finished by the next: the file goes only when everything that it says is on the disk
elsewhere. A claim in the directory `pi-iot-agent-claim` beside it goes the same way. Used by
pi-iot-agent-preseed.service, as root, before the agent starts.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from functools import partial
from pathlib import Path

from agent import account, files, sensors
from agent.cli import claiming
from agent.cli.allow import allow
from agent.cli.output import complain, tell
from agent.cli.service import as_service, ask_service, check_writable, key_owner, make_certs
from agent.config import Paths, contents, interpret, read_toml
from agent.config.editor import UneditableError, with_value, without
from agent.errors import EXIT_OK, AgentError, ConfigError, explained
from agent.identity import CLAIM, CLAIM_DIRECTORY
from agent.provisioning import access_key, claim_given
from agent.provisioning.access_key import AccessKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent.cli.main import Subparsers
    from agent.config import Config, OptionsOf

ACCESS_KEY_ID = ("aws", "access_key_id")
SECRET_ACCESS_KEY = ("aws", "secret_access_key")

#: Directory beside the file, with a claim as `setup --claim` takes one; where its parts go.
BESIDE = "pi-iot-agent-claim"
CLAIM_FILES = {
    ("provisioning", "claim_cert_file"): claiming.CERTIFICATE,
    ("provisioning", "claim_key_file"): claiming.KEY,
}

#: Files on the boot partition of Raspberry Pi OS: until Debian 11, and since Debian 12.
FILES = [Path("/boot/pi-iot-agent.toml"), Path("/boot/firmware/pi-iot-agent.toml")]


def add(subparsers: Subparsers) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser("preseed", description=__doc__)
    parser.add_argument(
        "--file",
        action="append",
        type=Path,
        dest="files",
        metavar="FILE",
        help="a file to take over; the last of several wins (default: those in /boot)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Take over each file that is there; the exit code of the last trouble."""
    code = EXIT_OK
    for path in arguments.files or FILES:
        preseed = Preseed(path, arguments.config)
        try:
            with explained():
                if preseed.take():
                    tell(f"{path}: taken over to {arguments.config}, and wiped")
        except AgentError as error:
            complain(error)
            code = error.exit_code
    return code


class Preseed:
    """The file `path` that becomes the configuration `target`."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target
        #: Name of the file while it is wiped: all that it said is in place by then.
        self.taken = path.with_name(f"{path.name}.taken")
        #: Problems of the file, for a person who has the card in a reader.
        self.error = path.with_name(f"{path.name}.error")
        self.kept = target.with_name(f"{target.name}.before-preseed")
        #: Directory of a claim, which the file need not name.
        self.claim = path.with_name(BESIDE)

    def take(self) -> bool:
        """Take the file over and wipe it; False if there is none.

        Raises OSError, and ConfigError where it is wrong: nothing is taken, and `error` says why.
        """
        if self.taken.is_dir():  # not ours; it must not keep the file from being taken over
            self.taken.rename(self.taken.with_name(f"{self.taken.name}.{secrets.token_hex(4)}"))
        self._wipe()
        if not self.path.exists():
            return False
        try:
            text, config, key = self._read()
            check_writable(self.target)
            if self._has_claim(read_toml(self.path, contents(self.path))):
                given = claim_given.read(self.claim, owners={0} if account.of_service() else None)
                make_certs(config.paths.certs)
                as_service(partial(claiming.place, config.paths.certs, given))
            if key:
                check_writable(config.provisioning.credentials_file)
                access_key.save(
                    config.provisioning.credentials_file,
                    config.aws.profile or access_key.DEFAULT_PROFILE,
                    key,
                    config.aws.region,
                    owner=key_owner(),
                )
        except ConfigError as error:
            self._complain(error)
            raise
        self._configure(text.encode())
        try:
            allow(config)
        except AgentError as error:  # no reason to leave the file where it is, with the key in it
            complain(error)
        self.error.unlink(missing_ok=True)
        self.path.replace(self.taken)
        files.sync_directory(self.taken.parent)
        self._wipe()
        return True

    def _wipe(self) -> None:
        """Wipe what has been taken, the claim before the file, which tells that it has been."""
        if self.taken.exists() and self.claim.is_dir():
            for path in self.claim.iterdir():
                if path.is_file():
                    files.wipe(path)
            with suppress(OSError):  # something of the owner's is in it
                self.claim.rmdir()
        files.wipe(self.taken)

    def _has_claim(self, document: Mapping[str, object]) -> bool:
        """True if the file wants a claim, names none, and one lies beside it."""
        about = document.get("provisioning")
        if not isinstance(about, dict) or about.get("method") != CLAIM:
            return False
        return not {name for _, name in CLAIM_FILES} & about.keys() and self.claim.is_dir()

    def _completed(self, text: str) -> str:
        """The text with the files of the claim beside it. Raises UneditableError, ConfigError."""
        document = read_toml(self.path, text.encode())
        if self._has_claim(document):
            paths = document.get("paths")
            given = paths.get("certs") if isinstance(paths, dict) else None
            for key, name in CLAIM_FILES.items():
                path = Path(str(given or Paths().certs)) / CLAIM_DIRECTORY / name
                text = with_value(text, key, str(path))
        return text

    def _read(self) -> tuple[str, Config, AccessKey | None]:
        """The text without the key, the configuration in it, and the key. Raises ConfigError.

        The sensors are judged by the service's user, since a plug-in may have a say.
        """
        data = contents(self.path)
        problems = json.loads(ask_service(lambda: json.dumps(self._problems(data))))
        if problems:
            raise ConfigError(
                [f"{self.path}: {problem}" for problem in problems],
                hint="correct the file, and start the device again",
            )
        text = self._completed(data.decode("utf-8-sig"))
        document = read_toml(self.path, text.encode())
        pair = _take_pair(document, [])
        config = self._interpreted(document, lambda _: dict)
        for key in (ACCESS_KEY_ID, SECRET_ACCESS_KEY) if pair else ():
            text = without(text, key)
        return text, config, AccessKey(*pair) if pair else None

    def _problems(self, data: bytes) -> list[str]:
        """All that is wrong with the content of the file."""
        problems: list[str] = []
        try:
            if not read_toml(self.path, data):
                problems.append("is empty: nothing in it is set")
            text = self._completed(data.decode("utf-8-sig"))
            document = read_toml(self.path, text.encode())
            pair = _take_pair(document, problems)
            config = self._interpreted(document, sensors.options_of)
            if pair and not config.aws.region:
                problems.append("aws.region: is missing; it goes with access_key_id")
            for key in (ACCESS_KEY_ID, SECRET_ACCESS_KEY) if pair else ():
                text = without(text, key)
        except ConfigError as error:
            problems += [problem.removeprefix(f"{self.path}: ") for problem in error.problems]
        except UneditableError as error:
            problems.append(f"{error}; give it a line of its own below its [table]")
        return problems

    def _interpreted(self, document: dict[str, object], options_of: OptionsOf) -> Config:
        return interpret(
            document,
            self.target,
            options_of=options_of,
            source=self.path,
            environment={},
            registered=lambda _: "",
        )

    def _configure(self, data: bytes) -> None:
        """Put the configuration in place; what was there before is kept beside it."""
        try:
            before = self.target.read_bytes()
        except FileNotFoundError:
            files.make_directory(self.target.parent, 0o755)
            files.replace(self.target, data, mode=files.PUBLIC_FILE)
            return
        if before != data:  # else an earlier run did it, and what it kept is older still
            files.replace(self.kept, before)
            files.rewrite(self.target, data)

    def _complain(self, error: ConfigError) -> None:
        lines = [*error.problems, f"hint: {error.hint}", "Nothing of the file has been taken over."]
        with suppress(OSError):  # a card that is full or read-only; the journal has it too
            files.replace(self.error, "\n".join([*lines, ""]).encode(), mode=files.PUBLIC_FILE)


def _take_pair(document: dict[str, object], problems: list[str]) -> tuple[str, str] | None:
    """The key's id and secret, taken out of `document`; no problem shows a value."""
    aws = document.get("aws")
    if not isinstance(aws, dict) or not {ACCESS_KEY_ID[-1], SECRET_ACCESS_KEY[-1]} & aws.keys():
        return None
    pair = []
    for (*_, name), check in (
        (ACCESS_KEY_ID, access_key.id_problem),
        (SECRET_ACCESS_KEY, access_key.secret_problem),
    ):
        value = aws.pop(name, None)
        if value is None:
            problems.append(f"aws.{name}: is missing; an AWS key is an id and a secret")
        elif not isinstance(value, str):
            problems.append(f"aws.{name}: expected a string")
        elif problem := check(value):
            problems.append(f"aws.{name}: {problem}")
        pair.append(str(value))
    return pair[0], pair[1]
