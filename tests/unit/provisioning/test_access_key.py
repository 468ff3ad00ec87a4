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
from agent.provisioning.credentials_file import load

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
        with pytest.raises(ConfigError, match=r"line [123]: ") as caught:
            act(path)
        assert "secret" not in caught.value.text
    assert path.read_bytes() == content


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_marked_file_keeps_its_other_profiles(encoding: str, tmp_path: Path) -> None:
    """It is written again as UTF-8, which every tool of AWS reads."""
    path = tmp_path / "credentials"
    path.write_text(f"[default]\nregion = x\n{OTHERS}", encoding=encoding)
    save(path)
    assert access_key.read(path, "default") == Profile(KEY, "eu-west-1")
    assert path.read_text(encoding="utf-8").endswith(OTHERS)
    access_key.erase(path, "default")
    assert access_key.read(path, "default") == Profile(None, "eu-west-1")
    assert path.read_text(encoding="utf-8").endswith(OTHERS)


def test_a_new_key_replaces_what_the_profile_had_its_key_from(tmp_path: Path) -> None:
    """A role or a sign-on would go before it."""
    path = tmp_path / "credentials"
    path.write_text("[default]\nsso_start_url = u\nrole_arn = r\noutput = json\n")
    save(path)
    lines = path.read_text().splitlines()
    assert lines[0] == "[default]"
    assert lines[4:] == ["output = json"]


def test_a_session_token_goes_with_its_key(tmp_path: Path) -> None:
    """It is in no repr; a key without one takes it out again, and so does erasing."""
    path = tmp_path / "credentials"
    key = AccessKey("ASIAABCDEFGHIJKLMNOP", "s", "the-token/==")
    assert "the-token" not in repr(key)
    access_key.save(path, "default", key, "eu-west-1")
    assert access_key.read(path, "default") == Profile(key, "eu-west-1")
    save(path)
    assert access_key.read(path, "default") == Profile(KEY, "eu-west-1")
    assert "the-token" not in path.read_text()
    path.write_text(OTHERS)
    access_key.save(path, "default", key, "eu-west-1")
    access_key.erase(path, "default")
    assert "the-token" not in path.read_text()


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
    """A temporary key too, which is of no use without its session token."""
    assert access_key.id_problem(text)
    assert not access_key.id_problem(KEY.id)
    assert not access_key.id_problem("ASIAABCDEFGHIJKLMNOP", token=True)


@pytest.mark.parametrize("text", ["", "two words", "tab\t", "ü", KEY.id])
def test_what_is_no_secret_is_told_without_it(text: str) -> None:
    """The words never hold the secret."""
    assert (problem := access_key.secret_problem(text))
    assert not text or text not in problem
    assert not access_key.secret_problem(KEY.secret)
    assert text == KEY.id or access_key.token_problem(text)
    assert not access_key.token_problem("the/token+==" * 100)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"{}"', "stands in quotes"),
        ("\u201c{}\u201d", "stands in quotes"),
        ("'{}", "stands in quotes"),
        ("{} # my key", "has a remark behind it"),
        ("{}\t; my key", "has a remark behind it"),
        ("{}\nx = y", "goes on in the next line"),
    ],
)
def test_what_is_taken_for_a_part_of_a_value_is_told(text: str, words: str) -> None:
    """Of the id, the secret and the session token alike."""
    assert words in access_key.id_problem(text.format(KEY.id))
    assert words in access_key.secret_problem(text.format(KEY.secret))
    assert words in access_key.token_problem(text.format("token"))


ID, SECRET = f"aws_access_key_id = {KEY.id}\n", "aws_secret_access_key = a/secret\n"
ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{ID}{SECRET.strip()}  # mine\n", r"line 3: aws_secret_access_key in \[default\]: has a"),
        (ID, r"line 1: aws_secret_access_key in \[default\]: is missing"),
        (SECRET, r"line 1: aws_access_key_id in \[default\]: is missing"),
        (f"{ID}aws_secret_access_key =\n", "line 3: aws_secret_access_key in .*: is empty"),
        (f"{ID.replace('AKIA', 'ASIA')}{SECRET}", "line 2: .* without its session token"),
        (f"{ID}{SECRET}aws_session_token = 'a'\n", "line 4: aws_session_token .* quotes"),
        (
            f"aws_access_key_id = a/secret+a/secret\naws_secret_access_key = {KEY.id}\n",
            "line 2: aws_access_key_id in .*: this is the secret, and the id is in aws_secret",
        ),
        (f"{ID}secret_access_key = a/secret\n", "line 3: secret_access_key .* is called aws_"),
        (f"{ROLE}source_profile = x\nmfa_serial = arn\n", "line 4: mfa_serial in .* a code"),
        (f"{ROLE}source_profile = b\n[b]\n{ID.strip()};\n", r"line 5: .* in \[b\]: expected 16"),
    ],
)
def test_a_key_that_aws_cannot_know_is_told_by_its_line(
    text: str, words: str, tmp_path: Path
) -> None:
    """Before AWS is asked, and without the secret; `setup` can replace it."""
    path = tmp_path / "credentials"
    path.write_text(f"[default]\n{text}")
    with pytest.raises(ConfigError, match=words) as caught:
        access_key.check(load(path), "default")
    assert str(path) in caught.value.text
    assert "a/secret" not in caught.value.text + caught.value.hint
    assert access_key.read(path, "default").key is None
    save(path)
    assert access_key.read(path, "default").key == KEY


@pytest.mark.parametrize("text", ["", "# none\n", f"[default]\n{ID}{SECRET}", "[default]\nx = y\n"])
def test_a_profile_with_a_good_key_or_none_is_let_pass(text: str, tmp_path: Path) -> None:
    """That there is none is told elsewhere."""
    path = tmp_path / "credentials"
    path.write_text(text)
    access_key.check(load(path), "default")
