"""`python3 -m tests.cloud`: starts the local AWS IoT Core and prints how to use it."""

from __future__ import annotations

import sys

from tests.tools.cloud.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
