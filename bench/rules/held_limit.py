"""One limit and what its channel did lately: counting, delay and hysteresis."""

from __future__ import annotations

from collections import deque

from bench.binding.shapes import GuardLimit


class HeldLimit:
    """Says once when a limit is passed, and again only after it was not.

    Only good readings are given to :meth:`look`: a bad one is neither outside nor back inside, so it never resets what
    was counted.
    """

    __slots__ = ("_bound", "_outside", "_recent", "_since_s", "_told", "limit")

    def __init__(self, limit: GuardLimit) -> None:
        self.limit = limit
        self._recent: deque[bool] = deque(maxlen=limit.of)
        self._outside = False
        self._bound = 0.0
        self._since_s: float | None = None
        self._told = False

    @property
    def waits(self) -> bool:
        """Whether a reading inside would still change anything."""
        return self._outside or True in self._recent

    def look(self, value: float, mono_s: float) -> float | None:
        """The bound that is passed as of this reading, if it was not before."""
        limit = self.limit
        self._outside = self._is_outside(value)
        self._recent.append(self._outside)
        if sum(self._recent) < limit.hits:
            self._since_s = None
            self._told = False
            return None
        if self._since_s is None:
            self._since_s = mono_s
        if self._told or not self._outside or mono_s - self._since_s < limit.delay_s:
            return None
        self._told = True
        return self._bound

    def _is_outside(self, value: float) -> bool:
        limit, short = self.limit, self.limit.hysteresis if self._outside else 0.0
        if limit.low is not None and value < limit.low + short:
            self._bound = limit.low
            return True
        if limit.high is not None and value > limit.high - short:
            self._bound = limit.high
            return True
        return False
