"""A sensor that repeats itself while others move.

A reading that does not change proves nothing: a voltage is constant in CV, a current in CC, a cell of LFP for hours,
and a coarse instrument shows all of it as one digit. It is suspect only once every companion, a second channel of the
same quantity, has moved by more than ``STEPS`` resolutions of the suspect, beyond its own last digits and beyond what a
changed current leaves on the leads between the two. A current has no second channel here: its ceiling is what holds it.
"""

from __future__ import annotations

import math

from bench.energy import Energy
from bench.rules.shapes import Found, Stuck
from drivers.reading import Reading

STEPS = 5
#: It has repeated itself for so long and so often: the same digit a few times running is chance.
LEAST_S, LEAST_READINGS = 30.0, 10
#: A companion's own rounding and noise.
COMPANION_STEPS = 2
#: From the alarm to the trip.
TRIP_S = 60.0


class _Reach:
    """The lowest and highest value since it was last cleared."""

    __slots__ = ("high", "low")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.low, self.high = math.inf, -math.inf

    def take(self, value: float) -> None:
        self.low, self.high = min(self.low, value), max(self.high, value)

    @property
    def width(self) -> float:
        return max(0.0, self.high - self.low)


class StuckRule:
    def __init__(self, spec: Stuck) -> None:
        self._spec = spec
        self._last: float | None = None
        self._since_s = 0.0
        self._same = 0
        self._companions = {its.channel: (_Reach(), COMPANION_STEPS * its.resolution) for its in spec.companions}
        self._current = _Reach()
        self._suspect_s: float | None = None
        self._tripped = False

    def look(self, reading: Reading, energy: Energy) -> Found | None:
        del energy
        channel, value, mono_s, _, _ = reading
        if channel != self._spec.channel:
            reach = self._current if channel == self._spec.current else self._companions[channel][0]
            reach.take(value)
            return None
        if value != self._last:
            self._last = value
            self._begin_again(mono_s)
            return None
        self._same += 1
        if self._same < LEAST_READINGS or mono_s - self._since_s < LEAST_S:
            return None
        return self._judge(mono_s)

    def _begin_again(self, mono_s: float) -> None:
        self._since_s, self._same = mono_s, 0
        for reach, _ in self._companions.values():
            reach.clear()
        self._current.clear()
        self._suspect_s, self._tripped = None, False

    def _judge(self, mono_s: float) -> Found | None:
        spec = self._spec
        moved = min(reach.width - own for reach, own in self._companions.values())
        allowed = STEPS * spec.resolution + spec.lead_ohm * self._current.width
        if self._suspect_s is None:
            if moved <= allowed:
                return None
            self._suspect_s = mono_s
            return Found("stuck", "warn", "sample", spec.channel, moved, allowed)
        if self._tripped or mono_s - self._suspect_s < TRIP_S:
            return None
        self._tripped = True
        return Found("stuck", "trip", "sample", spec.channel, moved, allowed)
