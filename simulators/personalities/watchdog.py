"""A host watchdog inside a device: it acts by a timer of its own when the host is silent, asked or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulators.models import Timers


class HostWatchdog:
    """Calls ``expired`` once when ``timeout_s`` have passed since the last ``heard``, as long as it is armed.

    ``heard`` is called for every request and costs one assignment: the timer is moved when it fires, not before.
    """

    def __init__(self, timers: Timers, expired: Callable[[], None]) -> None:
        self._timers = timers
        self._expired = expired
        self._heard_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.timeout_s = 0.0

    @property
    def armed(self) -> bool:
        return self._timer is not None

    def heard(self, now_s: float) -> None:
        """The host gave a sign of life."""
        self._heard_s = now_s

    def arm(self, now_s: float) -> None:
        """Watch from now on, with the present ``timeout_s``."""
        self.disarm()
        self._heard_s = now_s
        self._timer = self._timers.call_at(now_s + self.timeout_s, self._look)

    def disarm(self) -> None:
        """Stop watching. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        due_s = self._heard_s + self.timeout_s
        if self._timers.time() < due_s - 1e-6:
            self._timer = self._timers.call_at(due_s, self._look)
            return
        self._timer = None
        self._expired()
