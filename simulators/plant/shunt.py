"""A cell with conductances across its terminals: a nail, molten layers, a short contactor."""

from __future__ import annotations

from typing import Protocol

from simulators.plant.cell import Cell

_CLOSE_V = 1e-10


class Electrodes(Protocol):
    """What regulation sees of a cell whose step is prepared."""

    slope_ohm: float

    def voltage(self, current_a: float) -> float:
        """Terminal voltage at the end of the prepared step at this current; leaves dV/dI in ``slope_ohm``."""


class Shunted:
    """The cell behind its shunts of ``siemens`` in all; ``cell_a`` is what then flows within the cell."""

    __slots__ = ("_cell", "_last_v", "cell_a", "siemens", "slope_ohm")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._last_v = cell.voltage_v
        self.siemens = self.cell_a = self.slope_ohm = 0.0

    def voltage(self, current_a: float) -> float:
        """The terminal voltage V at which the cell, charged with ``current_a - siemens * V``, shows V.

        The cell's voltage rises with its current, so there is one; Newton within a bracket that closes.
        """
        cell, siemens = self._cell, self.siemens
        volts, low, high = self._last_v, -20.0, 20.0
        for _ in range(80):
            inside = cell.voltage(current_a - siemens * volts)
            gap = inside - volts
            if -_CLOSE_V < gap < _CLOSE_V:
                break
            if gap > 0.0:
                low = volts
            else:
                high = volts
            following = volts + gap / (1.0 + siemens * cell.slope_ohm)
            volts = following if low < following < high else 0.5 * (low + high)
        self._last_v = volts
        self.cell_a = current_a - siemens * volts
        self.slope_ohm = cell.slope_ohm / (1.0 + siemens * cell.slope_ohm)
        return volts
