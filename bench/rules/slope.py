"""How fast one channel changes, over a window of its own readings."""

from __future__ import annotations

from collections import deque


class Slope:
    """The change per second over the last readings that span at least ``window_s``; 0.0 until there are such."""

    __slots__ = ("_rows", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._rows: deque[tuple[float, float]] = deque()

    def take(self, value: float, mono_s: float) -> float:
        rows = self._rows
        rows.append((mono_s, value))
        newest_s = mono_s - self._window_s
        while len(rows) > 2 and rows[1][0] <= newest_s:
            rows.popleft()
        begun_s, begun = rows[0]
        return (value - begun) / (mono_s - begun_s) if begun_s <= newest_s else 0.0


class Lasting:
    """A condition that counts once two readings running show it, and for ``kept_s`` after it was last seen."""

    __slots__ = ("_before", "_kept_s", "_seen_s")

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._before = False
        self._seen_s: float | None = None

    def take(self, mono_s: float, *, holds: bool) -> bool:
        """Whether it counts, as of this reading."""
        if holds and self._before:
            self._seen_s = mono_s
        self._before = holds
        return self.at(mono_s)

    def at(self, mono_s: float) -> bool:
        """Whether it counts at this instant."""
        return self._seen_s is not None and mono_s - self._seen_s <= self._kept_s
