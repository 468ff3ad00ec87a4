"""`doctor` tells of what a device should not have."""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path

import pytest

from agent import config as configuration
from agent.cli.examination import LOOK_S, RETURN_S, examine
from agent.cli.identity_findings import of_credentials, of_dates, of_needless_key
from agent.cli.local_findings import of_configuration, of_topics, of_updates
from agent.config import Digest
from agent.identity import Credentials
from agent.provisioning.access_key import AccessKey, text_of
from agent.sensors import options_of
from agent.updates import KEPT, RESTORED, ROLLED_BACK, STUCK, Looked, Outcome, Pending
from agent.updates.notes import write
from agent.value import replace
from tests.fakes import START_S, FakeClock, bound_by_modes
from tests.unit.cli.conftest import add

KEY = AccessKey("AKIAABCDEFGHIJKLMNOP", "the/secret")


@pytest.mark.parametrize(
    ("text", "warned"),
    [(text_of("default", KEY), True), (text_of("other", KEY), False), ("nonsense", False)],
)
def test_an_aws_key_that_is_needed_no_more_is_a_warning(
    config: str, tmp_path: Path, text: str, *, warned: bool
) -> None:
    """It could do more than the device; that of another profile is somebody else's."""
    add(config, '[provisioning]\ncredentials_file = "credentials"\n')
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    assert not list(of_needless_key(known))
    (tmp_path / "credentials").write_text(text)
    found = list(of_needless_key(known))
    assert [one.verdict for one in found] == ["WARN"] * warned
    assert all("sudo pi-iot-agent setup" in one.hint for one in found)
    assert KEY.secret not in repr(found)


@pytest.mark.parametrize(
    ("names", "verdict", "told"),
    [
        ({"iot.us-east-1.amazonaws.com"}, "region", "there is no region us-eats-1: "),
        (set(), "unprovisioned", "check [aws] region: us-eats-1 is no AWS region"),
        ({"iot.us-eats-1.amazonaws.com"}, "unprovisioned", "start the service"),
    ],
)
def test_a_region_that_does_not_exist_is_the_cause(
    config: str, tmp_path: Path, names: set[str], verdict: str, told: str
) -> None:
    """That is sure where the name of another can be looked up, and its own cannot."""
    add(config, '[provisioning]\ncredentials_file = "credentials"\n')
    add(config, 'method = "keys"\n[aws]\nregion = "us-eats-1"\n')
    (tmp_path / "credentials").write_text(text_of("default", KEY))
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    (found,) = of_credentials(known, known=names.__contains__)
    assert (found.verdict, found.what) == ("FAIL", verdict)
    assert told in f"{found.text} {found.hint}"


def test_a_file_of_keys_that_this_user_may_not_read_is_told(config: str, tmp_path: Path) -> None:
    """Root's command may: it is done as the service's user, who may."""
    add(config, '[provisioning]\ncredentials_file = "credentials"\n')
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    (tmp_path / "credentials").write_text(text_of("default", KEY))
    (tmp_path / "credentials").chmod(0)
    with bound_by_modes():
        (found,) = of_credentials(known)
    assert (found.verdict, found.what) == ("FAIL", "unprovisioned")
    assert f"{tmp_path / 'credentials'}: Permission denied" in found.text
    assert found.hint == "run this with sudo"


def test_a_claim_that_is_not_there_is_the_cause(config: str, tmp_path: Path) -> None:
    """A device that registers by a claim needs no AWS key."""
    add(config, '[mqtt]\nendpoint = "localhost"\n[provisioning]\nmethod = "claim"\n')
    add(config, 'template = "home"\nclaim_cert_file = "c.pem"\nclaim_key_file = "c.key"\n')
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    (found,) = of_credentials(known)
    assert (found.verdict, found.what) == ("FAIL", "provisioning-refused")
    assert str(tmp_path / "c.pem") in found.text
    assert "AWS key" not in found.text + found.hint


def test_a_claim_that_should_be_gone_is_told(config: str, tmp_path: Path) -> None:
    """Of a device that is not registered; one that was to be erased is a warning afterwards."""
    add(config, '[mqtt]\nendpoint = "broker.local"\n[provisioning]\nmethod = "claim"\n')
    add(config, 'template = "home"\nclaim_cert_file = "c"\nclaim_key_file = "k"\n')
    add(config, "erase_claim = true\n")
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    (found,) = of_credentials(known)
    assert (found.verdict, found.what) == ("FAIL", "provisioning-refused")
    assert "provisioning.claim_key_file: " in found.text
    assert "setup --claim" in found.hint
    assert not list(of_needless_key(known))
    (tmp_path / "k").touch()
    (left,) = of_needless_key(known)
    assert (left.verdict, left.what) == ("WARN", "claim")


@pytest.mark.parametrize(("ago_s", "looks"), [(1, 3), (60, 0)])
def test_an_agent_that_lost_its_connection_just_now_is_waited_for(
    config: str, tmp_path: Path, ago_s: float, looks: int
) -> None:
    """A command of a person's that proves a certificate throws it out; it comes back by itself."""
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    lost = {"code": "offline", "severity": "info", "since": time.time() - ago_s, "text": "lost"}
    slept: list[float] = []

    def report(**status: object) -> None:
        (tmp_path / "run" / "status.json").write_text(json.dumps({"queued": 3, **status}))

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == looks:
            report(state="online", conditions=[])

    report(state="offline", conditions=[lost])
    with (tmp_path / "run" / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = [one.what for one in examine(known, sleep=sleep) if one.verdict == "OK"]
    assert slept == [LOOK_S] * looks
    assert ("connection" in found) == bool(looks)


def test_an_agent_that_does_not_come_back_is_not_waited_for_long(
    config: str, tmp_path: Path
) -> None:
    """It is told as it is."""
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    (tmp_path / "run" / "status.json").write_text('{"state": "connecting", "queued": 0}')
    slept: list[float] = []
    with (tmp_path / "run" / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not [one for one in examine(known, sleep=slept.append) if one.what == "connection"]
    assert sum(slept) == RETURN_S


@pytest.mark.parametrize(("age_s", "told"), [(100.0, []), (400.0, ["as of 6 min ago"])])
def test_an_old_report_of_the_agent_is_told(
    config: str, tmp_path: Path, age_s: float, told: list[str]
) -> None:
    """The agent runs and cannot write it any more: what it says may be over."""
    known = configuration.load(Path(config), options_of=lambda _: dict, environment={})
    status = {"state": "online", "queued": 3, "conditions": [], "written": time.time() - age_s}
    (tmp_path / "run" / "status.json").write_text(json.dumps(status))
    with (tmp_path / "run" / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = [one for one in examine(known) if one.what == "agent" and "as of" in one.text]
    assert [one.verdict for one in found] == ["WARN"] * len(told)
    assert all(words in one.text for one, words in zip(found, told, strict=True))


def test_a_certificate_that_openssl_alone_reads_is_told_as_that(tmp_path: Path) -> None:
    """It is in use, so that nobody needs a new one."""
    path = tmp_path / "a.crt"
    path.write_text(
        "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n"
    )
    found = of_dates(Credentials(path, path, (), None), time.time())
    assert (found.verdict, found.what) == ("WARN", "certificate")
    assert f"openssl x509 -in {path}" in found.hint


def test_a_rule_that_cannot_begin_is_found_without_an_agent(config: str) -> None:
    """As by `check`."""
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n')
    add(config, '[[rules]]\nname = "wet"\nsensor = "room"\nquantity = "humidity_pct"\nabove = 70\n')
    known = configuration.load(Path(config), environment={}, options_of=options_of)
    told = [(one.verdict, one.text) for one in of_configuration(known) if "rules" in one.text]
    why = "room gives no humidity_pct; it gives temperature_c"
    assert told == [("WARN", f"rules: wet: {why}")]


def test_the_topics_that_the_cloud_side_can_listen_to_are_told(config: str) -> None:
    """A detector that is only counted has no readings, and a button only events."""
    add(config, '[digest]\nat = "off"\n')
    add(config, '[[sensors]]\nname = "motion"\ndriver = "gpio"\npin = 21\n')
    add(config, '[[sensors]]\nname = "bell"\ndriver = "gpio"\npin = 20\nrole = "sos"\n')
    add(config, '[[sensors]]\nname = "room"\ndriver = "simulated"\n[count]\nsensor = "motion"\n')
    known = configuration.load(Path(config), environment={}, options_of=options_of)
    told = of_topics(known)
    assert (told.verdict, told.what) == ("OK", "topics")
    assert told.text == "publishes cat/count, cat/sensors/room, cat/status, cat/events"
    usual = replace(known, digest=Digest(), sensors=(), count=replace(known.count, sensor=()))
    assert of_topics(usual).text == "publishes cat/status, cat/events, cat/digest"


def test_a_look_for_updates_that_failed_is_a_warning_at_once(tmp_path: Path) -> None:
    """One that did not is told with its age; where none are taken up nothing is."""
    assert not list(of_updates(FakeClock(), tmp_path, installer=tmp_path))
    looked = Looked(since_s=START_S, looked_s=START_S - 7200, succeeded_s=START_S - 7200)
    write(looked, tmp_path)
    (one,) = of_updates(FakeClock(), tmp_path, installer=tmp_path)
    assert (one.verdict, one.what, one.text) == ("OK", "updates", "last looked for 2 h ago")
    failed = replace(looked, succeeded_s=0.0, trouble="the key has expired", hint="get a new one")
    write(failed, tmp_path)
    (one,) = of_updates(FakeClock(), tmp_path, installer=tmp_path)
    assert (one.verdict, one.what, one.hint) == ("WARN", "updates-failing", "get a new one")
    told = "looked for 2 h ago, in vain: the key has expired; no look has succeeded yet"
    assert one.text == told


def test_updates_that_nothing_installs_are_a_warning(tmp_path: Path) -> None:
    """With what would."""
    write(Looked(since_s=START_S, looked_s=START_S, succeeded_s=START_S), tmp_path)
    looked, lacks = of_updates(FakeClock(), tmp_path, installer=tmp_path / "none")
    assert (looked.verdict, lacks.verdict) == ("OK", "WARN")
    assert "apt install unattended-upgrades" in lacks.hint


def test_a_version_on_trial_is_told(tmp_path: Path) -> None:
    """With what becomes of it, and where more stands."""
    write(Pending("0.1.0", "0.3.0", ready=True, online=True, began_s=START_S), tmp_path)
    (one,) = of_updates(FakeClock(), tmp_path)
    assert (one.verdict, one.what) == ("OK", "updates")
    assert "0.3.0 is on trial since" in one.text
    assert "pi-iot-agent-rollback" in one.hint


@pytest.mark.parametrize(
    ("went", "found"),
    [
        (KEPT, []),
        (ROLLED_BACK, [("WARN", "rolled-back")]),
        (RESTORED, [("OK", "updates")]),
        (STUCK, [("WARN", "rolled-back")]),
    ],
)
def test_an_upgrade_that_did_not_last_is_told_without_an_agent(
    tmp_path: Path, went: str, found: list[tuple[str, str]]
) -> None:
    """With its reason; one that was cut short needs nobody."""
    write(Outcome(went, "0.1.0", "99.0", "it hangs", START_S), tmp_path)
    told = list(of_updates(FakeClock(), tmp_path))
    assert [(one.verdict, one.what) for one in told] == found
    assert all("99.0" in one.text and "it hangs" in one.text for one in told)
