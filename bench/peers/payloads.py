"""What the peers publish: the mode says it, their last argument."""

from __future__ import annotations

import json
import time

TYPE_CHECKING = False  # typing would cost whoever publishes this
if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOAD = "x" * 200


def payloads(mode: str) -> Iterator[str]:
    """A payload at a time: one for "sit", COUNT for "drain COUNT ...", one each S for "each S ...".

    Those are numbered, and as long, as the agent's are.
    """
    kind, *numbers = mode.split()
    if kind != "each":
        for _ in range(int(numbers[0]) if kind == "drain" else 1):
            yield PAYLOAD
        return
    number = 0
    while True:
        number += 1
        body = {
            "Timestamp": round(time.time(), 3),
            "temperature_c": 21.34,
            "epoch": "0123456789abcdef",
            "seq": number,
        }
        yield json.dumps(body, separators=(",", ":"))
        time.sleep(float(numbers[0]))


def keepalive_s(mode: str) -> int:
    """Seconds until a sign of life: KEEPALIVE_S of "each S KEEPALIVE_S", else a minute."""
    kind, *numbers = mode.split()
    return int(numbers[1]) if kind == "each" and len(numbers) > 1 else 60
