"""`python3 -m tests.link [NAME...]`: runs the cases of these names, or all, most of them at once.

Prints one JSON object for each verdict, as it comes.
"""

from __future__ import annotations

import itertools
import json
import logging
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import paho.mqtt

from tests.link import advisor, causes, hostile, network
from tests.link.bench import CASES, PROTOCOLS, Case, verdict

#: So many run at a time: they wait more than they work.
AT_ONCE = 48

MODULES = (advisor, causes, hostile, network)


def main(names: list[str]) -> None:
    """Run them."""
    logging.disable()
    chosen = [
        (one, protocol)
        for one in sorted(CASES, key=lambda one: not one.long)
        for protocol in PROTOCOLS
        if not names or one.name in names
    ]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(AT_ONCE) as pool:
        places = (Path(name) / str(number) for number in itertools.count())
        for one, protocol in chosen:
            if one.busy:
                tell(one, protocol, verdict(one, next(places), protocol))
        running = {
            pool.submit(verdict, one, next(places), protocol): (one, protocol)
            for one, protocol in chosen
            if not one.busy
        }
        for done in as_completed(running):
            tell(*running[done], done.result())


def tell(one: Case, protocol: str, verdict: str) -> None:
    """Print a verdict as a line of JSON."""
    told = {
        "case": one.name,
        "mirrors": one.mirrors,
        "protocol": protocol,
        "paho": paho.mqtt.__version__,
        "verdict": verdict,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
