"""The first connection of a certificate that the owner's CA has signed is understood."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.config import StoreLimits
from agent.errors import LinkLostError
from agent.facts import Facts
from agent.identity import Credentials, Identity
from agent.identity.credentials import Files
from agent.mqtt.answers import UnansweredError
from agent.net import CertificateRefusedError
from agent.store import Store
from agent.uplink.admission import Admission
from agent.uplink.birth import Birth
from agent.uplink.diagnosis import AT_FIRST, NEVER, OURS, REGISTERED_WITHIN_S, cause_of
from agent.uplink.uplink import Uplink
from agent.uplink.waits import Backoff
from agent.value import replace
from tests.fakes import Ticks
from tests.unit.uplink.broker import Broker, BrokerConnection
from tests.unit.uplink.conftest import NAME, Device, write_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.mqtt import Connection
    from agent.wakeup import Wakeup

HOST = "localhost"
TURNED_AWAY = UnansweredError("ended", hint="x")


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory."""
    with Store(StoreLimits(), memory_only="a test") as store:
        yield store


@pytest.fixture
def own(tmp_path: Path) -> Credentials:
    """A certificate of the owner's."""
    write_identity(tmp_path)
    files = Files(tmp_path / NAME, NAME)
    return Credentials(files.certificate, files.key, (), None)


def issued_by(unit: str) -> bytes:
    """A certificate whose issuer has this OU."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("lost", [TURNED_AWAY, CertificateRefusedError("unknown ca")])
def test_it_is_known_for_how_long_a_new_certificate_is_turned_away(
    own: Credentials, store: Store, lost: LinkLostError
) -> None:
    """From the first time on; until it was let in, which the next process knows too."""
    ticks = Ticks()
    admission = Admission(store, monotonic_s=ticks)
    assert admission.withheld_s(LinkLostError("no network"), own, HOST) is None
    assert admission.withheld_s(lost, own, HOST) == 0
    ticks.now_s += 5
    assert admission.withheld_s(lost, own, HOST) == 5
    admission.granted(own, HOST)
    assert admission.withheld_s(lost, own, HOST) is None
    assert Admission(store).withheld_s(lost, own, HOST) is None
    assert Admission(store).withheld_s(lost, own, "elsewhere") == pytest.approx(0, abs=1)


def test_another_certificate_is_new_again(own: Credentials, store: Store, tmp_path: Path) -> None:
    """The owner has replaced the file."""
    admission = Admission(store, monotonic_s=Ticks())
    admission.granted(own, HOST)
    write_identity(tmp_path, "other")
    own.certificate.write_bytes(Files(tmp_path / "other", "other").certificate.read_bytes())
    assert admission.withheld_s(TURNED_AWAY, own, HOST) == 0


def test_a_certificate_that_was_registered_is_none_of_these(own: Credentials, store: Store) -> None:
    """Nor is one that AWS has made, as its issuer says, or a file that cannot be read any more."""
    admission = Admission(store, monotonic_s=Ticks())
    identity = Identity(NAME, "1", "x", HOST, "arn", "id", "policy", 1795500600)
    assert admission.withheld_s(TURNED_AWAY, replace(own, identity=identity), HOST) is None
    own.certificate.write_bytes(issued_by("Amazon Web Services O=Amazon.com Inc. L=Seattle"))
    assert admission.withheld_s(TURNED_AWAY, own, HOST) is None
    own.certificate.write_bytes(issued_by("A workshop"))
    assert admission.withheld_s(TURNED_AWAY, own, HOST) == 0
    own.certificate.write_text("spoiled")
    assert admission.withheld_s(TURNED_AWAY, own, HOST) is None


def test_the_words_change_once_it_should_have_been_registered() -> None:
    """At first nothing is to be done; then it is told what to look at."""
    early = cause_of(TURNED_AWAY, identity=None, wall_s=0, withheld_s=0.0)
    assert early.condition is None
    assert early.hint == f"{AT_FIRST}: it is tried again within seconds"
    late = cause_of(TURNED_AWAY, identity=None, wall_s=0, withheld_s=REGISTERED_WITHIN_S)
    assert late.hint == NEVER
    refused = CertificateRefusedError("revoked", hint="run `pi-iot-agent provision`")
    assert cause_of(refused, identity=None, wall_s=0).hint == OURS


class TurningAway(BrokerConnection):
    """A connection that AWS drops because it has yet to register the certificate."""

    def open(self) -> NoReturn:
        """End instead of answering."""
        self.asked = True
        raise TURNED_AWAY


def test_it_is_tried_again_soon_though_the_network_was_away_for_long(
    device: Device, store: Store
) -> None:
    """The waits begin anew, once; what came before has made them long."""
    write_identity(device.certs)
    files = Files(device.certs / NAME, NAME)
    mqtt = replace(
        device.config.mqtt, cert_file=files.certificate, key_file=files.key, endpoint=HOST
    )
    ticks = Ticks()
    broker = Broker(ticks)
    caps: list[float] = []

    def cap(_low_s: float, cap_s: float) -> float:
        caps.append(cap_s)
        return cap_s

    def connection(
        *given: object,
        wakeup: Wakeup,
        on_message: Callable[[str, bytes], None],
        **named: object,
    ) -> Connection:
        if len(caps) in (5, 6, 7):
            return TurningAway(broker, wakeup, on_message)  # type: ignore[return-value]
        return broker.connection(*given, wakeup=wakeup, on_message=on_message, **named)

    uplink = Uplink(
        replace(device.config, mqtt=mqtt),
        store,
        birth=Birth("first start", None, device.clock.now()),
        facts=Facts(device.config, store, clock=device.clock, health=device.health),
        health=device.health,
        clock=device.clock,
        wakeup=device.waits.wakeup,
        open_connection=connection,
        waits=device.waits,
        monotonic_s=ticks,
    )
    device.waits.meanwhile = lambda _: setattr(
        ticks, "now_s", ticks.now_s + device.waits.noted_s[-1]
    )
    uplink._backoff = Backoff(1.0, 120.0, uniform=cap)
    broker.down = True
    for _ in range(8):
        uplink.step()
        hint = device.conditions()["offline"]
        assert (AT_FIRST in hint) == (len(caps) in (6, 7, 8))
    assert caps == [2.0, 4.0, 8.0, 16.0, 32.0, 2.0, 4.0, 8.0]
    assert store.recall("admitted") == ""
    broker.down = False
    broker.ends_in = 1
    uplink.step()
    assert store.recall("admitted").endswith(f" {HOST}")
