"""The configuration is changed in memory, checked as a whole, and then written or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.draft import Draft, holder_of
from agent.cli.questions import UsageError
from agent.cli.sensor_flags import tables
from agent.config import load
from agent.errors import ConfigError
from agent.identity import remember_name
from agent.sensors import options_of
from tests.unit.cli.conftest import add

MOTION = '[[sensors]]\nname = "motion"\ndriver = "simulated"\ndetections_per_s = 1\n'


@pytest.fixture
def draft(config: str) -> Draft:
    """One of a configuration without sensors."""
    return Draft(Path(config), {})


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that has the driver `radar-of-mine`, which is never loaded."""
    metadata = tmp_path / "site" / "radar-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: radar\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[pi_iot_agent.sensors]\nradar-of-mine = no_such_module:open_driver\n"
    )
    monkeypatch.syspath_prepend(metadata.parent)


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


PLUG_IN = '[[sensors]]\nname = "radar"\ndriver = "radar-of-mine"\n'
HALL = '[[sensors]]\nname = "hall"\ndriver = "gpio"\npin = 20\n'
ROOM = '[[sensors]]\nname = "room"\ndriver = "system"\n'


@pytest.mark.parametrize(
    ("present", "flags", "counted", "written"),
    [
        ("", ("room=system",), (), False),
        ("", ("hall=gpio:20",), ("hall",), False),
        ("", ("hall=gpio:20", "door=gpio:21"), ("hall", "door"), True),
        ("", ("hall=gpio:20", "radar=radar-of-mine"), ("hall",), False),
        ("", ("radar=radar-of-mine",), ("radar",), False),
        (HALL, ("room=system",), ("hall",), False),
        (HALL, ("motion=gpio:21",), ("hall", "motion"), True),
        (HALL, ("door=gpio:21",), ("hall", "door"), True),
        (HALL, ("hall=gpio:19",), ("hall",), False),
        (HALL, ("hall=system",), (), False),
        (HALL, ("hall=system", "door=gpio:21"), ("door",), False),
        (HALL, ("radar=radar-of-mine",), ("hall",), False),
        (PLUG_IN, ("hall=gpio:20",), ("radar", "hall"), True),
        (PLUG_IN, ("room=system",), ("radar",), False),
        (ROOM, ("room=gpio:20",), ("room",), False),
        (HALL + ROOM, ("room=gpio:21",), ("hall", "room"), True),
        (HALL + MOTION, ("door=gpio:21",), ("motion", "door"), True),
        (HALL + "[count]\nsensor = []\n", ("room=system",), (), False),
        (HALL + "[count]\nsensor = []\n", ("door=gpio:21",), ("door",), True),
        (HALL + "[count]\nwindow_s = 60\n", ("motion=gpio:21",), ("hall", "motion"), True),
    ],
)
@pytest.mark.usefixtures("plug_in")
def test_what_is_counted_stays_so_and_what_detects_joins_it(
    present: str, flags: tuple[str, ...], counted: tuple[str, ...], *, written: bool, config: str
) -> None:
    """The agent then counts what setup said; the key is written only where it is no guess."""
    add(config, present)
    draft = Draft(Path(config), {})
    assert set(wired(draft, *flags)) == set(counted)
    draft.save()
    text = Path(config).read_text()
    names = "sensor = " in text.replace("sensor = []", "")
    assert names == written
    seen = load(Path(config), options_of=options_of)
    assert set(seen.count.sensor) == set(counted)


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
        (("x=BME280",), '--sensor x: driver: no driver "BME280"; it is read by driver = "iio"'),
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


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("motion=PIR", "motion=gpio:21"),
        ("motion=pir,pin=17", "motion=gpio:17"),
        ("motion=GPIO,pin=17", "motion=gpio:17"),
        ("x=ds18b20", "x=onewire"),
        ("air=BME-280,at=1-0076", "air=iio:bme280"),
    ],
)
def test_the_hint_about_a_part_is_the_flag_to_type(flag: str, hint: str, draft: Draft) -> None:
    """Nobody has to look for the driver."""
    with pytest.raises(UsageError) as caught:
        wired(draft, flag)
    assert caught.value.hint == f"type --sensor {hint}"


@pytest.mark.parametrize(
    ("before", "flag", "after"),
    [
        ('pin = 20\npull = "up"\n', "gpio:21,bias=pull-down", 'pin = 21\nbias = "pull-down"\n'),
        ('pin = 20\nbias = "off"\n', "gpio,pull=up", 'pin = 20\npull = "up"\n'),
        ('chip = "gpiochip4"\nline = 3\n', "gpio:21", "pin = 21\n"),
        ('line = "DOOR"\nactive = "low"\n', "gpio:21", 'active = "low"\npin = 21\n'),
        ("pin = 20\n", "gpio,line=DOOR", 'line = "DOOR"\n'),
        ("pin = 20\n", "gpio,chip=gpiochip4,line=3", 'chip = "gpiochip4"\nline = 3\n'),
        ('chip = "gpiochip4"\nline = 3\n', "gpio,line=5", 'chip = "gpiochip4"\nline = 5\n'),
    ],
)
def test_a_key_that_is_given_takes_the_place_of_those_that_exclude_it(
    before: str, flag: str, after: str, config: str
) -> None:
    """A line for a pin, `bias` for its older name; all else stays."""
    head = '[[sensors]]\nname = "door"\ndriver = "gpio"\n'
    add(config, head + before)
    draft = Draft(Path(config), {})
    wired(draft, f"door={flag}")
    draft.save()
    assert Path(config).read_text().endswith(head + after)


def test_keys_that_exclude_each_other_are_not_given_together(draft: Draft) -> None:
    """The flag is what is wrong then."""
    with pytest.raises(UsageError, match="--sensor door: line: does not go with pin"):
        wired(draft, "door=gpio:21,line=DOOR")


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


def test_an_sos_button_is_set_up_by_flags(config: str) -> None:
    """It is not counted, and its LED has a pin as any sensor has."""
    add(config, '[[sensors]]\nname = "door"\ndriver = "gpio"\npin = 20\n')
    draft = Draft(Path(config), {})
    wired(draft, "button=gpio:5,active=low,role=sos,led_pin=6")
    assert draft.config.count.sensor == ("door",)
    assert draft.config.sensors[-1].sos
    with pytest.raises(UsageError, match="GPIO6 is taken by the sensor pir"):
        wired(Draft(Path(config), {}), "button=gpio:5,role=sos,led_pin=6", "pir=gpio:6")
    with pytest.raises(UsageError, match="GPIO20 is taken by the sensor door"):
        wired(Draft(Path(config), {}), "button=gpio:5,role=sos,led_pin=20")


def test_what_the_agent_would_refuse_is_never_written(config: str, draft: Draft) -> None:
    """The file stays as it was."""
    before = Path(config).read_text()
    draft.set(("aws", "region"), 'evil"\n[x]')
    with pytest.raises(ConfigError, match=r"aws\.region: "):
        draft.save()
    assert Path(config).read_text() == before


def test_a_claim_is_written_as_a_whole(config: str, draft: Draft) -> None:
    """And a name that is given counts until the template has given one."""
    for key, value in (
        (("provisioning", "method"), "claim"),
        (("provisioning", "template"), "home"),
        (("provisioning", "claim_cert_file"), "claim.crt"),
        (("provisioning", "claim_key_file"), "claim.key"),
        (("provisioning", "erase_claim"), True),
        (("mqtt", "endpoint"), "broker.local"),
        (("thing", "name"), "dog"),
        (("paths", "certs"), str(Path(config).parent)),
    ):
        draft.set(key, value)
    assert draft.save()
    found = load(Path(config), options_of=options_of)
    assert (found.provisioning.method, found.provisioning.erase_claim) == ("claim", True)
    assert (found.thing.name, found.warnings) == ("dog", ())
    remember_name(found.paths.certs, "device-7")
    again = Draft(Path(config), {})
    assert again.config.thing.name == "device-7"


def test_half_a_claim_is_not_written(config: str, draft: Draft) -> None:
    """The agent would refuse it."""
    before = Path(config).read_text()
    draft.set(("provisioning", "method"), "claim")
    with pytest.raises(ConfigError, match="template: is missing"):
        draft.save()
    assert Path(config).read_text() == before
