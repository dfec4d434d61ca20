"""A detector of fire or gas at a neighbouring place of the zone."""

from __future__ import annotations

from bench.energy import Energy
from bench.rules.shapes import Detector, Found
from drivers.reading import Reading

#: An input reads 1.0 when all is well.
WELL = 0.5


class DetectorRule:
    def __init__(self, spec: Detector) -> None:
        self._spec = spec
        self.speaks = False

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        del energy
        before, self.speaks = self.speaks, reading.value < WELL
        if before or not self.speaks:
            return None
        return Found(self._spec.rule, "trip", "detector", reading.channel, reading.value, WELL)
