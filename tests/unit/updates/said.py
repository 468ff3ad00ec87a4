"""What apt of Debian 12 and 13 has really said, of looks that were made to fail in each way."""

from __future__ import annotations

import re
from pathlib import Path

from agent.updates.apt import Said

RELEASES = ("bookworm", "trixie")


def said(release: str) -> dict[str, Said]:
    """Each look of a release's, by its name."""
    text = (Path(__file__).parent / "said" / f"{release}.txt").read_text()
    parts = re.findall(r"^##### (\S+) (\d+)\n((?:(?!#####).*\n)*)", text, re.MULTILINE)
    return {name: Said(int(code), told) for name, code, told in parts}
