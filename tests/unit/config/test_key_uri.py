"""A key in hardware is named by a PKCS #11 URI, without its PIN; what is wrong is told in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.config import KeyUri, resolved
from tests.unit.config.conftest import problems, read, write

MODULE = "module-path=/usr/lib/softhsm/libsofthsm2.so"
URI = f"pkcs11:token=my%20device;object=key;type=private?pin-source=file:/etc/pin&{MODULE}"


def test_its_parts_are_read(tmp_path: Path) -> None:
    """Percent signs are taken as RFC 7512 has them."""
    key = read(write(tmp_path, f"[mqtt]\nkey_file = {json.dumps(URI)}\n")).mqtt.key_file
    assert isinstance(key, KeyUri)
    assert key.attribute("token") == "my device"
    assert key.name == "pkcs11:token=my%20device;object=key;type=private"
    assert key.pin_file == Path("/etc/pin")
    assert key.module == Path("/usr/lib/softhsm/libsofthsm2.so")


def test_it_names_a_private_key_though_nobody_says_so() -> None:
    """A token has the public half under the same label."""
    assert KeyUri.parse(f"pkcs11:id=%01?{MODULE}") == f"pkcs11:id=%01;type=private?{MODULE}"


def test_the_child_is_given_the_same(tmp_path: Path) -> None:
    """It is text in JSON."""
    config = read(write(tmp_path, f"[mqtt]\nkey_file = {json.dumps(URI)}\n"))
    told = json.loads(json.dumps(resolved(config)))
    assert told["mqtt"]["key_file"] == config.mqtt.key_file == URI


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        (f"pkcs11:object=key?pin-value=1234&{MODULE}", "a PIN does not belong here"),
        (f"pkcs11:object=key?{MODULE}&pin-source=/etc/pin", "pin-source is no file"),
        (f"pkcs11:object=key?{MODULE}&pin-source=file:pin", "pin-source is no file"),
        ("pkcs11:object=key", "names no module"),
        ("pkcs11:object=key?module-path=softhsm.so", "names no module"),
        (f"pkcs11:token=device?{MODULE}", "names no key"),
        (f"pkcs11:object=key;type=public?{MODULE}", "names no private key"),
        (f"pkcs11:object=key;colour=red?{MODULE}", "colour= is none of"),
        (f"pkcs11:object=a key?{MODULE}", "object= is empty, or has a character"),
        (f"pkcs11:object=key?pin=1234&{MODULE}", "a PIN does not belong here"),
        (f"PKCS11:object=key?{MODULE}&PIN-VALUE=1234", "a PIN does not belong here"),
        (f" pkcs11:object=key?{MODULE}&pin%2Dvalue=1234", "a PIN does not belong here"),
        (f"pkcs11:pin=1234;object=key?{MODULE}", "a PIN does not belong here"),
        (f"pkcs11:object=key?{MODULE}&pin-source=|echo 1234", "pin-source= is empty, or has"),
        (f"pkcs11:object=key?{MODULE}&1234", "what stands there is none of"),
        (f"pkcs11:object=key?{MODULE}&p\u200bin-value=1234", "what stands there is none of"),
        (f"pkcs11:object=%0?{MODULE}", "object= is empty, or has a character"),
    ],
)
def test_what_is_wrong_with_it_is_told(tmp_path: Path, uri: str, problem: str) -> None:
    """A PIN is not shown."""
    (told,) = problems(tmp_path, f"[mqtt]\nkey_file = {json.dumps(uri)}\n")
    assert told.startswith("mqtt.key_file: ") or ": mqtt.key_file: " in told
    assert problem in told
    assert "1234" not in told


def test_a_key_that_is_there_goes_with_a_request_for_it_alone(tmp_path: Path) -> None:
    """With another method it goes with a certificate of the owner's."""
    keys = '[provisioning]\nmethod = "keys"\n'
    (told,) = problems(tmp_path, f"{keys}[mqtt]\nkey_file = {json.dumps(URI)}\n")
    assert "goes with cert_file, or with [provisioning] method" in told
    own = f'{keys}[mqtt]\nendpoint = "a"\ncert_file = "c"\nkey_file = {json.dumps(URI)}\n'
    assert read(write(tmp_path, own)).mqtt.key_file == URI


def test_its_scheme_may_have_capital_letters_as_any(tmp_path: Path) -> None:
    """RFC 3986; it is no path then."""
    config = read(write(tmp_path, f'[mqtt]\nkey_file = "PKCS11:object=key?{MODULE}"\n'))
    assert config.mqtt.key_file == f"pkcs11:object=key;type=private?{MODULE}"


def test_no_other_file_is_named_by_a_uri(tmp_path: Path) -> None:
    """It may have a PIN in it, which a missing file would be told with."""
    uri = f"pkcs11:object=key?pin-value=1234&{MODULE}"
    (told,) = problems(tmp_path, f'[mqtt]\ncert_file = "{uri}"\n')
    assert told.startswith(
        "mqtt.cert_file: expected a path; the URI of a key in hardware is for [mqtt] key_file"
    )
