"""Thermal runaway, before anything burns: two of three of temperature, its rate and the voltage.

GB 38031-2025, C.5.3.7 confirms a runaway by (a or b) and c: a) the voltage has dropped by more than 25 % of its initial
value, b) a temperature has reached the maker's highest operating one, c) it rises by 1 degC/s or more for more than
3 s. Here a with b is enough too: energy is taken away early rather than late. A drop counts if it happens within
``COLLAPSE_S``, so that the end of a discharge is none.

While the sample's terminals are shorted on purpose, voltage and warming are the short's own doing: only the detectors
speak then.
"""

from __future__ import annotations

from collections import deque

from bench.energy import Energy
from bench.rules.shapes import SHORT_CIRCUIT, Found, Runaway
from bench.rules.slope import Lasting, Slope
from drivers.reading import Reading

RATE_S = 3.0
COLLAPSE = 0.25
COLLAPSE_S = 15.0
#: Sensors die one after the other: what one of them showed counts this long.
KEPT_S = 60.0


class RunawayRule:
    def __init__(self, spec: Runaway) -> None:
        self._spec = spec
        self._told = False
        self._forget()

    def _forget(self) -> None:
        spec = self._spec
        self._slopes = {channel: Slope(RATE_S) for channel in spec.surfaces}
        self._fast = {channel: Lasting(KEPT_S) for channel in spec.surfaces}
        self._hot = {channel: Lasting(KEPT_S) for channel in spec.surfaces}
        self._fallen = Lasting(KEPT_S)
        self._volts: deque[tuple[float, float]] = deque()

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        spec, (channel, value, mono_s, _, _) = self._spec, reading
        if energy.energised and SHORT_CIRCUIT in energy.what:
            self._forget()  # from the beginning, once it is over
            return None
        if channel == spec.cell_voltage:
            self._fallen.take(mono_s, holds=self._has_fallen(value, mono_s))
        else:
            self._hot[channel].take(mono_s, holds=value > spec.high_c)
            self._fast[channel].take(mono_s, holds=self._slopes[channel].take(value, mono_s) >= spec.rate_k_s)
        signs = (
            any(hot.at(mono_s) for hot in self._hot.values())
            + any(fast.at(mono_s) for fast in self._fast.values())
            + self._fallen.at(mono_s)
        )
        if signs < 2:
            self._told = False
            return None
        if self._told:
            return None
        self._told = True
        if spec.neighbour:
            return Found(f"zone.{spec.place}.runaway", "trip", "detector", channel, value)
        return Found("runaway", "trip", "sample", channel, value)

    def _has_fallen(self, voltage_v: float, mono_s: float) -> bool:
        rows = self._volts
        while rows and rows[0][0] < mono_s - COLLAPSE_S:
            rows.popleft()
        highest_v = max((row[1] for row in rows), default=voltage_v)
        rows.append((mono_s, voltage_v))
        return voltage_v < (1.0 - COLLAPSE) * highest_v
