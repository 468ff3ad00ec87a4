"""A machine whose apt says what it is told to say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.updates import apt, looked_of, sources
from agent.updates.apt import Said
from agent.updates.openpgp import public_key
from tests.unit.updates.keys import ARMOURED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.updates import Looked
    from agent.updates.trouble import Trouble

URL = "http://127.0.0.1:8971/good"
PLACE = "127.0.0.1:8971_good"
POLICY = "pi-iot-agent:\n  Installed: {}\n  Candidate: {}\n  Version table:\n"
GOOD = Said(0, f"Hit:1 {URL} stable InRelease\nReading package lists...\n")

#: A moment in 2026, and the times of a day.
NOW_S, DAY_S = 1_795_780_800.0, 86400.0


class Machine:
    """Runs no program: `looks` are what apt says of each look, the last one ever again."""

    def __init__(self, root: Path) -> None:
        self.etc, self.directory = root / "etc", root / "notes"
        self.directory.mkdir()
        self.looks = [GOOD]
        self.has_index, self.origin = True, "pi-iot-agent"
        self.installed, self.candidate = "0.1.0", "0.1.0"
        self.enabled, self.held = "enabled", ""
        self.broken = ""
        self.periodic: dict[str, str] = {}
        self.now_s = NOW_S
        self.slept_s: list[float] = []
        self.commands: list[list[str]] = []
        self.lists = root / "lists"
        self.lists.mkdir()
        self._index = self.lists / f"{PLACE}_dists_stable_main_binary-arm64_Packages"
        self.release = self.lists / f"{PLACE}_dists_stable_InRelease"

    def take_up(self, url: str = URL) -> None:
        """Have updates come from there."""
        sources.write(url, public_key(ARMOURED), self.etc)

    def run(self, command: Sequence[str], limit_s: float) -> Said:
        """What a program says."""
        assert limit_s > 0
        self.commands.append([*command])
        program, *words = [Path(command[0]).name, *command[1:]]
        if program == "dpkg":
            assert words[0] == "--compare-versions"
            older, newer = words[3].split("."), words[1].split(".")
            return Said(0 if newer > older else 1, "")
        settings = {"systemctl": f"{self.enabled}\n", "apt-mark": self.held}
        if program == "apt-config":
            settings[program] = f"it='{self.periodic.get(words[2], '1')}'\n"
        if program in settings:
            return Said(0, settings[program])
        assert f"Dir::Etc::sourcelist={self.etc / sources.SOURCE}" in words
        assert "Dir::Etc::sourceparts=-" in words
        if program == "apt-cache":
            if self.broken:
                return Said(100, f"{self.broken}\n")
            candidate = self.candidate if self._index.exists() else self.installed
            return Said(0, POLICY.format(self.installed, candidate))
        if "indextargets" in words:
            return Said(0, f"{self._index} {self.origin}\n")
        said = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if (said.code == 0 or GOOD.text in said.text) and self.has_index:
            self._index.touch()
            self.release.touch()
        return said

    def look(self) -> Trouble | None:
        """Look once."""
        return apt.look(
            etc=self.etc,
            directory=self.directory,
            run=self.run,
            wall_s=lambda: self.now_s,
            sleep=self.slept_s.append,
            synchronized=lambda: True,
        )

    def refresh(self) -> None:
        """Look at the versions alone."""
        apt.refresh(etc=self.etc, directory=self.directory, run=self.run, wall_s=lambda: self.now_s)

    @property
    def note(self) -> Looked:
        """The note of the last look."""
        note = looked_of(self.directory)
        assert note
        return note
