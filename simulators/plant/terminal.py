"""A cycler's terminal, its contactor and the cell behind it.

The plant's time runs in steps. Within a step the current is constant and the voltage straight; what is read at an
instant lies between the two ends of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, inf, isfinite, nan
from typing import Protocol

from simulators.plant.cell import Cell
from simulators.plant.contact import Contact
from simulators.plant.hazard import ACTIVE_C, BEAD_S, BEAD_SHARE, BEADS, OVERFULL, Hazard
from simulators.plant.lagged import THERMOCOUPLE_S, Lagged
from simulators.plant.regulation import Mode, Regulation, Setting
from simulators.plant.shunt import Shunted
from simulators.plant.surroundings import Surroundings
from simulators.plant.totals import Energies, Totals

#: An output that was switched off keeps its voltage and loses it with this time constant (ASSUMED).
OUTPUT_DISCHARGE_S = 5.0


class Times(Protocol):
    """The plant, as a part of it sees it."""

    now_s: float

    def event(self) -> None:
        """Bring every part to now, for something is about to change."""

    def fraction(self) -> float:
        """How far now is into the present step, 0..1."""


class Terminal:
    """One channel. ``regulate`` gives the instrument's set values; ``voltage_v`` and ``current_a`` are what it has at
    its terminals (charge positive), the voltage sensed at the cell while the contactor is closed.

    Its leads go to each of ``places`` through a contactor there; the cell is in one of them, at first in the first, and
    ``shorted`` by a contactor there or not. ``harmed`` says that its electrical model alone no longer tells
    what it does. Methods that take ``at`` raise ValueError for a place that the leads do not reach; "" is the first.
    """

    def __init__(
        self,
        times: Times,
        cell: Cell | None,
        *,
        lead_ohm: float,
        reversed_: bool,
        places: Sequence[str] = ("",),
        short_ohm: float = 2e-3,
        hazard: Hazard | None = None,
        thickness_mm: float = 0.0,
    ) -> None:
        self._short_s = 1.0 / short_ohm
        self._lead_ohm = lead_ohm
        self.shorted = False
        self.place = self._own = places[0]
        self._contacts = {place: Contact() for place in places}
        self._shorts = {place: Contact() for place in places}
        self.setting = Setting(on=False, voltage_v=0.0, source_a=0.0, sink_a=0.0, source_w=inf, sink_w=inf)
        self._times = times
        self._may_flow = self._joined = False
        self._held_v = self._held_s = 0.0
        self._changed = False
        self._hold_cell(cell, reversed_=reversed_, hazard=hazard, thickness_mm=thickness_mm)

    def _hold_cell(self, cell: Cell | None, *, reversed_: bool, hazard: Hazard | None, thickness_mm: float) -> None:
        self.cell = cell
        self.hazard = hazard
        self.thickness_mm = thickness_mm
        self._shunted = None if cell is None else Shunted(cell)
        self.harmed = self._hazarded = False
        self._siemens = self._was_siemens = 0.0
        self._sign = -1.0 if reversed_ else 1.0
        self._regulation = None if cell is None else Regulation(cell, self._sign, self._lead_ohm, cell.voltage_v)
        self._charged_as = self._discharged_as = self._charged_j = self._discharged_j = 0.0
        self._cell_a = self._last_a = self._length_s = 0.0
        self._last_v = self._start_v = self._end_v = 0.0 if cell is None else cell.voltage_v
        self._start_c = self._peak_c = 0.0 if cell is None else cell.temperature_c
        self._was_changed = False
        self._last_mode = Mode.IDLE
        self._saved = None if cell is None else cell.save()
        self.surface = Lagged(self._start_c, THERMOCOUPLE_S)
        self._beads: list[Lagged] = []

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

    def contactor(self, *, closed: bool, at: str = "") -> None:
        """What the coil at a place is told; a stuck contactor does not follow."""
        self._throw(self._contact(self._contacts, at), coil=closed)

    def stick(self, *, closed: bool | None, at: str = "") -> None:
        """Weld the contactor closed, jam it open, or (None) let it follow its coil again."""
        self._hold(self._contact(self._contacts, at), stuck=closed)

    def short(self, *, closed: bool, at: str = "") -> None:
        """What the coil of the short contactor at a place is told."""
        self._throw(self._contact(self._shorts, at), coil=closed)

    def stick_short(self, *, closed: bool | None, at: str = "") -> None:
        """Weld the short contactor closed, jam it open, or (None) let it follow its coil again."""
        self._hold(self._contact(self._shorts, at), stuck=closed)

    def carry(self, place: str) -> None:
        """The cell is in another place from now on."""
        self._contact(self._contacts, place)
        self._begin_change()
        self.place = place
        self._join()

    @property
    def own_place(self) -> str:
        """Where the channel's own clamps are."""
        return self._own

    def refuse_while_closed(self) -> None:
        """Raises ValueError while anything holds the cell: nobody changes it under voltage."""
        closed = [place for place in self._contacts if self._contacts[place].closed or self._shorts[place].closed]
        if closed:
            raise ValueError(f"a contactor is closed at {', '.join(closed)}")

    def insert(self, cell: Cell | None, *, reversed_: bool, hazard: Hazard | None, thickness_mm: float) -> None:
        """Another cell, or none, is in the channel's own clamps from now on; its totals begin anew."""
        self._begin_change()
        self.place = self._own
        self._hold_cell(cell, reversed_=reversed_, hazard=hazard, thickness_mm=thickness_mm)
        self._join()

    def _contact(self, contacts: Mapping[str, Contact], at: str) -> Contact:
        found = contacts.get(at or self._own)
        if found is None:
            raise ValueError(f"no leads to place {at!r} here; they reach: {', '.join(contacts)}")
        return found

    def _throw(self, contact: Contact, *, coil: bool) -> None:
        if coil != contact.coil:
            self._begin_change()
            contact.coil = coil
            self._join()

    def _hold(self, contact: Contact, *, stuck: bool | None) -> None:
        if stuck is not contact.stuck:
            self._begin_change()
            contact.stuck = stuck
            self._join()

    def _join(self) -> None:
        self._joined = self.cell is not None and self._contacts[self.place].closed
        self.shorted = self._shorts[self.place].closed
        self.harmed = self.harmed or self.shorted

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
        """Whether the main contacts at the channel's own place are closed, whatever their coil was told."""
        return self._contacts[self._own].closed

    def closed_at(self, at: str) -> bool:
        """Whether the main contacts at a place are closed."""
        return self._contact(self._contacts, at).closed

    def short_closed_at(self, at: str) -> bool:
        """Whether the short contactor at a place is closed."""
        return self._contact(self._shorts, at).closed

    @property
    def connected(self) -> bool:
        """Whether the instrument and a cell are joined."""
        return self._joined

    @property
    def resting(self) -> bool:
        """Whether no current can flow through the instrument until the next command."""
        return not (self._may_flow and self._joined)

    def cell_voltage_at(self, at: str) -> float:
        """What the sense leads at a place show: 0 while the cell is elsewhere."""
        self._contact(self._contacts, at)
        return self.cell_voltage_v if (at or self._own) == self.place else 0.0

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

    def seen(self) -> Mapping[str, bool]:
        """What an observer saw of the cell until now: ``fire, explosion, rupture, leak, vent``."""
        if self.hazard is None:
            return dict.fromkeys(("fire", "explosion", "rupture", "leak", "vent"), False)
        return self.hazard.seen()

    def surface_c(self, fraction: float, index: int) -> float:
        """What a thermocouple on the cell shows, the one of index 0 nearest to the stimulus; NaN if it is lost."""
        if self.hazard is not None and self.hazard.lost(index):
            return nan
        if index and self._beads:
            return self._beads[min(index, len(self._beads)) - 1].at(fraction)
        return self.surface.at(fraction)

    def energies(self) -> Energies:
        """Where the cell's energy went, at the end of the last step."""
        if self.cell is None or self.hazard is None:
            return Energies(0.0, 0.0, 0.0, 0.0, 0.0)
        amount_j = 0.5 * (self._start_v + self._end_v) * self._cell_a * self._length_s
        return Energies(
            taken_j=self._charged_j - self._discharged_j + amount_j,
            shorted_j=self.hazard.outer_j,
            stored_j=self.cell.stored_j(),
            heat_j=self.cell.heat_j + self.hazard.inner_j,
            chemical_j=self.hazard.chemical_j,
        )

    # Steps, taken by the plant alone

    def heat_to_air_w(self, air_c: float) -> float:
        """What the cell gives to air of this temperature."""
        if self.cell is None:
            return 0.0
        if self.harmed and self.hazard is not None:
            return self.hazard.loss_w(air_c)
        return self.cell.conductance_w_k * (self.cell.temperature_c - air_c)

    def step(self, dt_s: float, air_c: float, around: Surroundings) -> None:
        """Take a step in air of ``air_c`` on average; the one before it becomes final."""
        cell, regulation = self.cell, self._regulation
        if cell is None or regulation is None:
            return
        self._finish(cell)
        self._hazarded = False
        self._saved = cell.save()
        self._last_v, self._last_a, self._last_mode = self._end_v, regulation.current_a, regulation.mode
        self._was_changed = self._changed
        cell.prepare(dt_s)
        hazard = self.hazard
        if hazard is not None and (self.harmed or around.acts or cell.temperature_c > ACTIVE_C or cell.soc > OVERFULL):
            self._hazardous(cell, regulation, hazard, dt_s, air_c, around)
            return
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

    def _hazardous(
        self, cell: Cell, regulation: Regulation, hazard: Hazard, dt_s: float, air_c: float, around: Surroundings
    ) -> None:
        """A step with shunts across the cell, or with a cell that heats itself."""
        shunted = self._shunted
        assert shunted is not None
        self._hazarded = self.harmed = True
        hazard.save()
        self._was_siemens, start_c = self._siemens, cell.temperature_c
        inner_s = hazard.siemens(around, dt_s)
        outer_s = self._short_s if self.shorted else 0.0
        shunted.siemens = self._siemens = inner_s + outer_s
        regulation.cell = shunted
        if self.resting:
            regulation.idle()
        else:
            regulation.settle(self.setting)
        self._cell_a = current = self._sign * regulation.current_a
        self._end_v = end_v = self._sign * regulation.voltage_v
        shunted.voltage(current)
        cell_a = shunted.cell_a
        start_v = self._last_v
        if self._changed or self._siemens != self._was_siemens:
            start_v = end_v
            if regulation.mode is not Mode.VOLTAGE:
                cell.prepare(0.0)
                start_v = shunted.voltage(current)
                cell.prepare(dt_s)
            self._changed = False
        self._start_v = start_v
        regulation.cell = cell
        cell.commit(cell_a, start_v, end_v, air_c)
        shunt_w = (current - cell_a) * 0.5 * (start_v + end_v)
        inner_share = inner_s / self._siemens if self._siemens else 0.0
        hazard.commit(
            dt_s,
            start_c,
            around,
            cell_w=cell.power_w,
            inner_w=shunt_w * inner_share,
            outer_w=shunt_w * (1.0 - inner_share),
            charge_a=cell_a,
            shunt_a=current - cell_a,
            air_c=air_c,
        )
        self._length_s = dt_s
        self._follow(dt_s, start_c, cell.temperature_c, air_c)

    def _follow(self, dt_s: float, start_c: float, end_c: float, air_c: float) -> None:
        """The beads on the cell: those further away are later and cooler."""
        if not self._beads:
            self._beads = [Lagged(self.surface.end_c, THERMOCOUPLE_S + BEAD_S * at) for at in range(1, BEADS)]
        self.surface.step(dt_s, start_c, end_c)
        for at, bead in enumerate(self._beads, 1):
            share = 1.0 - BEAD_SHARE * at
            bead.step(dt_s, air_c + (start_c - air_c) * share, air_c + (end_c - air_c) * share)

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
        if self._hazarded and self.hazard is not None:
            self._hazarded = False
            self._siemens = self._was_siemens
            self.hazard.rewind()
            for bead in self._beads:
                bead.rewind()
