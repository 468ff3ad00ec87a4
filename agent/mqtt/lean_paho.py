"""paho, without what it wants only for the proxies of connections of its own, which are never used.

That is urllib.request, with HTTP and e-mail behind it: more than a tenth of the daemon's memory.
While paho is imported an empty module has its name.
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
