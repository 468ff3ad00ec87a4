"""What cannot be is refused by `setup` before anything is asked, written or sent."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from agent.cli import setup
from agent.cli.questions import UsageError
from tests.unit.cli.conftest import add


def arguments(config: str, *flags: str) -> argparse.Namespace:
    """The arguments of `setup` with these flags, on a device that has no AWS key."""
    add(config, '[provisioning]\ncredentials_file = "none"\n')
    parser = argparse.ArgumentParser()
    setup.add(parser.add_subparsers())
    parsed = parser.parse_args(["setup", *flags])
    parsed.config, parsed.content = Path(config), {}
    return parsed


def held(*, by: str, pin: int = 4) -> str:
    """The pins of a board on which somebody holds one."""
    pins = [{"number": pin, "used": True, "consumer": by}]
    return json.dumps({"devices": [], "pins": pins})


@pytest.mark.parametrize(
    ("holder", "pin", "hint"),
    [
        ("onewire@0", 4, "dtoverlay=w1-gpio in /boot/firmware/config.txt has it"),
        ("gpiomon", 5, "use another pin, or end what holds it"),
    ],
)
def test_a_pin_that_somebody_holds_is_refused(
    config: str, holder: str, pin: int, hint: str
) -> None:
    """The hint fits the holder."""
    given = arguments(config, "--sensor", f"door=gpio:{pin}")
    before = Path(config).read_text()
    with pytest.raises(UsageError) as refused:
        setup.run(given, pins=lambda: held(by=holder, pin=pin))
    assert refused.value.text == f"--sensor door: GPIO {pin} is in use by {holder}"
    assert hint in refused.value.hint
    assert Path(config).read_text() == before


@pytest.mark.parametrize(("flag", "by"), [("door=gpio:5", "w1"), ("door=gpio:4", "pi-iot-agent")])
def test_a_pin_that_is_free_or_held_by_the_agent_is_taken(config: str, flag: str, by: str) -> None:
    """What is wrong then is that the AWS key is missing."""
    with pytest.raises(
        UsageError, match="this is missing: --region, --access-key-id, --secret-file, "
    ):
        setup.run(arguments(config, "--sensor", flag), pins=lambda: held(by=by))


@pytest.mark.parametrize(
    ("told", "pair"),
    [
        ("cat eu-west-1", ("cat", "eu-west-1")),
        ('cat evil"\n[x]', ("", "")),
        (f"cat eu-{'a-' * 30_000}1", ("", "")),
        ("c\x1b[2Jat eu-west-1", ("", "")),
        ("", ("", "")),
    ],
)
def test_what_the_service_tells_of_its_registration_is_a_name_and_a_region(
    told: str, pair: tuple[str, str]
) -> None:
    """Or it counts for nothing: root writes it."""
    assert setup.pair(told) == pair
