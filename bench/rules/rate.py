"""A limit on how fast a channel may change."""

from __future__ import annotations

from bench.energy import Energy
from bench.rules.shapes import Found, Rate
from bench.rules.slope import Slope
from drivers.reading import Reading


class RateRule:
    """Two readings running whose slope over the window is too steep: one alone is a spike, and goes back."""

    def __init__(self, spec: Rate) -> None:
        self._spec = spec
        self._slope = Slope(spec.window_s)
        self._steep = 0

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        del energy
        spec, per_s = self._spec, self._slope.take(reading.value, reading.mono_s)
        too_fast = (per_s if spec.rising else abs(per_s)) > spec.most_per_s
        self._steep = self._steep + 1 if too_fast else 0
        if self._steep != 2:
            return None
        return Found(spec.rule, spec.tier, "sample", spec.channel, per_s, spec.most_per_s)
