"""A cycler's terminal, its contactor and the cell behind it.

The plant's time runs in steps. Within a step the current is constant and the voltage straight; what is read at an
instant lies between the two ends of the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isfinite
from typing import Protocol

from simulators.plant.cell import Cell
from simulators.plant.regulation import Mode, Regulation, Setting

#: An output that was switched off keeps its voltage and loses it with this time constant (ASSUMED).
OUTPUT_DISCHARGE_S = 5.0
#: Lag of a thermocouple behind what it is fixed to (ASSUMED; loggers and beads lie between 1 and 5 s).
THERMOCOUPLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Totals:
    """What passed the cell's terminals since the plant began, and the hottest its surface has been (truth)."""

    charged_ah: float
    discharged_ah: float
    charged_wh: float
    discharged_wh: float
    peak_surface_c: float


class Times(Protocol):
    """The plant, as a part of it sees it."""

    now_s: float

    def event(self) -> None:
        """Bring every part to now, for something is about to change."""

    def fraction(self) -> float:
        """How far now is into the present step, 0..1."""


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


class Terminal:
    """One channel. ``regulate`` gives the instrument's set values; ``voltage_v`` and ``current_a`` are what it has at
    its terminals (charge positive), the voltage sensed at the cell while the contactor is closed."""

    def __init__(self, times: Times, cell: Cell | None, *, lead_ohm: float, reversed_: bool) -> None:
        self.cell = cell
        self.setting = Setting(on=False, voltage_v=0.0, source_a=0.0, sink_a=0.0, source_w=inf, sink_w=inf)
        self._times = times
        self._sign = -1.0 if reversed_ else 1.0
        self._regulation = None if cell is None else Regulation(cell, self._sign, lead_ohm)
        self._may_flow = self._coil = False
        self._stuck: bool | None = None
        self._held_v = self._held_s = 0.0
        self._charged_as = self._discharged_as = self._charged_j = self._discharged_j = 0.0
        self._cell_a = self._last_a = self._length_s = 0.0
        self._last_v = self._start_v = self._end_v = 0.0 if cell is None else cell.voltage_v
        self._start_c = self._peak_c = 0.0 if cell is None else cell.temperature_c
        self._changed = self._was_changed = False
        self._last_mode = Mode.IDLE
        self._saved = None if cell is None else cell.save()
        self.surface = Lagged(self._start_c, THERMOCOUPLE_S)

    # Commands

    def regulate(
        self, *, on: bool, voltage_v: float, source_a: float, sink_a: float, source_w: float, sink_w: float
    ) -> None:
        """Hold ``voltage_v`` with at most these currents and powers in either direction, or be off.

        Raises ValueError for a negative or non-finite set value (a power may be infinite).
        """
        values = (voltage_v, source_a, sink_a, source_w, sink_w)
        if not all(value >= 0.0 for value in values) or not isfinite(voltage_v + source_a + sink_a):
            raise ValueError(
                f"set values must be finite and not negative: {voltage_v} V, source {source_a} A {source_w} W, "
                f"sink {sink_a} A {sink_w} W"
            )
        new = Setting(on=on, voltage_v=voltage_v, source_a=source_a, sink_a=sink_a, source_w=source_w, sink_w=sink_w)
        if new == self.setting:
            return
        self._begin_change()
        self.setting = new
        self._may_flow = on and (source_a > 0.0 or sink_a > 0.0)

    def contactor(self, *, closed: bool) -> None:
        """What the coil is told; a stuck contactor does not follow."""
        if closed != self._coil:
            self._begin_change()
            self._coil = closed

    def stick(self, *, closed: bool | None) -> None:
        """Weld the contactor closed, jam it open, or (None) let it follow its coil again."""
        if closed is not self._stuck:
            self._begin_change()
            self._stuck = closed

    def _begin_change(self) -> None:
        self._times.event()
        if self.connected:
            self._held_v = self._sign * self._end_v
        elif self.setting.on:
            self._held_v = self.setting.voltage_v
        else:
            self._held_v *= exp((self._held_s - self._times.now_s) / OUTPUT_DISCHARGE_S)
        self._held_s = self._times.now_s
        self._changed = True

    # What is true now

    @property
    def closed(self) -> bool:
        """Whether the main contacts are closed, whatever the coil was told."""
        return self._coil if self._stuck is None else self._stuck

    @property
    def connected(self) -> bool:
        """Whether the instrument and a cell are joined."""
        return self.cell is not None and self.closed

    @property
    def resting(self) -> bool:
        """Whether no current can flow until the next command."""
        return not (self._may_flow and self.connected)

    @property
    def cell_voltage_v(self) -> float:
        """At the cell's terminals, contactor open or closed; 0 without a cell, negative if its leads are swapped."""
        if self.cell is None:
            return 0.0
        fraction = self._times.fraction()
        return self._sign * (self._start_v + (self._end_v - self._start_v) * fraction)

    @property
    def voltage_v(self) -> float:
        """At the instrument: the cell's if connected, else the set value, else what is left of the last voltage."""
        if self.connected:
            return self.cell_voltage_v
        if self.setting.on:
            return self.setting.voltage_v
        return self._held_v * exp((self._held_s - self._times.now_s) / OUTPUT_DISCHARGE_S)

    @property
    def current_a(self) -> float:
        """Through the instrument's terminals."""
        self._times.fraction()
        return self._sign * self._cell_a

    def totals(self) -> Totals:
        """What has passed up to now."""
        fraction = self._times.fraction()
        amount_as = self._cell_a * self._length_s * fraction
        amount_j = amount_as * (self._start_v + 0.5 * (self._end_v - self._start_v) * fraction)
        charging = amount_as > 0.0
        peak_c = self._peak_c
        if self.cell is not None:
            peak_c = max(peak_c, self._start_c + (self.cell.temperature_c - self._start_c) * fraction)
        return Totals(
            charged_ah=(self._charged_as + (amount_as if charging else 0.0)) / 3600.0,
            discharged_ah=(self._discharged_as - (0.0 if charging else amount_as)) / 3600.0,
            charged_wh=(self._charged_j + (amount_j if charging else 0.0)) / 3600.0,
            discharged_wh=(self._discharged_j - (0.0 if charging else amount_j)) / 3600.0,
            peak_surface_c=peak_c,
        )

    # Steps, taken by the plant alone

    def heat_to_air_w(self, air_c: float) -> float:
        """What the cell gives to air of this temperature."""
        return 0.0 if self.cell is None else self.cell.conductance_w_k * (self.cell.temperature_c - air_c)

    def step(self, dt_s: float, air_c: float) -> None:
        """Take a step in air of ``air_c`` on average; the one before it becomes final."""
        cell, regulation = self.cell, self._regulation
        if cell is None or regulation is None:
            return
        self._finish(cell)
        self._saved = cell.save()
        self._last_v, self._last_a, self._last_mode = self._end_v, regulation.current_a, regulation.mode
        self._was_changed = self._changed
        cell.prepare(dt_s)
        if self.resting:
            regulation.idle()
        else:
            regulation.settle(self.setting)
        self._cell_a = current = self._sign * regulation.current_a
        self._end_v = end_v = self._sign * regulation.voltage_v
        start_v = self._last_v
        if self._changed:
            start_v = end_v
            if regulation.mode is not Mode.VOLTAGE:
                start_v = cell.voltage_now(current)
                cell.prepare(dt_s)
            self._changed = False
        self._start_v = start_v
        cell.commit(current, start_v, end_v, air_c)
        self._length_s = dt_s
        self.surface.step(dt_s, self._start_c, cell.temperature_c)

    def _finish(self, cell: Cell) -> None:
        """Add the step before to the totals."""
        self._start_c = start_c = cell.temperature_c
        if start_c > self._peak_c:
            self._peak_c = start_c
        if self._cell_a and self._length_s:
            amount_as = self._cell_a * self._length_s
            amount_j = 0.5 * (self._start_v + self._end_v) * amount_as
            if amount_as > 0.0:
                self._charged_as += amount_as
                self._charged_j += amount_j
            else:
                self._discharged_as -= amount_as
                self._discharged_j -= amount_j
        self._length_s = 0.0

    def rewind(self) -> None:
        """Undo the last step."""
        if self.cell is None or self._regulation is None or self._saved is None or not self._length_s:
            return
        self.cell.restore(self._saved)
        self._regulation.current_a, self._regulation.mode = self._last_a, self._last_mode
        self._end_v = self._last_v
        self._changed = self._was_changed
        self._length_s = 0.0
        self.surface.rewind()
