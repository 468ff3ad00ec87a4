"""A support archive tells all that helps, and no secret, wherever one is planted."""

from __future__ import annotations

import argparse
import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from agent import config as configuration
from agent.cli import new_file, support_bundle
from agent.cli.dossier import dossier, of_board
from agent.cli.main import main
from agent.errors import AgentError, OutputError
from agent.provisioning.access_key import AccessKey, text_of

SERIAL = "10000000fe1d2c3b"
MACHINE = "00112233445566778899aabbccddeeff"
MAC = "b8:27:eb:12:34:56"


#: Each stands in one place, and is told again by the journal and by the agent.
SECRETS = {
    "password of a plug-in": "hunter2-plug",
    "number of a plug-in": "73519942",
    "nested value of a plug-in": "n3sted-value",
    "word of a command": "w0rd-of-command",
    "user of a URL": "urlpassw0rd",
    "parameter": "param-v4lue",
    "remark": "r3mark-secret",
    "old file": "0ld-file-secret",
    "drop-in": "dr0pin-secret",
    "argument of a drop-in": "argum3nt-secret",
    "proxy": "pr0xy-secret",
    "secret of the AWS key": "wJalrXUtnFEMIshort",
    "id of the AWS key": "AKIAABCDEFGHIJKLMNOP",
    "token of the AWS key": "t0ken-of-the-key",
    "PIN of a token": "pin98765",
    "board": SERIAL,
    "digits of the board": SERIAL[-8:],
    "machine": MACHINE,
    "address": MAC,
}

TOML = """\
# password r3mark-secret
[thing]
name = "cat-fe1d2c3b"
[provisioning]
method = "claim"
template = "home"
claim_cert_file = "claim.pem"
claim_key_file = "claim.key"
credentials_file = "credentials"
parameters = { Code = "param-v4lue" }
[mqtt]
endpoint = "localhost"
port = 1
cert_file = "cert.pem"
key_file = "pkcs11:token=x;object=k?pin-value=pin98765"
[paths]
certs = "certs"
state = "state"
runtime = "run"
[[sensors]]
name = "web"
driver = "exec"
command = ["/bin/echo", "--api-token", "w0rd-of-command", "http://joe:urlpassw0rd@nowhere/"]
[[sensors]]
name = "gate"
driver = "plugged"
password = "hunter2-plug"
code = 73519942
more = { deep = ["n3sted-value"] }
"""


def told() -> str:
    """All the secrets in one line, as a program that fails may print them."""
    return "fails: " + " | ".join(secret for what, secret in SECRETS.items() if what != "remark")


class Place:
    """A device in a directory, with a secret in each place; `root` is its file system."""

    def __init__(self, directory: Path, toml: str) -> None:
        directory.mkdir(exist_ok=True)
        self.config = directory / "agent.toml"
        self.root = directory / "root"
        self.config.write_text(toml)
        (directory / "iot_prov_config").write_text(
            "THING_NAME=cat-fe1d2c3b\nPASSWORD=0ld-file-secret\n# r3mark-secret\n"
        )
        key = AccessKey(
            SECRETS["id of the AWS key"],
            SECRETS["secret of the AWS key"],
            SECRETS["token of the AWS key"],
        )
        (directory / "credentials").write_text(text_of("default", key))
        for name in ("certs", "state", "run"):
            (directory / name).mkdir()
        (directory / "certs" / "cat-fe1d2c3b-private.pem.key").write_text("PRIVATE")
        status = {"state": "offline", "sensors": {"web": {"error": told(), "token": "x9"}}}
        (directory / "run" / "status.json").write_text(json.dumps(status))
        self.put("etc/machine-id", MACHINE)
        self.put("proc/device-tree/serial-number", SERIAL)
        self.put("sys/class/net/wlan0/address", MAC)
        self.put(
            "etc/systemd/system/pi-iot-agent.service.d/proxy.conf",
            "[Service]\n# r3mark-secret\nEnvironment=CODE=dr0pin-secret \\\n"
            '  "https_proxy=http://joe:pr0xy-secret@proxy:3128"\n'
            "ExecStartPre=/bin/x argum3nt-secret\nDeviceAllow=/dev/gpiochip0 rw\n"
            "SetCredential=aws:dr0pin-secret\n",
        )

    def put(self, name: str, text: str) -> None:
        """A file of the system."""
        path = self.root / name
        path.parent.mkdir(parents=True)
        path.write_text(text)

    def dossier(self, *, with_serial: bool = False) -> dict[str, str]:
        """What an archive would hold."""
        arguments = argparse.Namespace(config=self.config, content={}, with_serial=with_serial)
        return dossier(arguments, told(), root=self.root)


@pytest.mark.parametrize(
    "toml",
    [
        TOML,
        TOML.replace('driver = "plugged"', 'driver = "simulated"'),
        TOML + "this is = no TOML\n",
        TOML.replace('password = "hunter2-plug"', 'password = """\nhunter2-plug\n"""\nx ='),
        TOML.replace('password = "hunter2-plug"', "password = 'hunter2-plug"),
    ],
    ids=["sound", "unknown keys", "no TOML", "no TOML, many lines", "a quote missing"],
)
def test_no_secret_is_in_it_wherever_it_stands(tmp_path: Path, toml: str) -> None:
    """Not even where another program has repeated it."""
    parts = Place(tmp_path, toml).dossier()

    for name, text in parts.items():
        found = [what for what, secret in SECRETS.items() if secret.lower() in text.lower()]
        assert not found, f"{name}: {text}"
    assert "x9" not in parts["status.json"]
    for name in ("doctor.json", "status.json", "versions.json", "system.json"):
        json.loads(parts[name])


def test_what_helps_is_in_it(tmp_path: Path) -> None:
    """Settings, the drop-in, modes, versions, and the state of the machine."""
    place = Place(tmp_path, TOML)
    parts = place.dossier()

    shown = parts["configuration.txt"]
    for line in (
        'method = "claim"',
        'endpoint = "localhost"',
        'driver = "plugged"',
        'command = ["/bin/echo", "[redacted',
        "Code = [redacted",
        "THING_NAME=cat-[redacted: board serial]",
        "PASSWORD=[redacted",
        "DeviceAllow=/dev/gpiochip0 rw",
        "https_proxy=http://[redacted: user and password]proxy:3128",
        "ExecStartPre=/bin/x [redacted",
    ):
        assert line in shown
    assert "-private.pem.key" in parts["files.txt"]
    assert "PRIVATE" not in str(parts)
    assert json.loads(parts["versions.json"])["packages"]["paho-mqtt"]
    assert json.loads(parts["updates.json"]).keys() == {"looked", "pending", "outcome"}
    assert json.loads(parts["system.json"])["clock"]["plausible"] is True
    assert json.loads(parts["status.json"])["last"]["state"] == "offline"
    assert json.loads(parts["doctor.json"])["failed"] is True
    assert "cannot be had: " in parts["identity.json"]


def test_the_serial_number_is_in_it_if_asked_for(tmp_path: Path) -> None:
    """And nothing else of what is taken out."""
    parts = Place(tmp_path, TOML).dossier(with_serial=True)
    assert "cat-fe1d2c3b" in parts["configuration.txt"]
    assert SERIAL in parts["journal.txt"]
    assert MACHINE not in str(parts)
    assert MAC not in str(parts)


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The rest is there all the same."""
    place = Place(tmp_path, TOML)
    place.config.unlink()
    parts = place.dossier()
    assert "there is no such file" in parts["doctor.json"]
    assert "THING_NAME" in parts["configuration.txt"]
    assert "kernel" in parts["versions.json"]


def unpacked(data: bytes) -> dict[str, str]:
    """The files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        found = {name: tar.extractfile(name) for name in names}
        return {name: file.read().decode() for name, file in found.items() if file}


def test_the_archive_is_a_new_file_for_one_user(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a manifest that counts what was taken out; nothing is overwritten."""
    target = tmp_path / "support.tar.gz"
    command = ["doctor", "--bundle", str(target), "--config", config]
    before = os.umask(0)
    try:
        assert main(command) == 0
    finally:
        os.umask(before)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    data = target.read_bytes()
    files = unpacked(data)
    manifest = files["pi-iot-agent-support/MANIFEST.txt"]
    for name in files:
        assert name.startswith("pi-iot-agent-support/")
        assert name.endswith("MANIFEST.txt") or name.partition("/")[2] in manifest
    assert "Taken out:" in manifest
    capsys.readouterr()
    assert main(command) == 2
    assert f"{target}: is there already" in capsys.readouterr().err
    assert target.read_bytes() == data


def test_a_place_that_cannot_be_written_is_told_before_anything_is_done(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Collecting takes a while."""
    target = tmp_path / "none" / "x.tar.gz"
    for place, why in (
        (str(target), f"{tmp_path / 'none'}: is no directory"),
        (str(tmp_path / ("x" * 300)), "File name too long"),
        ("", "names no file"),
        (str(tmp_path), "is there already"),
    ):
        assert main(["doctor", "--bundle", place, "--config", config]) == 2
        told = capsys.readouterr().err
        assert why in told
        assert "collecting" not in told


def test_names_of_wifi_networks_are_known(tmp_path: Path) -> None:
    """As programs tell them that may be installed; netplan puts something before them."""
    known = configuration.load(
        Place(tmp_path, "").config, options_of=lambda _: dict, environment={}
    )
    programs = [["/nowhere"], ["/bin/printf", "Our House\nnetplan-wlan0-TheOther\n"]]
    found = {one.value for one in of_board(known, tmp_path, wifi=programs)}
    assert found >= {"Our House", "TheOther"}


def test_no_link_is_followed(config: str, tmp_path: Path) -> None:
    """Nor is one that leads nowhere."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    assert main(["doctor", "--bundle", str(link), "--config", config]) == 2
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(AgentError, match="is there already"):
        new_file.save(link, b"x")


def test_the_archive_can_go_down_a_pipe(
    config: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Nothing else is on stdout."""
    assert main(["doctor", "--bundle", "-", "--config", config]) == 0
    assert "pi-iot-agent-support/doctor.json" in unpacked(capfdbinary.readouterr().out)


def test_a_pipe_that_nobody_reads_is_told_without_an_internal_error() -> None:
    """And one that is full with its cause."""
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(OutputError, match=r"^$"):
        new_file.pour(b"x", write)
    os.close(write)
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OutputError, match="No space"),
    ):
        new_file.pour(b"x", full.fileno())


def test_a_credentials_file_with_a_mistake_is_known_all_the_same(tmp_path: Path) -> None:
    """By its words, in either encoding."""
    for encoding in ("utf-8", "utf-16"):
        place = Place(tmp_path / encoding, TOML)
        lines = [
            "[default",
            "region = us-east-1",
            "aws_access_key_id='AKIAABCDEFGHIJKLMNOP'",
            'aws_secret_access_key="wJalrXUtnFEMIshort"',
            "t0ken-of-the-key",
        ]
        (tmp_path / encoding / "credentials").write_bytes("\n".join(lines).encode(encoding))
        assert not [one for one in SECRETS.values() if one in place.dossier()["journal.txt"]]


def test_a_configuration_in_another_encoding_is_known_all_the_same(tmp_path: Path) -> None:
    """As an editor on Windows may have saved it."""
    place = Place(tmp_path, TOML)
    place.config.write_bytes(TOML.encode("utf-16"))
    assert SECRETS["password of a plug-in"] not in place.dossier()["journal.txt"]


def test_of_the_environment_a_proxy_is_shown_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing says that it is a URL."""
    monkeypatch.setenv("https_proxy", "j:w1t@proxy:3128")
    parts = Place(tmp_path, TOML).dossier()
    assert "w1t" not in parts["system.json"]
    assert "proxy:3128" in parts["system.json"]


def test_each_file_is_listed_once_and_a_flood_hides_no_other_directory(tmp_path: Path) -> None:
    """The service can write what it likes into its own."""
    place = Place(tmp_path, TOML)
    for number in range(300):
        (tmp_path / "certs" / f"{number:03}").touch()
    (tmp_path / "state" / "mine").touch()
    names = place.dossier()["files.txt"].splitlines()
    assert len(names) == len(set(names))
    assert "  and 102 more" in names
    assert any(line.endswith("/state/mine") for line in names)


def test_paths_of_a_spoiled_configuration_are_those_of_their_tables(tmp_path: Path) -> None:
    """A sensor has a name too."""
    toml = '[[sensors]]\nname = "web"\n[thing]\nname = "cat"\n[paths]\ncerts = "certs"\n' + "x ="
    place = Place(tmp_path, toml)
    assert f"{tmp_path}/certs/cat" in place.dossier()["identity.json"]


def test_with_serial_goes_with_an_archive(config: str) -> None:
    """Alone it is a wrong use."""
    assert main(["doctor", "--with-serial", "--config", config]) == 2


def test_a_journal_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """In a few words; one that can is taken as it is."""
    assert "cannot be had: No such file" in support_bundle.journal([str(tmp_path / "none")])
    assert "cannot be had: not you;" in support_bundle.journal(
        ["/bin/sh", "-c", "echo not you >&2"]
    )
    assert support_bundle.journal(["/bin/echo", "a line"]) == "a line\n"


@pytest.mark.parametrize(
    "told",
    ["", "[]", "{" * 100_000, json.dumps({f"p{n}": "" for n in range(99)})],
    ids=["nothing", "a list", "deep", "many"],
)
def test_what_the_services_user_tells_is_anybodys_word(told: str) -> None:
    """It can break the archive, and no more."""
    with pytest.raises(AgentError, match="cannot be used"):
        support_bundle.decoded(told)


def test_names_in_the_archive_are_plain() -> None:
    """None leads out of its directory."""
    told = json.dumps({"../../etc/x": "a", "/x": "a", ".x": "a", "a.txt": "b", "n.txt": 5})
    assert support_bundle.decoded(told) == {"a.txt": "b"}
