"""The WSGI application before moto's: names each call, and applies faults to it."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import botocore.session

from tests.tools.cloud.faults import ACCESS_DENIED, OPERATOR, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from tests.tools.cloud.faults import Fault, Faults
    from tests.tools.cloud.iam import Permissions


class FaultyApplication:
    """Names the operation, applies faults, has the record kept.

    Each call's effect takes place within `changing()`, and its answer leaves after that;
    `permissions()` say which calls are allowed.
    """

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        *,
        faults: Faults,
        changing: Callable[..., AbstractContextManager[object]],
        permissions: Callable[[], Permissions],
    ) -> None:
        self._application = application
        self._faults = faults
        self._changing = changing
        self._permissions = permissions
        self._operations = _iot_operations()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """One call (PEP 3333)."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        access_key, service = _credential(environ.get("HTTP_AUTHORIZATION", ""))
        operation, parameters = self._operation(environ, service, body)
        if operation == "DescribeEndpoint" and not environ.get("QUERY_STRING"):
            environ["QUERY_STRING"] = "endpointType=iot:Data"  # AWS's default; moto has -ATS
        if access_key == OPERATOR or not operation:
            return self._pass_on(environ, start_response)
        path = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        begun = self._faults.begin(Sent(operation, path, body), access_key)
        fault = begun.fault
        refusal = self._permissions().refusal(operation, parameters)
        if refusal:
            fault = replace(ACCESS_DENIED, text=refusal)
        self._faults.stopping.wait(fault.hang_s)
        if fault.reset and not fault.after_effect:
            self._faults.end(begun, 0, "reset")
            raise _reset(environ["werkzeug.socket"])
        if fault.status:
            answer, kind = _error(fault, operation, service)
            self._faults.end(begun, fault.status, fault.code)
            start_response(
                f"{fault.status} Fault",
                [
                    ("Content-Type", kind),
                    ("x-amzn-ErrorType", fault.code),
                    ("Content-Length", str(len(answer))),
                ],
            )
            return [answer]
        started: list[Any] = []
        chunks = self._pass_on(environ, lambda *arguments: started.extend(arguments[:2]))
        code = "lost" if fault.reset else dict(started[1]).get("x-amzn-ErrorType", "")
        self._faults.end(begun, int(started[0].split()[0]), code.split(":")[0])
        if fault.reset:
            raise _reset(environ["werkzeug.socket"])
        start_response(*started)
        return chunks

    def _pass_on(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self._changing(changed=environ["REQUEST_METHOD"] != "GET"):
            return list(self._application(environ, start_response))

    def _operation(
        self, environ: dict[str, Any], service: str, body: bytes
    ) -> tuple[str, dict[str, str]]:
        """boto3's name for a call ("" if unknown), and its parameters that are text."""
        if service == "sts":
            return parse_qs(body.decode()).get("Action", [""])[0], {}
        if service not in {"iot", "execute-api"}:  # the latter by botocore before 1.31
            return "", {}
        for method, pattern, name in self._operations:
            found = pattern.fullmatch(environ["PATH_INFO"])
            if found and method == environ["REQUEST_METHOD"]:
                return name, _parameters(environ, body) | found.groupdict()
        return "", {}


def _iot_operations() -> list[tuple[str, re.Pattern[str], str]]:
    """Method and path of each operation, as botocore's service model has them."""
    model = botocore.session.get_session().get_service_model("iot")
    found: list[tuple[str, re.Pattern[str], str]] = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = re.escape(http["requestUri"]).replace(
            r"\{target\}", "(?P<target>.+)"
        )  # an ARN, which has slashes
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", path)
        found.append((http["method"], re.compile(path), name))
    # Those with fewer variables first: /certificates/{id} also fits /certificates/pending.
    return sorted(found, key=lambda each: each[1].pattern.count("[^/]+"))


def _parameters(environ: dict[str, Any], body: bytes) -> dict[str, str]:
    """Those in body and headers."""
    with suppress(ValueError):
        content = json.loads(body)
        found = {name: each for name, each in content.items() if isinstance(each, str)}
        found["principal"] = environ.get("HTTP_X_AMZN_PRINCIPAL", "")
        return found
    return {"principal": environ.get("HTTP_X_AMZN_PRINCIPAL", "")}


def _credential(authorization: str) -> tuple[str, str]:
    """The access key and the service of a signature (SigV4)."""
    found = re.search(r"Credential=([^/,]+)/[^/]+/[^/]+/([^/]+)/", authorization)
    return (found[1], found[2]) if found else ("", "")


def _error(fault: Fault, operation: str, service: str) -> tuple[bytes, str]:
    text = fault.text or (
        f"User: arn:aws:iam::123456789012:user/local is not authorized to perform: "
        f"{service}:{operation} because no identity-based policy allows the "
        f"{service}:{operation} action"
    )
    if service == "sts":
        sort = "Sender" if fault.status < 500 else "Receiver"
        answer = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
            f"<Type>{sort}</Type><Code>{fault.sts_code}</Code><Message>{escape(text)}</Message>"
            "</Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        )
        return answer.encode(), "text/xml"
    return json.dumps({"message": text}).encode(), "application/json"


def _reset(connection: socket.socket) -> ConnectionError:
    """Close with RST at once, whatever still refers to the socket."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
    return ConnectionResetError("on demand")
