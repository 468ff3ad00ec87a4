"""The configuration is changed in memory, checked as a whole, and then written or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.draft import Draft, holder_of
from agent.cli.questions import UsageError
from agent.cli.sensor_flags import tables
from agent.errors import ConfigError
from tests.unit.cli.conftest import add

MOTION = '[[sensors]]\nname = "motion"\ndriver = "simulated"\ndetections_per_s = 1\n'


@pytest.fixture
def draft(config: str) -> Draft:
    """One of a configuration without sensors."""
    return Draft(Path(config), {})


def wired(draft: Draft, *flags: str, count: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The sensors that are counted once those of the flags are there."""
    draft.wire(tables(flags), count=count)
    return draft.config.count.sensor


def test_nothing_is_written_until_it_is_saved(config: str, draft: Draft) -> None:
    """And only once."""
    before = Path(config).read_text()
    draft.set(("thing", "name"), "dog")
    assert wired(draft, "room=system") == ()
    assert Path(config).read_text() == before
    assert draft.save()
    assert 'name = "dog"' in (text := Path(config).read_text())
    assert text.endswith('[[sensors]]\nname = "room"\ndriver = "system"\n')
    assert not draft.save()


def test_the_only_detector_is_counted_and_nothing_written_for_it(config: str, draft: Draft) -> None:
    """Its name does not matter."""
    assert wired(draft, "pir=gpio:21") == ("pir",)
    draft.save()
    assert "[count]" not in Path(config).read_text()


def test_a_new_detector_is_counted_beside_those_that_are(config: str) -> None:
    """One that was there and is not counted stays so; `--count` names all."""
    add(config, MOTION + '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 20\n')
    assert wired(Draft(Path(config), {}), "hall=gpio:21", "door=gpio:19") == ("motion", "hall")
    assert wired(Draft(Path(config), {}), "room=system") == ("motion",)
    assert wired(Draft(Path(config), {}), "hall=gpio:21", count=("hall", "door")) == (
        "hall",
        "door",
    )


def test_the_sensor_of_an_older_device_stays(config: str, draft: Draft) -> None:
    """Its file tells of it only while the configuration has none."""
    (Path(config).parent / "iot_prov_config").write_text("THING_NAME=cat\nSENSOR_NO=1\n")
    assert wired(draft, "room=system") == ("motion",)
    draft.save()
    added = Path(config).read_text().partition("[[sensors]]")
    assert added[2] == (
        '\nname = "motion"\ndriver = "gpio"\npin = 21\nactive = "low"\n\n'
        '[[sensors]]\nname = "room"\ndriver = "system"\n'
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("hall=gpio:20", "door=gpio:20"), "--sensor hall: GPIO20 is taken by the sensor door"),
        (
            ("a=gpio,chip=gpiochip4,line=2", "b=gpio,chip=gpiochip4,line=2"),
            "is taken by the sensor b",
        ),
        (("door=gpio:20,colour=red",), "--sensor door: colour: unknown key"),
        (("door=no-such-driver",), '--sensor door: driver: no driver "no-such-driver"'),
    ],
)
def test_what_cannot_be_is_told_by_its_flag(
    flags: tuple[str, ...], words: str, draft: Draft
) -> None:
    """Without lines of a text that is not written."""
    with pytest.raises(UsageError) as caught:
        wired(draft, *flags)
    assert words in caught.value.text
    assert "(line" not in caught.value.text
    assert draft.config.sensors == ()
    assert not draft.save()


def test_a_name_that_is_wrong_counts_as_not_given(config: str) -> None:
    """So that it can be mended; anything else that is wrong is told first."""
    Path(config).write_text('[thing]\nname = "a b"\n')
    draft = Draft(Path(config), {})
    assert draft.config.thing.name != "a b"
    draft.set(("thing", "name"), "dog")
    assert draft.config.thing.name == "dog"
    Path(config).write_text("[mqtt]\nport = 0\n")
    with pytest.raises(ConfigError, match=r"mqtt\.port"):
        Draft(Path(config), {})


def test_a_text_that_only_a_person_should_change_is_left(config: str) -> None:
    """The hint says what to write."""
    Path(config).write_text('sensors = [{ name = "a", driver = "system" }]\n')
    with pytest.raises(ConfigError) as caught:
        wired(Draft(Path(config), {}), "b=system")
    assert "write the [[sensors]] of b by hand" in caught.value.hint


def test_a_pin_has_one_holder(config: str) -> None:
    """A sensor may keep its own, and one without a pin has none."""
    add(config, '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 20\n')
    add(config, '[[sensors]]\nname = "b"\ndriver = "gpio"\nchip = "gpiochip4"\nline = 20\n')
    known = Draft(Path(config), {}).config
    assert holder_of(known, "hall", "GPIO20") == "door"
    assert holder_of(known, "door", "GPIO20") == ""
    assert holder_of(known, "hall", "") == ""
