"""The keys of a registration go with its method, and are such as AWS takes; all is told at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.config.conftest import check_told, problems, read, write

if TYPE_CHECKING:
    from pathlib import Path

CLAIM = """[provisioning]
method = "claim"
template = "home"
claim_cert_file = "c"
claim_key_file = "k"
"""
ENDPOINT = '[mqtt]\nendpoint = "b"\n'


def test_all_that_a_claim_lacks_is_told_at_once(tmp_path: Path) -> None:
    """Also what stands in another table."""
    told = problems(tmp_path, '[provisioning]\nmethod = "claim"\n')
    keys = ["template", "claim_cert_file", "claim_key_file"]
    assert [one.rpartition(": is missing")[0].rpartition(".")[2] for one in told] == [
        *keys,
        "endpoint",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('policy = "\u00fc"', "provisioning.policy: expected 1 to 128 of the characters"),
        ('thing_groups = ["a b"]', "provisioning.thing_groups: expected 1 to 128"),
        ('thing_groups = ["a/b"]', "provisioning.thing_groups: expected 1 to 128"),
        (f'thing_groups = ["{"g" * 129}"]', "provisioning.thing_groups: expected 1 to 128"),
        (
            f"thing_groups = {json.dumps([f'g{n}' for n in range(11)])}",
            "provisioning.thing_groups: has 11 names, and may have 10",
        ),
        (
            'attributes = { a = "1", b = "2", c = "3" }',
            "provisioning.attributes: are 3, and AWS has room for 2 beside serial",
        ),
        (
            'thing_type = "t"\n[provisioning.attributes]\n'
            + "".join(f'a{n} = "1"\n' for n in range(50)),
            "provisioning.attributes: are 50, and AWS has room for 49 beside serial",
        ),
        ('parameters = { "a b" = "c" }', 'provisioning.parameters: "a b": expected a name of 1 to'),
        ("attributes = { a = 1 }", "provisioning.attributes: a: expected a string, got 1"),
        ('attributes = { a = "1", a = "2" }', "line 2: Duplicate inline table key 'a': the key"),
    ],
)
def test_what_aws_would_refuse_is_told_beforehand(
    tmp_path: Path, content: str, problem: str
) -> None:
    """Else the thing would have been made."""
    check_told(tmp_path, f"[provisioning]\n{content}\n", problem)


def test_each_attribute_that_is_none_is_told(tmp_path: Path) -> None:
    """By its name."""
    told = problems(tmp_path, '[provisioning]\nattributes = { a = "x y", b = 2, c = "3" }\n')
    assert [one.partition(": expected")[0] for one in told] == [
        "provisioning.attributes: a",
        "provisioning.attributes: b",
    ]


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (
            f'{CLAIM}policy = "p"\nattributes = {{ a = "b" }}\n{ENDPOINT}',
            'provisioning: policy, attributes do nothing with method = "claim": the template',
        ),
        (
            '[provisioning]\nclaim_cert_file = "c"\n',
            'provisioning: claim_cert_file does nothing with method = "csr": they are for',
        ),
        (
            '[provisioning]\nmethod = "keys"\nkey_type = "rsa-2048"\n',
            'provisioning.key_type: does nothing with method = "keys"',
        ),
    ],
)
def test_a_key_that_does_nothing_is_warned_of(tmp_path: Path, content: str, warning: str) -> None:
    """It may be left from another method."""
    (told,) = read(write(tmp_path, content)).warnings
    assert told.startswith(warning)


@pytest.mark.parametrize(
    "content",
    [
        "",
        f"{CLAIM}erase_claim = true\n{ENDPOINT}",
        '[provisioning]\nthing_groups = ["a"]\ntemplate = ""\nerase_claim = false\n',
    ],
)
def test_keys_that_go_with_the_method_are_not_warned_of(tmp_path: Path, content: str) -> None:
    """Nor are those that say what is so anyway."""
    assert read(write(tmp_path, content)).warnings == ()
