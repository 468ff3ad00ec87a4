"""Units of systemd as they may be shown: directives that can hold no secret, and no remarks."""

from __future__ import annotations

import re
import shlex

from agent.cli.harmless import HIDDEN, NAME, Shown, variable, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Directives whose values are choices, numbers, names of units and users, paths and devices
#: (systemd.exec(5), systemd.service(5), systemd.unit(5), systemd.resource-control(5)).
DIRECTIVES = re.compile(
    r"""After|Before|Wants|Requires|Requisite|BindsTo|PartOf|Conflicts|DefaultDependencies
    |WantedBy|RequiredBy|Alias|Also|RequiresMountsFor|(Condition|Assert)(Path|File|Directory)\w*
    |Type|NotifyAccess|Restart\w*|Timeout\w*|WatchdogSec|StartLimit\w+|SuccessExitStatus|Kill\w+
    |OOM\w+|RemainAfterExit|User|Group|SupplementaryGroups|DynamicUser|UMask|Nice|Slice|Delegate
    |(State|Runtime|Cache|Logs|Configuration)Directory\w*|WorkingDirectory|RootDirectory
    |(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec|BindReadOnly|Bind)Paths|TemporaryFileSystem
    |Protect\w+|Private\w+|Restrict\w+|ProcSubset|LockPersonality|NoNewPrivileges|RemoveIPC
    |MemoryDenyWriteExecute|KeyringMode|CapabilityBoundingSet|AmbientCapabilities|SystemCall\w+
    |(Memory|CPU|IO|Tasks|Limit)\w+|Device(Allow|Policy)|IPAddress(Allow|Deny)
    |SocketBind(Allow|Deny)|Standard(Input|Output|Error)|SyslogIdentifier|Log(LevelMax|RateLimit\w+)
    |EnvironmentFile|PassEnvironment|UnsetEnvironment|LoadCredential(Encrypted)?""",
    re.VERBOSE,
)
DIRECTIVE = re.compile(r"[\w@:./~+,| %*-]{0,1000}", re.ASCII)

#: What a person has written for persons; it is hidden, but nothing to look for elsewhere.
PROSE = {"Description", "Documentation"}

SECTION = re.compile(r"\[[\w-]{1,64}\]", re.ASCII)
PROGRAM = re.compile(r"[-@:+!|]{0,3}[\w./+-]{1,255}", re.ASCII)


def unit(text: str) -> Shown:
    """A unit of systemd, or a drop-in of one."""
    kept: list[str] = []
    shown = "\n".join(_line(line, kept) for line in _lines(text))
    return Shown(f"{shown}\n", words(kept))


def _lines(text: str) -> Iterator[str]:
    """The lines, those that go on joined, as systemd has them: remarks in between count nothing."""
    begun = ""
    for line in re.split(r"\r\n?|\n", text):
        plain = line.strip()
        if plain.startswith(("#", ";")) or not (plain or begun):
            continue
        if plain.endswith("\\"):
            begun += f"{plain[:-1]} "
            continue
        yield (begun + plain).strip()
        begun = ""
    if begun:
        yield begun.strip()


def _line(line: str, kept: list[str]) -> str:
    name, equals, value = (part.strip() for part in line.partition("="))
    if SECTION.fullmatch(line):
        return line
    if not equals or not NAME.fullmatch(name):
        kept.append(line)
        return HIDDEN
    if name == "Environment":
        return f"{name}={' '.join(_variables(value, kept))}"
    if re.fullmatch(r"Exec\w+", name) and name != "ExecPaths":
        return f"{name}={_command(value, kept)}"
    if not value or (DIRECTIVES.fullmatch(name) and DIRECTIVE.fullmatch(value)):
        return f"{name}={value}"
    if name not in PROSE:
        kept.append(value)
    return f"{name}={HIDDEN}"


def _command(value: str, kept: list[str]) -> str:
    """The program; what follows it is hidden."""
    program, _, rest = value.partition(" ")
    if not PROGRAM.fullmatch(program):
        program, rest = "", value
    kept.append(rest)
    return " ".join([*([program] if program else []), *([HIDDEN] if rest else [])])


def _variables(text: str, kept: list[str]) -> Iterator[str]:
    try:
        found = shlex.split(text)
    except ValueError:
        found = [text]
    for word in found:
        name, equals, value = word.partition("=")
        if not equals or not NAME.fullmatch(name):
            kept.append(word)
            yield HIDDEN
            continue
        shown = variable(name, value)
        kept += shown.kept_back
        yield f"{name}={shown.text}"
