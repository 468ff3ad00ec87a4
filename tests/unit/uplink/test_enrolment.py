"""Credentials come from the disk, else from a child, which is tried again with the backoff."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from agent import files
from agent.errors import EXIT_REFUSED, EXIT_TEMPORARY, StoppingError
from agent.health.progress import Progress
from agent.uplink.clock_watch import ClockWatch
from agent.uplink.enrolment import Enrolment
from agent.uplink.registration import REFUSED_RETRY_S
from agent.uplink.waits import Backoff
from agent.value import replace
from tests.unit.uplink.conftest import NAME, Device, Script, write_identity

BACKOFF_S = 7.0

REFUSED = Progress("thing", "AWS refuses iot:CreateThing", "provisioning-refused", "grant it")
FAILING = Progress("thing", "AWS is not reached", "provisioning-failing", "check the network")
DONE = Progress("ready", "ready")


def enrolment(device: Device, *, serial: str | None = "b1") -> Enrolment:
    """The enrolment of a device, on the board b1; each backoff takes as long."""
    return Enrolment(
        device.config,
        serial=serial,
        health=device.health,
        waits=device.waits,
        backoff=Backoff(BACKOFF_S, BACKOFF_S),
        clock_watch=ClockWatch(device.clock, health=device.health, waits=device.waits),
        start=device.children,
    )


def give_up_after(device: Device, waited_s: float) -> None:
    """Have SIGTERM come once so long has been waited."""

    def stop(so_far_s: float) -> None:
        if so_far_s >= waited_s:
            raise StoppingError

    device.waits.meanwhile = stop


def test_a_registration_that_succeeds_waits_for_nothing(device: Device) -> None:
    """And leaves no condition."""
    device.children.scripts = [Script([DONE], 0, lambda: write_identity(device.certs))]
    found = enrolment(device).credentials()
    assert found.identity
    assert (device.waits.noted_s, device.conditions()) == ([], {})


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [
        (Script([FAILING], EXIT_TEMPORARY), "provisioning-failing", "AWS is not reached"),
        (Script([DONE], 0), "provisioning-failing", "exit code 0, and still"),
        (Script([], 0), "provisioning-failing", "exit code 0, and still"),
        (Script([], 1), "provisioning-failing", "exit code 1"),
        (Script([], EXIT_TEMPORARY), "provisioning-failing", "exit code 75"),
        (Script([], EXIT_REFUSED), "provisioning-failing", "exit code 77"),
        (Script([FAILING, DONE], EXIT_TEMPORARY), "provisioning-failing", "exit code 75"),
        (Script([FAILING], -9), "provisioning-failing", "SIGKILL (memory may have run out"),
        (Script([DONE], -15), "provisioning-failing", "SIGTERM"),
    ],
)
def test_every_end_is_told_and_waits_with_the_backoff(
    device: Device, script: Script, code: str, text: str
) -> None:
    """A hundred seconds see no more children than waits of the backoff."""
    device.children.scripts = [script]
    give_up_after(device, 100)
    with pytest.raises(StoppingError):
        enrolment(device).credentials()
    assert len(device.children.started) == 100 // BACKOFF_S + 1
    assert text in device.conditions()[code]


def test_a_silent_end_is_said_once(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    """Not at every try."""
    device.children.scripts = [Script([], -9)]
    give_up_after(device, 100)
    with pytest.raises(StoppingError):
        enrolment(device).credentials()
    assert len([record for record in caplog.messages if "SIGKILL" in record]) == 1


def test_a_child_that_cannot_be_started_is_waited_for(device: Device) -> None:
    """The process goes on: it is only memory that is short."""

    def start(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    give_up_after(device, BACKOFF_S)
    made = enrolment(device)
    made._start = start  # type: ignore[assignment]
    with pytest.raises(StoppingError):
        made.credentials()
    assert "Cannot allocate memory" in device.conditions()["provisioning-failing"]


class TestRefusal:
    """A refusal waits for a person."""

    def test_it_is_tried_again_every_five_minutes(self, device: Device) -> None:
        """Not with the backoff."""
        device.children.scripts = [Script([REFUSED], EXIT_REFUSED)]
        give_up_after(device, REFUSED_RETRY_S * 3)
        with pytest.raises(StoppingError):
            enrolment(device).credentials()
        assert len(device.children.started) == 3
        assert "iot:CreateThing" in device.conditions()["provisioning-refused"]

    def test_a_new_key_or_a_clock_that_steps_ends_the_wait(self, device: Device) -> None:
        """Within seconds."""
        device.children.scripts = [
            Script([REFUSED], EXIT_REFUSED),
            Script([REFUSED], EXIT_REFUSED),
            Script([DONE], 0, lambda: write_identity(device.certs)),
        ]

        def meanwhile(so_far_s: float) -> None:
            if so_far_s == 20:
                device.key.write_text("a key")
            elif so_far_s == 60:
                device.clock.jump(9)

        device.waits.meanwhile = meanwhile
        enrolment(device).credentials()
        assert sum(device.waits.noted_s) == 60

    def test_a_wish_to_try_again_while_the_child_ends_counts(self, device: Device) -> None:
        """It came after the refusal was told, when the child itself tries no more."""
        device.children.scripts = [
            Script([DONE, REFUSED], EXIT_REFUSED, device.waits.retry),
            Script([DONE], 0, lambda: write_identity(device.certs)),
        ]
        enrolment(device).credentials()
        assert device.waits.noted_s == []

    def test_a_wish_that_the_child_has_heard_counts_once(self, device: Device) -> None:
        """It went on after that; what it then meets waits as ever."""
        device.children.scripts = [
            Script([DONE, DONE, REFUSED], EXIT_REFUSED),
            Script([DONE], 0, lambda: write_identity(device.certs)),
        ]
        device.waits.retry()
        enrolment(device).credentials()
        assert sum(device.waits.noted_s) == REFUSED_RETRY_S

    def test_a_key_that_came_while_the_child_ran_counts(self, device: Device) -> None:
        """It had read the old one."""
        device.children.scripts = [
            Script([REFUSED], EXIT_REFUSED, device.key.touch),
            Script([DONE], 0, lambda: write_identity(device.certs)),
        ]
        enrolment(device).credentials()
        assert sum(device.waits.noted_s) == 5


def test_a_clock_that_is_set_ends_the_childs_own_wait(device: Device) -> None:
    """It has signed at a wrong time, and waits to try again."""

    def set_clock() -> None:
        device.clock.was_set = True

    script = Script([FAILING, DONE], 0, lambda: write_identity(device.certs), set_clock)
    device.children.scripts = [script]
    device.clock.was_set = False
    enrolment(device).credentials()
    assert device.children.started[0].retries == 1


def test_an_unset_clock_is_waited_for_before_anything_is_signed(device: Device) -> None:
    """For two minutes, and then it is tried all the same."""
    device.clock.was_set = False
    device.children.scripts = [Script([DONE], 0, lambda: write_identity(device.certs))]
    device.waits.meanwhile = lambda _: _assert_none_started(device)
    enrolment(device).credentials()
    assert sum(device.waits.noted_s) == 120


def _assert_none_started(device: Device) -> None:
    assert not device.children.started


def test_a_spoiled_ca_file_is_no_reason_to_register(device: Device) -> None:
    """It is told by itself; once it is mended all goes on."""
    write_identity(device.certs)
    ca_file = device.certs / "ca.pem"
    device.config = replace(device.config, mqtt=replace(device.config.mqtt, ca_file=ca_file))

    def mend(so_far_s: float) -> None:
        assert device.conditions().keys() == {"ca-file-invalid"}
        if so_far_s > 30:
            ca_file.write_bytes((device.certs / NAME / "AmazonRootCA1.pem").read_bytes())

    device.waits.meanwhile = mend
    enrolment(device).credentials()
    assert not device.children.started
    assert set(device.waits.noted_s) == {BACKOFF_S}
    assert device.conditions() == {}


@pytest.mark.parametrize("registered", [False, True])
def test_a_registration_by_hand_is_waited_for(device: Device, registered: bool) -> None:  # noqa: FBT001
    """Without a condition; then the daemon goes on from what is on the disk."""
    device.certs.mkdir()
    if registered:
        write_identity(device.certs)
    with ExitStack() as person:
        person.enter_context(files.lock(device.certs / ".by-hand", "a person"))

        def finish(so_far_s: float) -> None:
            assert device.conditions() == {}
            assert "by hand" in str(device.health.snapshot().facts["progress"])
            if so_far_s > 10:
                if not registered:
                    write_identity(device.certs)
                person.close()

        device.waits.meanwhile = finish
        enrolment(device).credentials()
    assert set(device.waits.noted_s) == {2.0}
    assert not device.children.started
    assert device.health.snapshot().facts["progress"] == ""


def test_what_has_connected_before_waits_for_no_person(device: Device) -> None:
    """A command that somebody left open keeps no device from the network."""
    write_identity(device.certs)
    made = enrolment(device)
    made.connected(made.credentials())
    with files.lock(device.certs / ".by-hand", "a person"):
        made.credentials()
    assert device.waits.noted_s == []


@pytest.mark.parametrize(
    ("made_on", "here", "told"),
    [("b1", "b2", True), ("b1", "b1", False), ("", "b1", False), ("b1", None, False)],
)
def test_the_identity_of_another_board_is_told_and_used(
    device: Device,
    made_on: str,
    here: str | None,
    told: bool,  # noqa: FBT001
) -> None:
    """Both boards by their numbers."""
    write_identity(device.certs, serial=made_on)
    enrolment(device, serial=here).credentials()
    assert device.conditions().keys() == ({"identity-copied"} if told else set())
    if told:
        assert "board b1, this is the board b2" in device.conditions()["identity-copied"]


def test_a_key_that_others_could_read_is_closed_and_told(device: Device) -> None:
    """It stands until the process ends: what was read was read."""
    write_identity(device.certs)
    key = device.certs / NAME / f"{NAME}-private.pem.key"
    key.chmod(0o644)
    made = enrolment(device)
    made.credentials()
    made.credentials()
    assert key.stat().st_mode & 0o777 == 0o600
    assert str(key) in device.conditions()["config-warning"]
