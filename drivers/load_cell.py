"""Whether a load cell still measures, or stands at its rail: beyond that it shows the same whatever the force is.

A tool that goes into a sample is never pushed back by the very same force over some way, at the resolution of a load
cell. One that shows the highest force of the stroke, unchanged, while the tool goes on, is at its rail. The rail itself
is in no register: an amplifier clips where it was set up to, above or below what the rig is rated for.
"""

from __future__ import annotations

import math

#: So far the tool must go on, and so many looks must show the same. Our choice: eight rows of a buffer at 25 mm/s and
#: 100 Hz, and more than a cutting edge takes from one layer of a cell to the next (0.3 mm).
FLAT_MM = 2.0
FLAT_LOOKS = 4


class LoadCell:
    """Hears (position, force) of one stroke in order, only while the tool is in the sample, and says of each whether
    the force is the rail's. ``rail_n`` is None until that is known; looks before that count as good."""

    def __init__(self) -> None:
        self.rail_n: float | None = None
        self._peak_n = 0.0
        self._since_mm = math.nan
        self._looks = 0

    def at_rail(self, position_mm: float, force_n: float) -> bool:
        """Whether this force stands at the rail. NaN is no look."""
        if math.isnan(position_mm) or math.isnan(force_n):
            return False
        if force_n < self._peak_n or force_n <= 0.0:
            self._looks = 0
            return False
        if force_n > self._peak_n:
            self._peak_n, self._looks = force_n, 0
            self.rail_n = None  # what shows more was not at its rail
        if self._looks == 0:
            self._since_mm = position_mm
        self._looks += 1
        if self._looks >= FLAT_LOOKS and position_mm - self._since_mm >= FLAT_MM:
            self.rail_n = force_n
        return force_n == self.rail_n
