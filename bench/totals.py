"""Charge and energy of a step, from the cycler's own readings.

The arithmetic. Between two readings, current and power (V times I of the same reading) are taken as straight lines:
the trapezoidal rule, over the readings' own instants. A step begins when the output is confirmed on and ends when it
is confirmed off; from the first instant to the first reading the first reading holds, from the last reading to the
last instant the last one holds, because the instrument steps to its set value within milliseconds. A reading that is
not good is left out, and its neighbours are joined. Nothing here comes from the recorder, whose rows are thinned.
"""

from __future__ import annotations

import math


class StepTotals:
    """Signed sums of one step (charge positive). ``begin``, then ``add`` for each reading, then ``end``."""

    __slots__ = ("_current_a", "_open", "_power_w", "_t_s", "_whole", "charge_as", "energy_ws")

    def __init__(self) -> None:
        self.charge_as = 0.0
        self.energy_ws = 0.0
        self._t_s = 0.0
        self._current_a = 0.0
        self._power_w = 0.0
        self._whole = False
        self._open = False

    @property
    def charge_ah(self) -> float:
        return self.charge_as / 3600.0

    @property
    def energy_wh(self) -> float:
        return self.energy_ws / 3600.0

    def begin(self, t_s: float, *, charge_as: float = 0.0, energy_ws: float = 0.0) -> None:
        """Start at this instant, from zero or from what a resumed step had; earlier readings do not count."""
        self.charge_as, self.energy_ws = charge_as, energy_ws
        self._t_s = t_s
        self._whole = False
        self._open = True

    def add(self, t_s: float, voltage_v: float, current_a: float) -> None:
        """Take one reading of voltage and current in."""
        power_w = voltage_v * current_a
        if not self._open or t_s < self._t_s or math.isnan(power_w):
            return
        span_s = t_s - self._t_s
        if self._whole:
            self.charge_as += 0.5 * (self._current_a + current_a) * span_s
            self.energy_ws += 0.5 * (self._power_w + power_w) * span_s
        else:
            self.charge_as += current_a * span_s
            self.energy_ws += power_w * span_s
            self._whole = True
        self._t_s = t_s
        self._current_a = current_a
        self._power_w = power_w

    def freeze(self) -> None:
        """Take no further reading in: the command that ends the step is about to leave."""
        self._open = False

    def end(self, t_s: float) -> None:
        """Hold the last reading to this instant and close the sums. Without any reading they stay zero."""
        self._open = False
        if self._whole and t_s > self._t_s:
            self.charge_as += self._current_a * (t_s - self._t_s)
            self.energy_ws += self._power_w * (t_s - self._t_s)
            self._t_s = t_s
