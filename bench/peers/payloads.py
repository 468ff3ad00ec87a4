"""What the peers publish: the mode says it, their last argument."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOAD = "x" * 200


def payloads(mode: str) -> Iterator[str]:
    """A payload at a time: one for "sit", COUNT for "drain COUNT ...", one each S for "each S".

    Those are numbered as the agent's are.
    """
    kind, *numbers = mode.split()
    if kind != "each":
        for _ in range(int(numbers[0]) if kind == "drain" else 1):
            yield PAYLOAD
        return
    number = 0
    while True:
        number += 1
        yield json.dumps({"Timestamp": time.time(), "epoch": "only", "seq": number})
        time.sleep(float(numbers[0]))
