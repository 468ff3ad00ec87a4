"""Entry point: `python3 -m agent COMMAND`, installed as `pi-iot-agent COMMAND`."""

from __future__ import annotations

import gc
import sys

gc.disable()  # until the command is loaded: hardly any of it is garbage, and the search is 5 %

from agent.cli.main import main  # noqa: E402 -- not before that

if __name__ == "__main__":
    sys.exit(main())
