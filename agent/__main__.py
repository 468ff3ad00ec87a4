"""Entry point: `python3 -m agent COMMAND`, installed as `pi-iot-agent COMMAND`."""

from __future__ import annotations

import sys

from agent.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
