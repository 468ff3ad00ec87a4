"""A configuration on the boot partition is taken over once, wherever a power cut interrupts."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.main import main
from agent.cli.preseed import Preseed
from agent.errors import ConfigError
from agent.provisioning import access_key
from agent.provisioning.access_key import AccessKey, Profile

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
KEY = AccessKey("AKIAABCDEFGHIJKLMNOP", "the-secret")

TEXT = """\
# For grandmother's living room
[thing]
name = "living-room"

[aws]
region = "eu-west-1"  # Ireland
access_key_id = "AKIAABCDEFGHIJKLMNOP"
secret_access_key = "the-secret"

[provisioning]
credentials_file = "aws/credentials"
[paths]
certs = "certs"
"""
REST = "".join(line for line in TEXT.splitlines(keepends=True) if "access_key" not in line)


@dataclass(frozen=True)
class Card:
    """A boot partition, and the directory of the configuration."""

    boot: Path
    etc: Path

    @property
    def file(self) -> Path:
        """What is to be taken over."""
        return self.boot / "pi-iot-agent.toml"

    @property
    def target(self) -> Path:
        """What the agent reads."""
        return self.etc / "agent.toml"

    @property
    def preseed(self) -> Preseed:
        """Made anew by every start."""
        return Preseed(self.file, self.target)

    @property
    def profile(self) -> Profile:
        """What lies in the credentials file."""
        return access_key.read(self.etc / "aws/credentials", "default")

    def on_boot(self) -> list[str]:
        """The names on the boot partition."""
        return sorted(path.name for path in self.boot.iterdir())


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """A card with the file on it, and the configuration that the package brought."""
    made = Card(tmp_path / "boot", tmp_path / "etc")
    made.boot.mkdir()
    made.etc.mkdir()
    made.file.write_text(TEXT)
    made.target.write_text("# the owner's own\n")
    made.target.chmod(0o640)
    return made


def test_the_key_and_the_rest_go_where_they_belong(card: Card) -> None:
    """Remarks stay; what was there before lies beside; nothing is left on the boot partition."""
    assert card.preseed.take()
    assert card.on_boot() == []
    assert card.target.read_text() == REST
    assert stat.S_IMODE(card.target.stat().st_mode) == 0o640
    assert (card.etc / "agent.toml.before-preseed").read_text() == "# the owner's own\n"
    assert card.profile == Profile(KEY, "eu-west-1")
    assert stat.S_IMODE((card.etc / "aws/credentials").stat().st_mode) == 0o600


def test_once_is_enough(card: Card) -> None:
    """Without the file nothing happens, and a later owner's changes stay."""
    assert card.preseed.take()
    card.target.write_text("# changed\n")
    assert not card.preseed.take()
    assert card.target.read_text() == "# changed\n"


def test_a_file_without_a_key_leaves_the_credentials_alone(card: Card) -> None:
    """It is then an ordinary agent.toml; one from Windows will do."""
    card.file.write_bytes(b"\xef\xbb\xbf" + REST.replace("\n", "\r\n").encode())
    card.target.unlink()
    assert card.preseed.take()
    assert card.target.read_bytes() == REST.replace("\n", "\r\n").encode()
    assert stat.S_IMODE(card.target.stat().st_mode) == 0o644
    assert card.profile == Profile()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "living-room"', 'name = "living room"', "thing.name: expected 1 to 128"),
        ("[paths]", "[mqtt]\nport = 0\n[paths]", "mqtt.port: must be from"),
        ("[paths]", "[paths", "line 12: "),
        ('region = "eu-west-1"', "", "aws.region: is missing; it goes with access_key_id"),
        ('secret_access_key = "the-secret"', "", "aws.secret_access_key: is missing"),
        ('"AKIAABCDEFGHIJKLMNOP"', '"the-secret"', "aws.access_key_id: expected 16 to 128"),
        ('"the-secret"', '["the-secret"]', "aws.secret_access_key: expected a string"),
        ('"the-secret"', '"the-secret "', "aws.secret_access_key: expected one word"),
        ("secret_access_key", "secret_acces_key", "aws.secret_acces_key: unknown key"),
        ("[aws]\n", "", "thing.access_key_id: unknown key"),
    ],
)
def test_of_a_wrong_file_nothing_is_taken(card: Card, old: str, new: str, problem: str) -> None:
    """It stays for a person who reads the card, and beside it what is wrong, without the secret."""
    wrong = TEXT.replace(old, new)
    card.file.write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        card.preseed.take()
    assert any(one.startswith(f"{card.file}: {problem}") for one in caught.value.problems)
    assert card.on_boot() == ["pi-iot-agent.toml", "pi-iot-agent.toml.error"]
    told = card.preseed.error.read_text()
    assert problem in told
    assert "the-secret" not in told
    assert card.file.read_text() == wrong
    assert card.target.read_text() == "# the owner's own\n"
    assert card.profile == Profile()
    card.file.write_text(TEXT)
    assert card.preseed.take()
    assert card.on_boot() == []


@pytest.mark.parametrize("content", ["", "\n", "# nothing but a remark\n"])
def test_an_empty_file_replaces_nothing(card: Card, content: str) -> None:
    """A card that was prepared half-way does not end a device that works."""
    card.file.write_text(content)
    with pytest.raises(ConfigError, match="is empty: nothing in it is set"):
        card.preseed.take()
    assert card.target.read_text() == "# the owner's own\n"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_told_and_never_waited_for(
    card: Card, make: Callable[[Path], None]
) -> None:
    """A FIFO would hang the start of the service."""
    card.file.unlink()
    make(card.file)
    with pytest.raises(ConfigError, match=r"pi-iot-agent.toml: is (a directory|not a regular)"):
        card.preseed.take()


def test_a_directory_in_the_place_of_the_taken_file_blocks_nothing(card: Card) -> None:
    """It is moved away with what is in it."""
    card.preseed.taken.mkdir()
    (card.preseed.taken / "x").touch()
    assert card.preseed.take()
    (moved,) = card.boot.iterdir()
    assert moved.name.startswith("pi-iot-agent.toml.taken.")
    assert (moved / "x").exists()
    assert card.target.read_text() == REST


def test_a_key_in_an_inline_table_is_taken_out_of_it(card: Card) -> None:
    """The rest of the line is kept as the owner wrote it."""
    inline = 'access_key_id = "AKIAABCDEFGHIJKLMNOP", secret_access_key = "the-secret"'
    place = 'provisioning = { credentials_file = "aws/credentials" }\n'
    card.file.write_text(f'{place}aws = {{ {inline}, region = "eu-west-1" }} # mine\n')
    assert card.preseed.take()
    text = card.target.read_text()
    assert tomllib.loads(text)["aws"] == {"region": "eu-west-1"}
    assert text.startswith(place)
    assert text.endswith("} # mine\n")
    assert card.profile == Profile(KEY, "eu-west-1")


def test_a_key_in_a_table_that_would_vanish_with_it_is_refused(card: Card) -> None:
    """The person gives it a line of its own, rather than the text being guessed at."""
    card.file.write_text(
        'aws.access_key_id = "AKIAABCDEFGHIJKLMNOP"\naws.secret_access_key = "the-secret"\n'
    )
    with pytest.raises(ConfigError, match="give it a line of its own below"):
        card.preseed.take()
    assert card.profile == Profile()


def test_the_configuration_proper_never_holds_a_key(card: Card) -> None:
    """The two names are unknown to everybody else."""
    card.target.write_text(TEXT)
    assert main(["check", "--config", str(card.target)]) == 78


#: Ends the process, as a power cut does, right before change number `sys.argv[3]` to the disk.
CRASHING = """
import os, sys
from pathlib import Path
from agent.cli.preseed import Preseed

left = int(sys.argv[3])

def hook(event, arguments):
    global left
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
    if writes or event in {"os.rename", "os.remove", "os.mkdir", "os.chmod"}:
        if left == 0:
            os._exit(9)
        left -= 1

preseed = Preseed(Path(sys.argv[1]), Path(sys.argv[2]))
sys.addaudithook(hook)
preseed.take()
"""


@pytest.mark.parametrize("point", range(20))
def test_a_power_cut_loses_nothing_and_the_next_start_finishes(card: Card, point: int) -> None:
    """Before each change to the disk: the file, or all of what it says, is there; then all is."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(card.file), str(card.target), str(point)],
        cwd=ROOT,
        env=environment,
        check=False,
    )
    taken = card.target.read_text() == REST and card.profile.key == KEY
    assert taken or card.file.read_text() == TEXT
    if done.returncode == 0:
        assert point > 10, "all points have been met"
    else:
        assert done.returncode == 9
        assert card.on_boot()
    card.preseed.take()
    assert card.on_boot() == []
    assert card.target.read_text() == REST
    assert card.profile == Profile(KEY, "eu-west-1")
    assert (card.etc / "agent.toml.before-preseed").read_text() == "# the owner's own\n"


def test_a_half_wiped_file_is_no_configuration(card: Card) -> None:
    """It has another name by then; a new file beside it is taken over as ever."""
    card.preseed.taken.write_bytes(bytes(100) + b"the-secret")
    assert card.preseed.take()
    assert card.on_boot() == []
    card.preseed.taken.write_bytes(bytes(100))
    assert not card.preseed.take()
    assert card.on_boot() == []


def test_the_command_takes_what_is_there(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is absent is no trouble; a wrong one does not stop the next from being taken."""
    wrong = card.boot / "wrong.toml"
    wrong.write_text("x")
    names = (str(card.boot / "none.toml"), str(wrong), str(card.file))
    arguments = [word for name in names for word in ("--file", name)]
    assert main(["preseed", *arguments, "--config", str(card.target)]) == 78
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{wrong}: line 1: ")
    assert captured.out == f"{card.file}: taken over to {card.target}, and wiped\n"
    assert main(["preseed", "--file", names[0], "--config", str(card.target)]) == 0
    assert card.on_boot() == ["wrong.toml", "wrong.toml.error"]
