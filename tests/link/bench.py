"""A case, and what it gets: brokers and devices that end with it."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.link import wire
from tests.link.broker import Broker
from tests.link.certificates import Certificates
from tests.link.device import Device

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from pathlib import Path

PROTOCOLS = ("5", "3.1.1")
PASS = "pass"
NOT_APPLICABLE = "n/a"
SKIPPED = "skipped"


class NotApplicableError(Exception):
    """The case has no meaning with this protocol or for this agent; the text says why."""


class NotHereError(Exception):
    """The case cannot run on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One behaviour; `mirrors` is the Device Advisor test with the same criteria, if any."""

    name: str
    mirrors: str
    run: Callable[[Bench], None]
    long: bool
    busy: bool


CASES: list[Case] = []


def case(
    name: str, *, mirrors: str = "", long: bool = False, busy: bool = False
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a function as a case; `long` ones are started first.

    Those that keep a processor `busy` run before the others, one by one: what they take is theirs.
    """

    def register(run: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CASES.append(Case(name, mirrors, run, long, busy))
        return run

    return register


class Bench:
    """Where one case runs with one protocol."""

    def __init__(self, directory: Path, protocol: str, stack: ExitStack) -> None:
        self.directory = directory
        self.protocol = protocol
        self.five = protocol == "5"
        self.certificates = Certificates(directory)
        self._stack = stack

    def broker(
        self, tls: ssl.SSLContext | None = None, *, listener: socket.socket | None = None
    ) -> Broker:
        """A broker that serves; `tls` is a sound context if not given."""
        broker = Broker(tls or self.certificates.context(), listener=listener)
        return self._stack.enter_context(broker)

    def device(self, port: int, **options: Any) -> Device:  # noqa: ANN401 -- as Device takes them
        """A device that runs and connects to `port`."""
        device = Device(
            self.directory, self.certificates.device, port=port, protocol=self.protocol, **options
        )
        return self._stack.enter_context(device)

    def online(self, **options: float) -> tuple[Broker, Device]:
        """A good broker and a device that is connected to it, has subscribed, and said so."""
        broker = self.broker()
        device = self.device(broker.port, **options)
        device.wait_online()
        broker.until(lambda: any(broker.sessions.values()))
        broker.wait(wire.PUBLISH, topic="/status")
        return broker, device

    def only_five(self, why: str) -> None:
        """Leave out the case under MQTT 3.1.1."""
        if not self.five:
            raise NotApplicableError(why)


def verdict(one: Case, directory: Path, protocol: str) -> str:
    """Run a case: `pass`, why it does not apply or run here, or what failed, with the place."""
    directory.mkdir()
    try:
        with ExitStack() as stack:
            one.run(Bench(directory, protocol, stack))
    except NotApplicableError as reason:
        return f"{NOT_APPLICABLE}: {reason}"
    except NotHereError as reason:
        return f"{SKIPPED}: {reason}"
    except Exception:  # noqa: BLE001 -- the runner goes on and tells
        return "FAIL\n" + traceback.format_exc()
    return PASS
