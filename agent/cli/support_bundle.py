"""Support archive: what a helper needs to see of this device, without what nobody should see.

The service's user puts it together and redacts it; the caller adds the journal, and writes it with
its own rights. See docs/decisions/0031-support-bundle.md.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from agent import __version__, account, files
from agent.cli.dossier import encoded
from agent.cli.evidence import MISSING
from agent.cli.new_file import STDOUT, check_free, pour, save
from agent.cli.output import PROGRAM
from agent.cli.questions import UsageError
from agent.cli.redaction import SERIAL, kinds
from agent.cli.service import ask_service
from agent.errors import EXIT_OK, AgentError
from agent.model import KIB, MIB
from agent.programs import public

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

#: Directory in the archive, and its first file.
DIRECTORY = "pi-iot-agent-support"
MANIFEST = "MANIFEST.txt"

#: What is taken of the journal.
JOURNAL = [
    *("/usr/bin/journalctl", f"--unit={account.UNIT}", f"--unit={account.NAME}-rollback.service"),
    *("--lines=2000", "--no-pager", "--quiet", "--output=short-iso"),
]
JOURNAL_S = 20.0

#: Most that the service's user may give, in characters and in parts.
LONGEST = 8 * MIB
MOST_PARTS = 40
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")

ABOUT = """\
Support archive of pi-iot-agent {version}, made {made}.

What was taken out is shown as [redacted: kind], and is counted below. Still in it: the names of
host and thing, account number, endpoint, network addresses, and paths. Look at it before you send
it to anybody.
{serial}
"""


def write(arguments: argparse.Namespace) -> int:
    """Write the archive to the file that is named; the findings in it are no failure of that.

    Raises AgentError; then there is no file.
    """
    target = str(arguments.bundle)
    if target == STDOUT:
        if sys.stdout.isatty():
            raise UsageError("an archive is not for a terminal", hint="name a file, or use a pipe")
    else:
        check_free(target, "--bundle")
    print(f"{PROGRAM}: collecting, which may take a minute", file=sys.stderr, flush=True)
    seen = journal()
    told = ask_service(lambda: encoded(arguments, seen), longest=LONGEST)
    parts = decoded(told)
    data = archive(parts, time.time(), with_serial=arguments.with_serial)
    if target == STDOUT:
        pour(data, sys.stdout.fileno())
        return EXIT_OK
    save(Path(target), data)
    print(f"{target}: {len(parts) + 1} files, {len(data) // KIB + 1} KiB, for this user to read.")
    print(f"Look at it before you send it: tar -xOzf {target} | less")
    return EXIT_OK


def journal(command: list[str] = JOURNAL) -> str:
    """The last lines of the unit's journal that this user may read, or why there are none."""
    try:
        found = subprocess.run(
            command,
            capture_output=True,
            timeout=JOURNAL_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=public(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{MISSING}{getattr(error, 'strerror', None) or 'it took too long'}\n"
    text = found.stdout[-LONGEST // 4 :].decode("utf-8", "replace")
    said = found.stderr.decode("utf-8", "replace").strip()
    if text.strip():
        return text
    why = said or "it has no line of the unit, or none that this user may see"
    return f"{MISSING}{why}; see `sudo journalctl -u {PROGRAM}`\n"


def decoded(told: str) -> dict[str, str]:
    """The parts that the service's user has told; taken as anybody's word. Raises AgentError."""
    try:
        found = json.loads(told)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or len(found) > MOST_PARTS:
        raise AgentError("what was collected cannot be used", hint="report this as a fault")
    return {
        name: text for name, text in found.items() if NAME.fullmatch(name) and isinstance(text, str)
    }


def archive(parts: Mapping[str, str], now_s: float, *, with_serial: bool) -> bytes:
    """The archive, with a manifest first: a tar file, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {
            MANIFEST: manifest(parts, now_s, with_serial=with_serial),
            **parts,
        }.items():
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"{DIRECTORY}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(now_s), files.PRIVATE_FILE
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def manifest(parts: Mapping[str, str], now_s: float, *, with_serial: bool) -> str:
    """Manifest: the parts of the archive, and those that it lacks, with the reason."""
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    serial = f"The {SERIAL} was asked for, and is in it." if with_serial else ""
    lines = [ABOUT.format(version=__version__, made=made, serial=serial).strip(), ""]
    for name, text in parts.items():
        missing = text.strip() if text.startswith(MISSING) else f"{len(text)} characters"
        lines.append(f"{name}: {missing}")
    lines += ["", "Taken out:"]
    lines += [f"  {kind}: {number}" for kind, number in kinds(parts.values()).items()] or [
        "  nothing"
    ]
    return "\n".join(lines) + "\n"
