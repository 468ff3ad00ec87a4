# ruff: noqa: ANN401  # moto has no types
"""AWS IoT's control plane: moto's HTTP server on loopback."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.config import default_user_config
from moto.iot.models import IoTBackend, iot_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.tools.cloud.application import FaultyApplication
from tests.tools.cloud.authority import certificate_id, common_name
from tests.tools.cloud.broker import Access
from tests.tools.cloud.faults import Faults
from tests.tools.cloud.policies import Grant
from tests.tools.cloud.strict_iot import StrictIot

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.tools.cloud.authority import Authority

ACCOUNT: str = DEFAULT_ACCOUNT_ID


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
        self._stack = ExitStack()
        self.faults = Faults()
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
            application = FaultyApplication(
                DomainDispatcherApplication(create_backend_app),
                faults=self.faults,
                effect=lambda: self._on_change(self.access()),
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
        backend = self._backend()
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

    def access(self) -> Access:
        """What follows for the broker."""
        backend = self._backend()
        grants: dict[str, Grant] = {}
        for state in self.certificates():
            if state.status == "ACTIVE" and state.certificate_id in self._issued:
                documents = [backend.policies[name].document for name in state.policies]
                grant = Grant(state.things, documents)
                if grant.may_connect_at_all():
                    grants[self._issued[state.certificate_id][0]] = grant
        refused = frozenset(serial for name, serial in self._issued.values() if name not in grants)
        return Access(grants, refused)

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

    def _backend(self) -> Any:
        return iot_backends[ACCOUNT][self._region]

    def _issue(self, public_key: Any) -> str:
        pem = self._devices.issue_device(public_key)
        serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
        self._issued[certificate_id(pem)] = (common_name(pem), serial)
        return pem


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
        return super().date_time_string(time.time() + self.faults.ahead_s)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """No access log: Faults has the record."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Nothing more to read from it."""
        del error, environ
        self.close_connection = True
