"""What leaves the house is without secrets of any kind, and says what it was."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.redaction import (
    AWS_KEY,
    MAC,
    MACHINE_ID,
    SERIAL,
    VALUE,
    WIFI,
    Known,
    Redaction,
    kinds,
)

LINES = "\n".join(base64.b64encode(bytes(range(n, n + 48))).decode() for n in range(0, 144, 48))
CERTIFICATE_ID = "ab" * 32
SERIAL_NUMBER = "10000000fe1d2c3b"


def pem(label: str) -> str:
    """A private key of this label."""
    return f"-----BEGIN {label}-----\n{LINES}\nAQIDBA==\n-----END {label}-----"


def journal(text: str) -> str:
    """Lines as the journal has them."""
    return "\n".join(f"2026-11-26T12:00:00+0000 pi agent[12]: {line}" for line in text.split("\n"))


#: Kind, the text, and what of it must not be seen.
PLANTED = [
    *(
        ("private key", form(pem(label)), "AQIDBA")
        for label in (
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        )
        for form in (str, json.dumps, journal)
    ),
    ("private key", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAQID\n", "AQID"),
    ("private key", pem("PRIVATE KEY")[:100], LINES[:20]),
    ("long value", LINES, LINES[:20]),
    ("AWS access key id", "denied for AKIAIOSFODNN7EXAMPLE by x", "IOSFODNN7"),
    ("AWS access key id", "arn/ASIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("long value", "key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY is bad", "wJalrX"),
    ("secret", "aws_secret_access_key = short/secret", "short/secret"),
    ("secret", "AWS_SESSION_TOKEN=IQoJb3JpZ2lu", "IQoJ"),
    ("AWS signature", "GET /?X-Amz-Signature=abc123&X-Amz-Date=1", "abc123"),
    ("ownership token", '{"certificateOwnershipToken": "eyJ2ZXJ"}', "eyJ2ZXJ"),
    ("user and password", "proxy http://joe:hunter2@proxy:3128 fails", "hunter2"),
    ("user and password", "http://joe:p@ss/w@proxy:3128", "p@ss/w"),
    ("user and password", "mqtt://token@broker", "token"),
    ("user and password", "http://joe:sek\"r'e<t99@proxy", "t99"),
    ("user and password", "proxy http://joe:my pa55word@proxy:3128", "pa55"),
    ("user and password", "curl -u admin:hunter2 https://x", "hunter2"),
    ("user and password", '["curl", "-u", "admin:hunter2"]', "hunter2"),
    ("user and password", "curl --proxy-user=admin:hunter2", "hunter2"),
    ("token", "key sk_live_4eC39HqLyjW", "4eC39"),
    ("token", "api.telegram.org/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "AAHdq"),
    ("token", "with eyJzdWIiOiIxMjM0In0.x.y9", "eyJz"),
    ("token", "x=ghp_16C7e42F292c6912E7", "16C7"),
    ("PIN", "pkcs11:object=k?pin%2Dvalue=1234", "1234"),
    ("PIN", "pkcs11:object=k?pin-source=|echo 1234", "1234"),
    ("PIN", "pkcs11:object=k;pin=123456", "123456"),
    ("PIN", "pin: 123456", "123456"),
    ("PIN", "pin = 'a1b2c3'", "a1b2c3"),
    ("secret", "pass=hunter2", "hunter2"),
    ("secret", "DB_PWD=hunter2", "hunter2"),
    ("secret", "pw: hunter2", "hunter2"),
    ("secret", "credential=hunter2", "hunter2"),
    ("PIN", "pkcs11:token=x;object=k?pin-value=1234&a=b", "1234"),
    ("PIN", "pkcs11:object=k;pin-source=file:/pin", "/pin"),
    ("authorization", 'curl -H "Authorization: Basic am9lOng="', "am9lOng"),
    ("authorization", "sent Bearer abc.def123.ghi", "def123"),
    ("cookie", "Set-Cookie: id=abc; x", "abc"),
    ("secret", '{"password": "hunter2"}', "hunter2"),
    ("secret", r"{\"password\": \"hunter2\"}", "hunter2"),
    ("secret", "password: correct horse battery", "battery"),
    ("secret", "db_passwd='hunter 2'", "hunter"),
    ("secret", "api_key=abc,", "abc"),
    ("secret", "X-Api-Key: abc", "abc"),
    ("secret", "token = abc", "abc"),
    ("secret", "run --api-token abc --x", "abc"),
    ("secret", '["--password", "hunter2"]', "hunter2"),
    ("secret", "wpa psk=hunter22", "hunter22"),
    (WIFI, 'ESSID:"Our House"', "House"),
    (WIFI, "ssid=Our House", "House"),
    (WIFI, "joined TheNetwork now", "TheNetwork"),
    (MAC, "wlan0: b8:27:eb:12:34:56 left", "12:34"),
    (MAC, "b8-27-eb-12-34-56", "12-34"),
    (MAC, "at fe80::ba27:ebff:fe12:3456%wlan0", "fe12"),
    (MAC, "name-b827eb123456", "b827eb123456"),
    (MAC, "MAC:dc:a6:32:01:02:03", "01:02"),
    (MAC, "wlan0-dc:a6:32:01:02:03", "01:02"),
    (MAC, "dev_DC_A6_32_01_02_03", "01_02"),
    (MAC, r"DC\:A6\:32\:01\:02\:03", r"01\:02"),
    (MAC, "priv:\n    00:ab:cd:ef:01:23:45:\n    67:89:ab", "67:89"),
    (MACHINE_ID, "id 0123456789abcdef0123456789abcdef", "0123456789abcdef"),
    (SERIAL, f"board {SERIAL_NUMBER}", "fe1d2c3b"),
    (SERIAL, f"board {SERIAL_NUMBER.upper()}", "FE1D2C3B"),
    (SERIAL, "pi-fe1d2c3b/count", "fe1d2c3b"),
    (SERIAL, "pi10000000fe1d2c3b", "fe1d2c3b"),
    (SERIAL, "pi_fe1d2c3b pife1d2c3b", "fe1d2c3b"),
    (SERIAL, "0x10000000fe1d2c3b", "fe1d2c3b"),
    (AWS_KEY, r"it says:\nsesame42 here", "sesame42"),
    (AWS_KEY, "it says%20sesame42", "sesame42"),
    (AWS_KEY, r"it says:\nsesam3 here", "sesam3"),
    (SERIAL, "an identity of pi-00aa11bb, which", "00aa11bb"),
    ("long number", "made on the board 10000000aa1d2c3b", "aa1d2c3b"),
    (AWS_KEY, "it says sesame42 here", "sesame42"),
    (AWS_KEY, "it says a%2Fb%2Bc here", "a%2Fb"),
]
KNOWN = [
    Known(SERIAL_NUMBER, SERIAL),
    Known("0123456789abcdef0123456789abcdef", MACHINE_ID),
    Known("b827eb123456", MAC),
    Known("TheNetwork", WIFI),
    Known("sesame42", AWS_KEY),
    Known("sesam3", AWS_KEY),
    Known("a/b+c", AWS_KEY),
    Known("73519942", VALUE),
]


@pytest.fixture
def redaction() -> Redaction:
    """One that knows this device."""
    return Redaction(KNOWN, public=[CERTIFICATE_ID])


@pytest.mark.parametrize(("kind", "text", "secret"), PLANTED)
@pytest.mark.parametrize("around", ["{}", "before {} after", '{{"error": "{}"}}', "x\n{}\ny"])
def test_a_secret_of_each_kind_is_taken_out(
    redaction: Redaction, kind: str, text: str, secret: str, around: str
) -> None:
    """Wherever it stands; the kind is shown in its place."""
    found = redaction.text(around.format(text))
    assert secret not in found
    assert f"[redacted: {kind}]" in found


@pytest.mark.parametrize(
    "text",
    [
        "OK    clock: 2026-11-26 16:02:40 UTC",
        "FAIL  credentials-invalid: /etc/pi-iot-agent/certs/cat: key values mismatch",
        "no-aws-credentials: /etc/pi-iot-agent/aws/credentials has no AWS key",
        "arn:aws:iot:us-east-1:123456789012:cert/" + "0a" * 32,
        f"EC P-256, id {CERTIFICATE_ID}; 30 days left",
        "drwx------ 0:0 4096 2026-11-26T16:02:39Z /etc/pi-iot-agent/certs/.cat.0123456789ab",
        "a1b2c3d4-ats.iot.us-east-1.amazonaws.com port 8883",
        "the broker refuses the connection: not authorized",
        'driver = "gpio"\npin = 21\nkey_file = "/etc/pi/key.pem"',
        "store.db.corrupt-20261126",
        "the authority: basic things, 10.0.0.7, 2001:db8::1",
        "http://proxy:3128 refuses joe@example.org",
        "sensors[0].pin: GPIO21 is taken; expected a number",
        "credentials: 2 of 3 passes at 12:34:56, python -u, journalctl -u pi-iot-agent: x",
        "b9e1a3c4-12ab-34cd-56ef-7890abcdef12 and sesam3s",
    ],
)
def test_what_helps_stays(redaction: Redaction, text: str) -> None:
    """Dates, names, paths, the certificate's id and settings are no secrets."""
    assert redaction.text(text) == text


def test_the_serial_number_stays_where_it_is_asked_for() -> None:
    """That alone: not the machine's id."""
    redaction = Redaction(KNOWN, with_serial=True)
    told = f"board {SERIAL_NUMBER}, pi-fe1d2c3b"
    assert redaction.text(told) == told
    assert redaction.text(KNOWN[1].value) == f"[redacted: {MACHINE_ID}]"


def test_a_document_stays_one(redaction: Redaction) -> None:
    """Values are taken out by their names too, whatever they are."""
    found = redaction.value(
        {
            "password": 1234,
            "api_token": ["a", "b"],
            "auth": None,
            "count": 7,
            "value": 73519942,
            "ok": True,
            "sensors": {"room": {"error": 'exit 1: {"token": "abc"}'}},
            "pi-fe1d2c3b": "x",
        }
    )
    assert found == {
        "password": "[redacted: secret]",
        "api_token": ["[redacted: secret]", "[redacted: secret]"],
        "auth": None,
        "count": 7,
        "value": f"[redacted: {VALUE}]",
        "ok": True,
        "sensors": {"room": {"error": 'exit 1: {"token": [redacted: secret]}'}},
        "pi-[redacted: board serial]": "x",
    }


@given(st.text(max_size=200))
def test_any_text_is_redacted_and_then_stays(text: str) -> None:
    """Nothing is raised, and a second time takes nothing more out."""
    once = Redaction(KNOWN).text(text)
    assert Redaction(KNOWN).text(once) == once


def test_kinds_are_counted(redaction: Redaction) -> None:
    """For the manifest."""
    texts = [redaction.text("token=a token=b"), redaction.text("sesame42")]
    assert kinds(texts) == {AWS_KEY: 1, "secret": 2}


def test_names_that_are_shown_are_taken_out_nowhere() -> None:
    """Such as the thing's, which a parameter may hold too."""
    redaction = Redaction([Known("kitchen", VALUE)], public=["Kitchen"])
    assert redaction.text("kitchen is offline") == "kitchen is offline"


def test_a_letter_that_is_another_in_capitals_breaks_nothing() -> None:
    """A long s is an s for a regular expression, and none in small letters."""
    assert Redaction([Known("sesame42", VALUE)]).text("sesame42 \u017fesame42") == (
        f"[redacted: {VALUE}] [redacted: {VALUE}]"
    )
