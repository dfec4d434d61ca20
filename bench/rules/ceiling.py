"""How much one charge or discharge may move: a soft short or a wrong capacity shows as charge that goes nowhere."""

from __future__ import annotations

from bench.energy import Energy
from bench.rules.shapes import Ceiling, Found
from bench.totals import StepTotals
from drivers.reading import Reading


class CeilingRule:
    """Adds up from the readings while the cycler's output counts as energised; from nothing at each new one."""

    def __init__(self, spec: Ceiling) -> None:
        self._spec = spec
        self._voltage: Reading | None = None
        self._totals = StepTotals()
        self._on = False
        self._told = False

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        spec = self._spec
        if reading.channel == spec.voltage:
            self._voltage = reading
            return None
        on = spec.output in energy.what
        if on and not self._on:
            self._totals.begin(reading.mono_s)
            self._told = False
        self._on = on
        if not on or self._voltage is None or self._voltage.mono_s != reading.mono_s:
            return None
        self._totals.add(reading.mono_s, self._voltage.value, reading.value)
        return self._judge()

    def _judge(self) -> Found | None:
        spec, charge_ah, energy_wh = self._spec, abs(self._totals.charge_ah), abs(self._totals.energy_wh)
        if self._told:
            return None
        if charge_ah > spec.charge_ah:
            self._told = True
            return Found("ceiling.charge", "trip", "sample", spec.current, charge_ah, spec.charge_ah)
        if energy_wh > spec.energy_wh:
            self._told = True
            return Found("ceiling.energy", "trip", "sample", spec.current, energy_wh, spec.energy_wh)
        return None
