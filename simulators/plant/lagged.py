"""A sensor that follows a temperature with a lag."""

from __future__ import annotations

from math import exp

#: Lag of a thermocouple behind what it is fixed to (ASSUMED; loggers and beads lie between 1 and 5 s).
THERMOCOUPLE_S = 3.0


class Lagged:
    """A first-order sensor on a temperature that moves straight from one end of a step to the other."""

    __slots__ = ("_dt_s", "_from", "_rest", "_to", "end_c", "start_c", "tau_s")

    def __init__(self, temperature_c: float, tau_s: float) -> None:
        self.start_c = self.end_c = temperature_c
        self.tau_s = tau_s
        self._dt_s = self._rest = self._from = self._to = 0.0

    def step(self, dt_s: float, from_c: float, to_c: float) -> None:
        """Follow a step; exact for a straight input."""
        if dt_s != self._dt_s:
            self._dt_s = dt_s
            self._rest = rest = exp(-dt_s / self.tau_s)
            self._to = 1.0 - self.tau_s * (1.0 - rest) / dt_s
            self._from = 1.0 - rest - self._to
        self.start_c = start_c = self.end_c
        self.end_c = start_c * self._rest + from_c * self._from + to_c * self._to

    def rewind(self) -> None:
        """Undo the last step."""
        self.end_c = self.start_c

    def at(self, fraction: float) -> float:
        """What it shows this far into the step."""
        return self.start_c + (self.end_c - self.start_c) * fraction
