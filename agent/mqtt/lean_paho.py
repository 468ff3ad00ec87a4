"""paho, imported without what it needs for connections by proxy or WebSocket, or without a name.

Those are never made, and urllib.request with HTTP and e-mail behind it is more than a tenth of the
daemon's memory. While paho is imported an empty module has its name, and that of uuid.
"""

from __future__ import annotations

import sys
from types import ModuleType

UNUSED = ("urllib.request", "uuid")

stand_ins = {name: ModuleType(name) for name in UNUSED if name not in sys.modules}
sys.modules |= stand_ins
try:
    import paho.mqtt.client as paho
finally:
    for name in stand_ins:
        del sys.modules[name]

__all__ = ["paho"]
