"""docs/cloud.md says what the file does."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.unit.cloudformation.template import PATH, Stack, document

TEXT = (PATH.parents[2] / "docs/cloud.md").read_text()


def test_every_parameter_is_explained_with_its_default() -> None:
    """In the table, and none that there is not."""
    told = set(re.findall(r"`([A-Z]\w+)`", TEXT.split("## Parameters")[1].split("**Waking")[0]))
    assert told - {"ThingName"} == set(document()["Parameters"]) - {"ThingName"}
    for name in ("QuietHours", "WindowSeconds"):
        assert f"| `{name}` | {document()['Parameters'][name]['Default']} |" in TEXT


def test_the_one_command_makes_a_stack() -> None:
    """Its parameters are taken as they stand there."""
    (command,) = re.findall(r"^aws cloudformation deploy (?:.*\\\n)+.*$", TEXT, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " "))
    given = dict(one.split("=", 1) for one in words if re.match(r"[A-Z]\w+=", one))
    stack = Stack(**given)
    assert {"Silent", "Blind", "NoMovement", "Cold", "Hot", "Recipient"} <= stack.resources.keys()
    assert PATH.name in words


def test_every_mail_is_explained() -> None:
    """By the word that its subject has."""
    table = TEXT.split("## What each mail means")[1].split("## ")[0]
    for name, one in document()["Resources"].items():
        if one["Type"] == "AWS::CloudWatch::Alarm":
            word = one["Properties"]["AlarmName"]["Fn::Sub"].rsplit(": ")[1]
            assert re.search(rf"^\|.*\b{word}\b", table, re.MULTILINE), name


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/London", "Europe/Berlin"])
def test_waking_hours_are_those_that_are_waking_all_year(zone: str) -> None:
    """From 07:00 to 22:00 but the last, by the local clock, in summer as in winter."""
    always = []
    for hour in range(24):
        times = (datetime(2026, month, 15, hour, tzinfo=UTC) for month in range(1, 13))
        if all(7 <= one.astimezone(ZoneInfo(zone)).hour < 21 for one in times):
            always.append(hour)
    listed = re.findall(r"^\| [^|]+\| `([0-9,]+)` \|$", TEXT, re.MULTILINE)
    assert always in [sorted(map(int, one.split(","))) for one in listed]
    for one in listed:
        Stack(ThingName="cat", WakingHoursUtc=one)


def test_links_lead_somewhere() -> None:
    """Files and headings."""
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        place, _, heading = target.partition("#")
        text = (PATH.parents[2] / "docs" / place).read_text() if place else TEXT
        headings = [
            re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-")
            for one in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        ]
        assert not heading or heading in headings, target
        assert Path(place).suffix in {"", ".md", ".yaml"}
