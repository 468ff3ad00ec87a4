"""paho, imported without urllib.request, which it needs for connections of its own by proxy.

Those are never made, and urllib.request with HTTP and e-mail behind it is more than a tenth of the
daemon's memory. While paho is imported an empty module has its name.
"""

from __future__ import annotations

import sys
from types import ModuleType

UNUSED = "urllib.request"

if UNUSED in sys.modules:
    import paho.mqtt.client as paho
else:
    sys.modules[UNUSED] = ModuleType(UNUSED)
    try:
        import paho.mqtt.client as paho
    finally:
        del sys.modules[UNUSED]

__all__ = ["paho"]
