"""The cycler's voltage against the sample's own: an open or reversed sense lead, a wrong gain, a loose clamp.

The two are never read at one instant, and a step of the current moves both. So a reading of the sample's voltage is
held against everything the terminal showed from ``EARLIER_S`` before it (an input module's filter and turn) until the
first terminal reading after it, and two running have to disagree.
"""

from __future__ import annotations

from collections import deque

from bench.energy import Energy
from bench.rules.shapes import CrossCheck, Found
from drivers.reading import Reading

EARLIER_S = 1.0
RUNNING = 2


class CrossCheckRule:
    def __init__(self, spec: CrossCheck) -> None:
        self._spec = spec
        self._terminal: deque[tuple[float, float, float]] = deque()
        self._voltage: Reading | None = None
        self._cell: Reading | None = None
        self._apart = 0

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        del energy
        spec = self._spec
        if reading.channel == spec.cell:
            self._cell = reading
        elif reading.channel == spec.terminal:
            self._voltage = reading
        elif self._voltage is not None and self._voltage.mono_s == reading.mono_s:
            return self._compare(self._voltage.value, reading.value, reading.mono_s)
        return None

    def _compare(self, terminal_v: float, current_a: float, mono_s: float) -> Found | None:
        spec, rows, cell = self._spec, self._terminal, self._cell
        rows.append((mono_s, terminal_v, abs(current_a)))
        from_s = mono_s - EARLIER_S if cell is None else cell.mono_s - EARLIER_S
        while len(rows) > 1 and rows[1][0] <= from_s:
            rows.popleft()
        if cell is None or cell.mono_s > mono_s or rows[0][0] > from_s:
            return None
        self._cell = None
        allowed_v = spec.apart_v + spec.lead_ohm * max(row[2] for row in rows)
        low_v, high_v = min(row[1] for row in rows), max(row[1] for row in rows)
        apart_v = max(low_v - cell.value, cell.value - high_v, 0.0)
        self._apart = self._apart + 1 if apart_v > allowed_v else 0
        if self._apart != RUNNING:
            return None
        return Found("cross_check.voltage", "trip", "bench", spec.cell, apart_v, allowed_v)
