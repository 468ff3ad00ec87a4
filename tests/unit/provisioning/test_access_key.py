"""The AWS key goes into its file and out of it; other people's lines stay."""

from __future__ import annotations

import configparser
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.provisioning import access_key
from agent.provisioning.access_key import AccessKey, Profile

KEY = AccessKey("AKIAABCDEFGHIJKLMNOP", "se/cr+et%=1")

OTHERS = """\
# my keys
[work]
aws_access_key_id = AKIAWORKWORKWORKWORK
aws_secret_access_key = other
s3 =
  max_concurrent_requests = 20
"""


def save(path: Path, profile: str = "default") -> None:
    """Put KEY into the file."""
    access_key.save(path, profile, KEY, "eu-west-1")


def test_a_key_is_written_for_its_owner_only(tmp_path: Path) -> None:
    """The directory is made too; both are private."""
    path = tmp_path / "aws" / "credentials"
    save(path)
    assert access_key.read(path, "default") == Profile(KEY, "eu-west-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert KEY.secret not in repr(KEY)


@pytest.mark.parametrize("before", ["", "\n[default]\nregion = x\n", "[default]"])
def test_other_profiles_stay(before: str, tmp_path: Path) -> None:
    """With their remarks; the wide mode of an old file is mended."""
    path = tmp_path / "credentials"
    path.write_text(OTHERS + before)
    save(path)
    text = path.read_text()
    assert text.startswith(OTHERS)
    assert text.count("[default]") == 1
    assert access_key.read(path, "default") == Profile(KEY, "eu-west-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_whole_old_key_goes(tmp_path: Path) -> None:
    """A session token would spoil the new key; other settings of the profile stay."""
    path = tmp_path / "credentials"
    path.write_text(
        "[default]\nAWS_ACCESS_KEY_ID: old\naws_session_token = a\n  b\noutput = json\n" + OTHERS
    )
    save(path)
    text = path.read_text()
    assert "old" not in text
    assert "token" not in text
    assert "output = json\n" + OTHERS in text


def test_a_key_is_erased(tmp_path: Path) -> None:
    """The file goes with it unless something else is in it; twice does no harm."""
    path = tmp_path / "credentials"
    save(path)
    for _ in range(2):
        access_key.erase(path, "default")
        assert not path.exists()
    path.write_text(OTHERS)
    save(path)
    access_key.erase(path, "default")
    assert access_key.read(path, "default") == Profile(None, "eu-west-1")
    assert path.read_text().startswith(OTHERS)
    assert KEY.secret not in path.read_text()
    access_key.erase(path, "none")


@pytest.mark.parametrize("content", [b"secret", b"[a]\nx=1\n[a]\n", b"\xff", b"[default]\nsecret"])
def test_a_spoiled_file_is_neither_used_nor_lost(content: bytes, tmp_path: Path) -> None:
    """The error quotes nothing of it."""
    path = tmp_path / "credentials"
    path.write_bytes(content)
    for act in (save, lambda p: access_key.read(p, "default")):
        with pytest.raises(ConfigError, match="is not in the usual format") as caught:
            act(path)
        assert "secret" not in caught.value.text
    assert path.read_bytes() == content


LINES = [
    *("[default]", "[a]", "[b]", "[a b]", "[default] x", "region = r", "x = 1", "y: 2"),
    *("  goes on", "# r", "", "aws_access_key_id = k"),
]


@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_any_file_keeps_what_is_not_ours(lines: list[str]) -> None:
    """Either the file is refused and stays as it is, or only our four names differ."""
    text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "credentials"
        path.write_text(text)
        try:
            save(path)
        except ConfigError:
            assert path.read_text() == text
            return
        before, after = configparser.RawConfigParser(), configparser.RawConfigParser()
        before.read_string(text)
        after.read_string(path.read_text())
    assert set(after.sections()) == {*before.sections(), "default"}
    for name in after.sections():
        old = dict(before[name]) if before.has_section(name) else {}
        if name == "default":
            old |= {"aws_access_key_id": KEY.id, "aws_secret_access_key": KEY.secret}
            old |= {"region": "eu-west-1"}
        assert dict(after[name]) == old


@pytest.mark.parametrize("text", ["", "short", "akiaabcdefghijklmnop", "ASIAABCDEFGHIJKLMNOP"])
def test_what_is_no_key_id_is_told(text: str) -> None:
    """A temporary key too: it would end before it is of use."""
    assert access_key.id_problem(text)
    assert not access_key.id_problem(KEY.id)


@pytest.mark.parametrize("text", ["", "two words", "tab\t", "ü"])
def test_what_is_no_secret_is_told_without_it(text: str) -> None:
    """The words never hold the secret."""
    assert (problem := access_key.secret_problem(text))
    assert not text or text not in problem
    assert not access_key.secret_problem(KEY.secret)
