"""A surface sensor that has come off: it shows the place's air while the cell turns power into heat.

How warm the cell must get at least is a bound of energy, not a model of it:

    C dtheta/dt = P - G theta,    P = |I| (|I| R - S T)

R is the least step of the terminal's voltage per step of the current that was seen, less its last digits: what answers
within one poll is lost as heat. S T, 0.4 mV/K at 298 K, is the most that a reversible reaction takes up. C and G are
the largest heat capacity and the best cooling that the cell can have. At small currents the bound stays at zero and
nothing is said.
"""

from __future__ import annotations

import math

from bench.energy import Energy
from bench.rules.shapes import Detached, Found
from drivers.reading import Reading

#: The most that the entropy of the usual electrodes takes up, V (0.4 mV/K x 298 K).
REVERSIBLE_V = 0.12
#: Said only of a cell that must be this much warmer than its air, and of a sensor that shows less than a quarter of it.
LEAST_K = 2.0
LEAST_STEPS = 10
SHOWN = 0.25
#: The air itself may move this much meanwhile; else nothing is said.
STEADY_K = 1.0
TRIP_S = 60.0
#: A step of the current is one of at least this much, within this time.
STEP_A = 1.0
STEP_S = 3.0
#: Longer between two readings is a gap: nothing is known of it.
GAP_S = 30.0


class DetachedRule:
    def __init__(self, spec: Detached) -> None:
        self._spec = spec
        self._voltage: Reading | None = None
        self._before: tuple[float, float, float] | None = None
        self._ohm = math.inf
        self._must_k = 0.0
        self._air_c = math.nan
        self._base: tuple[float, float] | None = None
        self._suspect_s: float | None = None
        self._tripped = False

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        del energy
        spec, channel = self._spec, reading.channel
        if channel == spec.voltage:
            self._voltage = reading
        elif channel == spec.current:
            if self._voltage is not None and self._voltage.mono_s == reading.mono_s:
                self._warm(reading.mono_s, self._voltage.value, reading.value)
        elif channel == spec.ambient:
            self._air_c = reading.value
        else:
            return self._judge(reading)
        return None

    def _warm(self, mono_s: float, voltage_v: float, current_a: float) -> None:
        before, self._before = self._before, (mono_s, voltage_v, current_a)
        if before is None:
            return
        span_s, step_v, step_a = mono_s - before[0], voltage_v - before[1], current_a - before[2]
        if span_s > GAP_S:
            self._must_k = 0.0
            return
        if abs(step_a) >= STEP_A and span_s <= STEP_S:
            seen_ohm = (math.copysign(step_v, step_v * step_a) - 2 * self._spec.voltage_resolution_v) / abs(step_a)
            self._ohm = min(self._ohm, max(0.0, seen_ohm))
        least_a = min(abs(before[2]), abs(current_a))
        power_w = 0.0 if math.isinf(self._ohm) else max(0.0, least_a * (least_a * self._ohm - REVERSIBLE_V))
        spec = self._spec
        self._must_k += span_s * (power_w - spec.cooling_w_k * self._must_k) / spec.heat_capacity_j_k
        self._must_k = max(0.0, self._must_k)

    def _judge(self, reading: Reading) -> Found | None:
        spec, air_c = self._spec, self._air_c
        if math.isnan(air_c):
            return None
        if self._base is None or self._must_k == 0.0 or abs(air_c - self._base[0]) > STEADY_K:
            self._base = (air_c, reading.value)
            self._suspect_s, self._tripped = None, False
            if self._must_k > 0.0:
                self._must_k = 0.0  # the air has moved: what must be warmer is counted from now
            return None
        must_k, risen_k = self._must_k, reading.value - self._base[1]
        bound_k = max(LEAST_K, LEAST_STEPS * spec.resolution_k)
        if must_k < bound_k or risen_k >= SHOWN * must_k:
            self._suspect_s, self._tripped = None, False
            return None
        if self._suspect_s is None:
            self._suspect_s = reading.mono_s
            return Found("detached", "warn", "sample", spec.surface, risen_k, must_k)
        if not spec.trips or self._tripped or reading.mono_s - self._suspect_s < TRIP_S:
            return None
        self._tripped = True
        return Found("detached", "trip", "sample", spec.surface, risen_k, must_k)
