"""Ports that lead to the broker: the configured one, or 443 where a network blocks 8883."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: MQTT over TLS, and HTTPS, which no network blocks; AWS IoT serves both ("Device protocols").
MQTT_PORT, DETOUR_PORT = 8883, 443

#: Time for which new connections begin with the detour; then the proper port is first again.
DETOUR_S = 3600.0


class Ports:
    """Remembers over many connections, while the process runs, which port worked.

    Only the standard port has a detour: who configures another has a broker of another kind.
    """

    def __init__(self, port: int, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.configured = port
        self._monotonic_s = monotonic_s
        self._detour_until_s = 0.0

    def in_order(self) -> tuple[int, ...]:
        """The ports to try, one after the other."""
        if self.configured != MQTT_PORT:
            return (self.configured,)
        if self._monotonic_s() < self._detour_until_s:
            return (DETOUR_PORT, MQTT_PORT)
        return (MQTT_PORT, DETOUR_PORT)

    def worked(self, port: int) -> None:
        """Note that TLS came about through `port`."""
        if port == self.configured:
            self._detour_until_s = 0.0
        elif self._monotonic_s() >= self._detour_until_s:
            self._detour_until_s = self._monotonic_s() + DETOUR_S

    def failed(self) -> None:
        """Note that none of them worked."""
        self._detour_until_s = 0.0
