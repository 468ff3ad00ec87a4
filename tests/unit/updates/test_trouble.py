"""Trouble with updates: each has words of its own, by what apt of both releases really says."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.updates.sources import Source
from agent.updates.trouble import OURS, PASSING, SIGNS, WORDS, Trouble, kind_of, trouble
from tests.unit.updates.said import RELEASES, said

SOURCE = Source("https://host/x", Path("/etc/apt/keyrings/pi-iot-agent.gpg"))

#: What each look that was made to fail is.
KINDS = {
    "future": "clock",
    "clock-2h-behind": "clock",
    "swap-future": "clock",
    "expired": "expired",
    "swap-expired": "expired",
    "clock-2y-ahead": "expired",
    "oldkey": "key-expired",
    "key-expired-renewed-at-repo": "key-expired",
    "revoked": "key-revoked",
    "wrongkey": "key-wrong",
    "swap-wrongkey": "key-wrong",
    "keymode": "key-file",
    "tampered": "signature",
    "tampered2": "signature",
    "swap-tampered": "signature",
    "weak": "weak",
    "unsigned": "unsigned",
    "swap-unsigned": "unsigned",
    "hash": "mismatch",
    "size": "mismatch",
    "nopkg": "not-found",
    "norelease": "not-found",
    "swap-norelease": "not-found",
    "404": "not-found",
    "file": "not-found",
    "html": "no-index",
    "swap-html": "no-index",
    "refused": "no-server",
    "dns": "no-name",
    "dns-tmp": "no-name",
    "no-network-name": "no-name",
    "no-network": "no-network",
    "tls": "certificate",
    "tls-past": "certificate",
    "tls-host": "certificate",
    "tls-untrusted": "certificate",
    "https-clock-ahead": "certificate",
    "lock": "locked",
    "full": "full",
    "readonly": "read-only",
}

#: What the releases tell apart, or not.
KINDS_OF = {
    "bookworm": {
        # A key that is missing or spoiled is looked at before apt is asked.
        "nokey": "key-wrong",
        "garbage": "key-wrong",
        "tls-future": "clock",
        "https-clock-2y-behind": "clock",
    },
    "trixie": {
        "nokey": "key-file",
        "garbage": "key-file",
        "tls-future": "certificate",
        "https-clock-2y-behind": "certificate",
    },
}


def told(text: str, *, is_set: bool = True) -> Trouble:
    """The trouble of it, at noon on a day in 2026."""
    return trouble(text, SOURCE, now_s=1795780800, synchronized=lambda: is_set)


@pytest.mark.parametrize("release", RELEASES)
def test_each_trouble_is_told_from_the_others(release: str) -> None:
    """By what apt has said in that release."""
    looks = said(release)
    expected = {**KINDS, **KINDS_OF[release]}
    failed = {name: look for name, look in looks.items() if look.code}

    assert len(failed) > 40
    assert {name: kind_of(look.text) for name, look in failed.items()} == {
        name: expected[name] for name in failed
    }


@pytest.mark.parametrize("release", RELEASES)
def test_a_look_that_succeeds_is_no_trouble(release: str) -> None:
    """Nor is an older index, which apt passes over."""
    looks = said(release)

    assert [kind_of(looks[name].text) for name in ("good", "swap-replay-older")] == ["", ""]


@pytest.mark.parametrize("release", RELEASES)
def test_each_trouble_has_words_and_a_hint(release: str) -> None:
    """In which nothing is left to fill in, and no line of apt's."""
    for look in said(release).values():
        if look.code:
            for is_set in (True, False):
                found = told(look.text, is_set=is_set)
                assert found.text
                assert found.hint
                assert not {*"{}\n"} & {*found.text, *found.hint}
                assert len(found.text) < 200


def test_every_kind_has_words() -> None:
    """Those of the clock have theirs in a function."""
    assert {*SIGNS} - {*WORDS} == {"clock", "expired", "key-expired"}
    assert {*SIGNS, "timeout", "foreign"} >= PASSING | OURS
    assert not PASSING & OURS


@pytest.mark.parametrize(
    ("name", "set_text", "unset_text"),
    [
        ("future", "of a time that is still to come", "this clock is behind: 2026-11-27 12:00 UTC"),
        ("expired", "it was not renewed", "by a clock that may be ahead"),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_whose_clock_is_wrong_is_told_by_whether_this_one_was_set(
    release: str, name: str, set_text: str, unset_text: str
) -> None:
    """By a time service; where none has, it may be this one's."""
    text = said(release)[name].text

    assert set_text in told(text).text
    assert unset_text in told(text, is_set=False).text
    assert "timedatectl" in told(text, is_set=False).hint


@pytest.mark.parametrize("name", ["tls-past", "key-expired-renewed-at-repo"])
@pytest.mark.parametrize("release", RELEASES)
def test_a_clock_that_nobody_set_is_a_reason_to_look_at_it_first(release: str, name: str) -> None:
    """Where a certificate or a key may only seem to be over."""
    text = said(release)[name].text

    assert "timedatectl" not in told(text).hint
    assert told(text, is_set=False).hint.startswith("this clock (2026-11-27 12:00 UTC)")


@pytest.mark.parametrize("release", RELEASES)
def test_the_key_that_signed_is_named(release: str) -> None:
    """By the end of its fingerprint, as both releases have it."""
    assert ", DA13544DA6143337, " in told(said(release)["wrongkey"].text).text


def test_what_nobody_knows_is_given_in_the_words_of_apt() -> None:
    """A line of them, without what a terminal would obey."""
    found = told("Get:1 x\nE: Something \x1b[31mnew\nE: More\n")

    assert found.kind == "unknown"
    assert found.text == "apt could not look: Something ?[31mnew"
    assert told("").text == "apt could not look: it said nothing"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(401, "refused"), (403, "refused"), (404, "not-found"), (429, "server"), (503, "server")],
)
def test_a_servers_answer_is_told_by_its_number(code: int, kind: str) -> None:
    """Which is said where it helps; the size of a file is none."""
    found = told(f"Err:1 https://host x InRelease\n  {code}  Words [IP: 127.0.0.1 80]\nE: Failed\n")

    assert found.kind == kind
    assert (f"({code})" in found.text) == (kind != "not-found")
    assert kind_of(f"Get:1 https://host x InRelease [{code} B]\n") == ""


def test_an_exit_code_tells_whose_trouble_it_is() -> None:
    """75 where it may pass or is the repository's, 78 where this device is to be mended."""
    looks = said("trixie")

    assert told(looks["dns"].text).exit_code == 75
    assert told(looks["dns"].text).passes
    assert told(looks["expired"].text).exit_code == 75
    assert not told(looks["expired"].text).passes
    assert told(looks["wrongkey"].text).exit_code == 78
    assert not told(looks["wrongkey"].text).passes


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "chosen", ["REVKEYSIG is revoked", "NO_PUBKEY DEADBEEFDEADBEEF", "x is not valid yet", "SSL"]
)
def test_a_server_does_not_choose_what_its_trouble_is(release: str, chosen: str) -> None:
    """By the words after its number, nor by the URL that it leads to."""
    told = said(release)["404"].text.replace("File not found", chosen)

    assert kind_of(told) == "not-found"
    assert kind_of(told.replace("/Release", f"/{chosen.replace(' ', '_')}")) == "not-found"
