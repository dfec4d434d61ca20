"""Curves in as many points as a screen has: of each bucket of time the least and the greatest value."""

from __future__ import annotations

import math
from collections.abc import Iterable

Points = Iterable[tuple[float, float | None]]
Curve = tuple[list[float | None], list[float | None]]


class Buckets:
    """``count`` buckets of equal length between two instants; a value that is no number leaves its bucket as it is."""

    def __init__(self, begin_s: float, end_s: float, count: int) -> None:
        self.begin_s = begin_s
        self.count = max(1, count)
        self.length_s = max((end_s - begin_s) / self.count, 1e-9)

    @property
    def times_s(self) -> tuple[float, ...]:
        """The middle of each."""
        return tuple(self.begin_s + (at + 0.5) * self.length_s for at in range(self.count))

    def curve(self, points: Points) -> Curve:
        """The least and the greatest of each; None where nothing came."""
        low: list[float | None] = [None] * self.count
        high: list[float | None] = [None] * self.count
        for time_s, value in points:
            if value is None or not math.isfinite(value):
                continue
            at = int((time_s - self.begin_s) / self.length_s)
            if at == self.count and time_s <= self.begin_s + self.count * self.length_s + 1e-6:
                at -= 1  # the very end belongs to the last
            if 0 <= at < self.count:
                least, most = low[at], high[at]
                low[at] = value if least is None or value < least else least
                high[at] = value if most is None or value > most else most
        return low, high
