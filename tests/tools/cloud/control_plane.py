# ruff: noqa: ANN401  # moto has no types
"""AWS IoT's control plane: moto's HTTP server on loopback."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.config import default_user_config
from moto.iot.models import IoTBackend, iot_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.tools.cloud.application import FaultyApplication
from tests.tools.cloud.authority import NOT_AFTER, certificate_id, common_name
from tests.tools.cloud.broker import Access
from tests.tools.cloud.faults import Faults
from tests.tools.cloud.iam import Permissions
from tests.tools.cloud.policies import Grant
from tests.tools.cloud.strict_iot import StrictIot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from tests.tools.cloud.authority import Authority

ACCOUNT: str = DEFAULT_ACCOUNT_ID


#: How long a certificate of fleet provisioning waits for RegisterThing, and a temporary claim lives
#: (https://docs.aws.amazon.com/iot/latest/developerguide/fleet-provision-api.html).
OWNERSHIP_S, CLAIM_S = 3600, 300


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of a trusted user, which the account does not list: until when it is good."""

    certificate_id: str
    pem: str
    grant: Grant
    until_s: float


@dataclass(frozen=True, slots=True)
class CertificateState:
    """A certificate as the control plane has it; `policies` and `things` are names."""

    certificate_id: str
    arn: str
    status: str
    policies: tuple[str, ...]
    things: tuple[str, ...]
    pem: str


class ControlPlane:
    """The HTTP server on a free loopback port; a context manager, one at a time in a process.

    moto keeps its state in the module, so it is emptied at start and end. `on_change(access)` is
    called after each call that may have changed something, before its answer leaves.
    """

    _running = threading.Lock()

    def __init__(
        self,
        *,
        devices: Authority,
        region: str,
        endpoint: str,
        on_change: Callable[[Access], None],
    ) -> None:
        self._devices = devices
        self._region = region
        self._endpoint = endpoint
        self._on_change = on_change
        self._issued: dict[str, tuple[str, int]] = {}
        self._pending: dict[str, float] = {}
        self._claims: dict[str, Claim] = {}
        self._own: set[str] = set()
        self._lock = threading.RLock()
        self._stack = ExitStack()
        self.faults = Faults()
        self.permissions = Permissions(None, arn="")
        self.not_after = NOT_AFTER
        self.url = ""

    def __enter__(self) -> Self:
        """Start."""
        if not self._running.acquire(blocking=False):
            raise RuntimeError(
                "only one local cloud at a time in a process: moto's state is global"
            )
        with ExitStack() as stack:
            stack.callback(self._running.release)
            self._correct_moto()
            stack.callback(_restore_moto)
            self.faults.on_clock = self._on_clock
            application = FaultyApplication(
                DomainDispatcherApplication(create_backend_app),
                faults=self.faults,
                changing=self.changing,
                permissions=lambda: self.permissions,
            )
            handler = type("Handler", (_Handler,), {"faults": self.faults})
            server = make_server(
                "127.0.0.1", 0, application, threaded=True, request_handler=handler
            )
            stack.callback(server.server_close)
            self.url = f"http://127.0.0.1:{server.port}"
            thread = threading.Thread(
                target=server.serve_forever, args=(0.05,), name="cloud-http", daemon=True
            )
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            stack.callback(self.faults.stopping.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and leave moto as it was."""
        self._stack.close()

    def certificates(self) -> list[CertificateState]:
        """All certificates that have not been deleted, oldest first."""
        with self._lock:
            self._vanish()
        backend = self.backend
        attached = list(backend.principal_policies), list(backend.principal_things)
        return [
            CertificateState(
                certificate_id=each.certificate_id,
                arn=each.arn,
                status=each.status,
                policies=tuple(name for arn, name in attached[0] if arn == each.arn),
                things=tuple(name for arn, name in attached[1] if arn == each.arn),
                pem=each.certificate_pem,
            )
            for each in list(backend.certificates.values())
        ]

    @contextmanager
    def changing(self, *, changed: bool = True) -> Iterator[Any]:
        """Have moto's model of IoT for oneself; what follows for the broker is in force after."""
        with self._lock:
            self._vanish()
            try:
                yield self.backend
            finally:
                if changed:
                    self._on_change(self.access())

    def certificate_of(self, name: str) -> str:
        """The id of the certificate with this common name."""
        claim = self._claims.get(name)
        found = (one for one, (issued, _) in self._issued.items() if issued == name)
        return claim.certificate_id if claim else next(found, "")

    def is_claim(self, name: str) -> bool:
        """Whether the certificate with this common name is good for fleet provisioning alone."""
        found = self.certificate_of(name)
        return name in self._claims or any(
            policy.startswith("claim-")
            for state in self.certificates()
            if state.certificate_id == found
            for policy in state.policies
        )

    def make_pending(self, certificate: Any) -> None:
        """Have one of moto's certificates wait for RegisterThing; else it vanishes in an hour."""
        certificate.status = "PENDING_ACTIVATION"
        self._pending[certificate.certificate_id] = self.faults.now_s + OWNERSHIP_S

    def add_claim(self, pem: str, documents: Iterable[str]) -> Claim:
        """Let a certificate of the device CA in for five minutes, without listing it."""
        claim = Claim(certificate_id(pem), pem, Grant((), documents), self.faults.now_s + CLAIM_S)
        with self._lock:
            self._claims[common_name(pem)] = claim
            self._on_change(self.access())
        return claim

    def add_own(self, pem: str) -> None:
        """Know of a certificate of the owner's CA before AWS does."""
        with self._lock:
            serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
            self._issued[certificate_id(pem)] = (common_name(pem), serial)
            self._own.add(certificate_id(pem))
            self._on_change(self.access())

    def access(self) -> Access:
        """What follows for the broker."""
        backend = self.backend
        grants: dict[str, Grant] = {}
        for state in self.certificates():
            if state.status == "ACTIVE" and state.certificate_id in self._issued:
                documents = tuple(backend.policies[name].document for name in state.policies)
                grant = _grant(state.things, documents)
                if grant.may_connect_at_all():
                    grants[self._issued[state.certificate_id][0]] = grant
        pending = {
            name for name, one in backend.certificates.items() if one.status == "PENDING_ACTIVATION"
        }
        pending |= self._own - backend.certificates.keys()
        waiting = {self._issued[name][0] for name in pending & self._issued.keys()}
        refused = {
            serial
            for name, serial in self._issued.values()
            if name not in grants and name not in waiting
        }
        for name, claim in self._claims.items():
            if claim.until_s > self.faults.now_s:
                grants[name] = claim.grant
            else:
                refused.add(x509.load_pem_x509_certificate(claim.pem.encode()).serial_number)
        return Access(grants, frozenset(refused), frozenset(waiting))

    def _on_clock(self) -> None:
        with self._lock:
            if any(claim.until_s <= self.faults.now_s for claim in self._claims.values()):
                self._on_change(self.access())

    def _vanish(self) -> None:
        """Remove what waited too long, as AWS does. Nothing of it could connect."""
        now_s, certificates = self.faults.now_s, self.backend.certificates
        for name, until_s in list(self._pending.items()):
            certificate = certificates.get(name)
            if certificate is None or certificate.status != "PENDING_ACTIVATION":
                del self._pending[name]
            elif until_s <= now_s:
                del self._pending[name], certificates[name]

    def _correct_moto(self) -> None:
        values = {
            "issue": staticmethod(self._issue),
            "data_endpoint": self._endpoint,
            "faults": self.faults,
            "__module__": IoTBackend.__module__,  # moto looks for its urls beside the class
        }
        iot_backends.reset()
        iot_backends.clear()
        iot_backends.backend = type("Iot", (StrictIot,), values)
        default_user_config["iot"]["use_valid_cert"] = True  # id = SHA-256 of the DER
        logging.getLogger("werkzeug").setLevel(logging.ERROR)

    @property
    def backend(self) -> Any:
        """Moto's model of IoT; to be changed within `changing` only."""
        return iot_backends[ACCOUNT][self._region]

    def _issue(self, public_key: Any) -> str:
        pem = self._devices.issue_device(public_key, not_after=self.not_after)
        serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
        self._issued[certificate_id(pem)] = (common_name(pem), serial)
        return pem


@lru_cache(maxsize=1024)
def _grant(things: tuple[str, ...], documents: tuple[str, ...]) -> Grant:
    return Grant(things, documents)


def _restore_moto() -> None:
    iot_backends.reset()
    iot_backends.clear()
    iot_backends.backend = IoTBackend
    default_user_config["iot"]["use_valid_cert"] = False


class _Handler(WSGIRequestHandler):
    """Says nothing, and takes a connection that we have reset for ended."""

    faults: Faults

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The time that AWS's clock shows, for the header Date."""
        del timestamp
        return super().date_time_string(self.faults.now_s)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """No access log: Faults has the record."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Nothing more to read from it."""
        del error, environ
        self.close_connection = True
