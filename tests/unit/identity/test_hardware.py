"""A PEM text stands for a key in hardware; where that cannot be used, nothing else takes its place.

What a token does is tried in a box, with softhsm2 (`tests/system/test_hardware_key.py`).
"""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from agent.config import KeyUri
from agent.identity import HardwareKeyError, unwrapped_uri, wrapped_uri
from agent.identity.tls import load_pair
from agent.identity.token import LOGIN_REQUIRED, AnswerError, Token, refusal, tokens, trouble

#: Put together by hand, from the form that pkcs11-provider reads.
BY_HAND = b"""-----BEGIN PKCS#11 PROVIDER URI-----
MGoaGVBLQ1MjMTEgUHJvdmlkZXIgVVJJIHYxLjAMTXBrY3MxMTp0b2tlbj1kZXZpY2U7b2Jq
ZWN0PWVjO3R5cGU9cHJpdmF0ZT9tb2R1bGUtcGF0aD0vdXNyL2xpYi90aGUtbW9kdWxlLnNv
-----END PKCS#11 PROVIDER URI-----
"""


def uri(query: str = "module-path=/usr/lib/the-module.so", label: str = "ec") -> KeyUri:
    """A key of a token."""
    return KeyUri.parse(f"pkcs11:token=device;object={label}?{query}")


@pytest.mark.parametrize("length", [1, 20, 100, 200, 400])
def test_what_was_wrapped_comes_out_again(length: int) -> None:
    """Whatever form the lengths have in DER."""
    key = uri(label="e" * length)
    assert unwrapped_uri(wrapped_uri(key).encode()) == key


def test_it_is_the_text_that_the_provider_reads() -> None:
    """Its lines may be broken elsewhere."""
    assert unwrapped_uri(BY_HAND) == uri()


def test_another_key_is_none() -> None:
    """A spoiled one is no key at all."""
    assert unwrapped_uri(b"-----BEGIN PRIVATE KEY-----\nMIGH\n") is None
    with pytest.raises(ValueError, match="has no URI"):
        unwrapped_uri(b"-----BEGIN PKCS#11 PROVIDER URI-----\n-----END")


def test_a_pin_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Before the token is asked."""
    pin = tmp_path / "pin"
    key = uri(f"module-path=/m.so&pin-source=file:{pin}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    (tmp_path / "a.crt").touch()
    with pytest.raises(HardwareKeyError, match=f"{pin}: No such file") as told:
        load_pair(context, tmp_path / "a.crt", key)
    assert told.value.hint == "see pin-source= in the key's URI"


def test_a_module_that_is_none_is_told(tmp_path: Path) -> None:
    """It is asked in words of PKCS #11, without a PIN."""
    there = refusal(uri(f"module-path={tmp_path}/a.so"))
    assert there.text == f"the PKCS #11 module {tmp_path}/a.so is not there"
    (tmp_path / "a.so").write_text("no library")
    assert "a.so cannot be used: " in refusal(uri(f"module-path={tmp_path}/a.so")).text
    import _ssl  # noqa: PLC0415

    with pytest.raises(OSError, match="it is no PKCS #11 module"):
        tokens(Path(_ssl.__file__))


def test_a_token_that_is_closed_to_the_service_is_told_without_a_pin(tmp_path: Path) -> None:
    """By what its module answers, which blames no file; nor is the PIN tried for that."""
    (tmp_path / "m.so").touch()
    key = uri(f"module-path={tmp_path}/m.so")

    def closed(_: Path) -> list[Token]:
        raise AnswerError("C_Initialize answered 0x5")

    told = trouble(key, ask=closed)
    assert told
    assert "C_Initialize answered 0x5" in told.text
    assert "let the user pi-iot-agent open the token" in told.hint

    told = trouble(key, ask=lambda _: [Token("other", 0)])
    assert told
    assert told.text == "no token 'device' is there, but 'other'"
    told = trouble(key, ask=lambda _: [Token("device", LOGIN_REQUIRED)])
    assert told
    assert told.text == "the token 'device' asks for a PIN"
    assert trouble(key, ask=lambda _: [Token("device", 0)]) is None
