"""One place: its air and what conditions it, its press, its contacts, and the cells in it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from simulators.plant.atmosphere import CHAMBER_M3, ENCLOSURE_M3, Atmosphere
from simulators.plant.chamber import ChamberPlant
from simulators.plant.hazard import NOTHING
from simulators.plant.lagged import THERMOCOUPLE_S, Lagged
from simulators.plant.press import Press
from simulators.plant.surroundings import Surroundings
from simulators.plant.terminal import Terminal
from simulators.spec import PlaceSpec, SignalKind

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

STEP_S = 1.0
#: A cell this close to its air counts as settled.
SETTLED_CELL_K = 1e-4
#: While a press moves, a step is the time of this travel, within these bounds.
TRAVEL_MM, MOVING_S = 0.25, (0.01, 0.1)
#: A heater pad on the cell (ASSUMED).
HEATER_W = 400.0
_CONTACTS: tuple[SignalKind, ...] = (
    "door_closed",
    "door_locked",
    "estop_released",
    "smoke",
    "flame",
    "gas",
    "exhaust_flow",
)


class Place:
    """The air of one place, or of all the places in one chamber, what conditions it, and the cells in it.

    ``inputs`` are the contacts as a fault would force them: 0 opens a contact that is closed by itself.
    """

    def __init__(self, plant: Plant, spec: PlaceSpec, *, exhaust_on: bool, seed: int) -> None:
        self.name = spec.name
        self.chamber = ChamberPlant(plant, spec.start_temperature_c) if spec.chamber is not None else None
        self.press = None if spec.rig is None else Press(plant, seed)
        self.terminals: list[Terminal] = []
        self.inputs: dict[SignalKind, float] = dict.fromkeys(_CONTACTS, 1.0)
        self.air = Lagged(spec.start_temperature_c, THERMOCOUPLE_S)
        self.atmosphere = Atmosphere(
            spec.start_temperature_c,
            ENCLOSURE_M3 if self.press is not None else CHAMBER_M3 if self.chamber is not None else inf,
            own_air=self.press is not None and self.chamber is None,
            exhaust_on=exhaust_on,
        )
        self.heater_on = False
        self._around = Surroundings()
        self._stirred = False
        #: Nothing here but air and cells: no press, no heater ever, nothing vented yet.
        self._plain = self.press is None

    @property
    def air_c(self) -> float:
        """The air at the end of the step."""
        return self.atmosphere.air_c if self.chamber is None else self.chamber.end_c

    def pace_s(self) -> float:
        """How long the next step may be; infinite when only relaxation within the cells is left."""
        pace_s = inf
        air_c = self.atmosphere.air_c if self.chamber is None else self.chamber.end_c
        for terminal in self.terminals:
            cell = terminal.cell
            if not terminal.resting or (cell is not None and abs(cell.temperature_c - air_c) > SETTLED_CELL_K):
                pace_s = STEP_S
            if terminal.harmed and terminal.hazard is not None:
                pace_s = min(pace_s, terminal.hazard.pace_s(shorted=terminal.shorted))
        if self.chamber is not None and not self.chamber.settled:
            pace_s = STEP_S
        if not self._plain:
            pace_s = min(pace_s, self._finer_s())
        return pace_s

    def _finer_s(self) -> float:
        """What a moving press and air that is not the room's ask for."""
        press = self.press
        if press is not None and press.velocity_mm_s:
            return min(max(TRAVEL_MM / abs(press.velocity_mm_s), MOVING_S[0]), MOVING_S[1])
        return inf if self.atmosphere.settled and not self.heater_on else STEP_S

    def step(self, end_s: float, dt_s: float, *, quiet: bool) -> None:
        """Take a step that ends at ``end_s``: air first, with the heat of the cells as they are; then the cells in the
        mean air of the step; then what they vented."""
        chamber = self.chamber
        heat_w = 0.0
        if chamber is None:
            start_c = end_c = self.atmosphere.air_c
            if self.atmosphere.own_air and not quiet:
                for terminal in self.terminals:
                    heat_w += terminal.heat_to_air_w(start_c)
        else:
            if quiet:
                chamber.rest(dt_s)
            else:
                for terminal in self.terminals:
                    heat_w += terminal.heat_to_air_w(chamber.end_c)
                chamber.step(dt_s, heat_w)
            start_c, end_c = chamber.start_c, chamber.end_c
            self.air.step(dt_s, start_c, end_c)
        around = self._around
        if not self._plain:
            self._surround(end_s)
        vented_mol = hot_j = 0.0
        gas_k, flame = 300.0, False
        for terminal in self.terminals:
            terminal.step(dt_s, 0.5 * (start_c + end_c), around)
            hazard = terminal.hazard
            if terminal.harmed and hazard is not None and hazard.vented is not NOTHING:
                vented = hazard.vented
                self._plain, self._stirred = False, True
                flame, gas_k = flame or vented.flame, vented.gas_k
                vented_mol += vented.gas_mol
                hot_j += vented.heat_j
        if not self._plain and (self._stirred or self.atmosphere.own_air):
            if quiet:
                self.atmosphere.rest()
            else:
                heat_w += hot_j / dt_s
                self.atmosphere.step(dt_s, vented_mol=vented_mol, gas_k=gas_k, heat_w=heat_w, flame=flame)
            if self.atmosphere.own_air:
                self.air.step(dt_s, self.atmosphere.start_c, self.atmosphere.air_c)

    def _surround(self, end_s: float) -> None:
        """What the cell meets in the step that ends then."""
        around, press = self._around, self.press
        around.heater_w = HEATER_W if self.heater_on else 0.0
        around.gas_lel = self.atmosphere.gas_lel
        if press is not None:
            around.tool = press.tool
            around.depth_mm, around.deepest_mm = press.depth_at(end_s), press.deepest_at(end_s)
            around.contact_mm_s = press.contact_speed_at(end_s) or 0.0
        around.acts = around.heater_w > 0.0 or around.deepest_mm > 0.0

    def rewind(self) -> None:
        """Undo the last step."""
        if self.chamber is not None:
            self.chamber.rewind()
            self.air.rewind()
        if self._stirred or self.atmosphere.own_air:
            self.atmosphere.rewind()
            if self.atmosphere.own_air:
                self.air.rewind()
        for terminal in self.terminals:
            terminal.rewind()

    def heat(self, *, on: bool) -> None:
        """Switch the heater pad."""
        self.heater_on, self._plain = on, False

    def enter(self, terminal: Terminal) -> None:
        """A channel's cell, or its empty clamps, are here from now on."""
        self.terminals.append(terminal)
        if self.press is not None and terminal.cell is not None:
            self.press.sample(terminal.thickness_mm)

    def leave(self, terminal: Terminal) -> None:
        """They are no longer here."""
        if terminal in self.terminals:
            self.terminals.remove(terminal)
            if self.press is not None and terminal.cell is not None:
                self.press.sample(None)

    def surface_c(self, name: str, fraction: float, index: int) -> float:
        """A thermocouple on the first cell of this place, or of that one of the places in one chamber which is called
        ``name``; without a cell it hangs in the air. NaN once it is lost."""
        for terminal in self.terminals:
            if terminal.cell is not None and terminal.place == name:
                return terminal.surface_c(fraction, index)
        return self.air.at(fraction)

    def contact(self, kind: SignalKind) -> float:
        """A contact of this place: 1.0 while it is closed, which it is when all is well."""
        atmosphere = self.atmosphere
        if (
            (kind == "smoke" and atmosphere.smoke)
            or (kind == "flame" and atmosphere.flame)
            or (kind == "gas" and atmosphere.gas)
            or (kind == "exhaust_flow" and not atmosphere.flows)
        ):
            return 0.0
        return self.inputs[kind]

    def force(self, kind: SignalKind, value: float) -> None:
        """Open (0.0) a contact whatever is true, or let it show what is (1.0). Raises ValueError."""
        if kind not in self.inputs:
            raise ValueError(f"{kind!r} is not a contact of a place; these are: {', '.join(self.inputs)}")
        self.inputs[kind] = value
        if kind == "exhaust_flow":
            self.atmosphere.fan_fails = value < 0.5
