"""Program `python3 -m tests.cloud`: the local AWS IoT Core for a person at a terminal."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.tools.cloud.local_aws import LocalAws
from tests.tools.cloud.mosquitto import CloudError

WIDTH = 200
POLL_S = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Run until --for is over or a signal comes; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.cloud",
        description="A local AWS IoT Core: register a device here, and see its messages arrive.",
    )
    parser.add_argument("--for", type=float, metavar="SECONDS", dest="seconds", help="then stop")
    parser.add_argument(
        "--directory", type=Path, help="keep all files here (default: a temporary one, removed)"
    )
    parser.add_argument(
        "--claim",
        action="store_true",
        help="have the device come by a fleet's claim certificate instead of an AWS key",
    )
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    directory = options.directory or Path(tempfile.mkdtemp(prefix="local-aws-"))
    try:
        _serve(directory.resolve(), stop, seconds=options.seconds, claim=options.claim)
    except CloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if options.directory is None:
            shutil.rmtree(directory, ignore_errors=True)
    print("Stopped.")
    return 0


def _serve(directory: Path, stop: threading.Event, *, seconds: float | None, claim: bool) -> None:
    with LocalAws(directory) as aws:
        toml = directory / "agent.toml"
        toml.write_text(_claim_toml(aws, directory) if claim else aws.agent_toml(directory))
        print(f"A local AWS IoT Core is running.\n\nPut this in agent.toml (it is in {toml}):\n")
        print(toml.read_text())
        if not claim:
            print(f"The AWS credentials file that it names: {aws.credentials_file}")
        print(f"\nTo run an agent against it:\n  python3 -m agent run --config {toml}\n")
        print("Messages as they arrive (Ctrl-C ends):", flush=True)
        deadline_s = float("inf") if seconds is None else time.monotonic() + seconds
        shown = 0
        while not stop.wait(POLL_S) and time.monotonic() < deadline_s:
            messages = aws.observer.messages()
            for message in messages[shown:]:
                at = time.strftime("%H:%M:%S", time.localtime(message.time_s))
                text = message.payload.decode(errors="replace")[:WIDTH]
                print(f"{at}  {message.topic}  {text}", flush=True)
            shown = len(messages)


def _claim_toml(aws: LocalAws, directory: Path) -> str:
    """For a device that a template names after its serial number, `[provisioning.parameters]`."""
    aws.fleet.create_template("home")
    certificate_file, key_file = aws.fleet.claim(directory / "claim")
    provisioning = {
        "credentials_file": None,
        "method": "claim",
        "template": "home",
        "claim_cert_file": str(certificate_file),
        "claim_key_file": str(key_file),
    }
    text = aws.agent_toml(directory, provisioning=provisioning, mqtt={"endpoint": aws.endpoint})
    return f'{text}\n[provisioning.parameters]\nSerialNumber = "local-1"\n'


if __name__ == "__main__":
    sys.exit(main())
