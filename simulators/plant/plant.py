"""Everything physical on a simulated bench, pulled along by whoever looks at it.

Time moves on a grid of one second that begins anew at each command, so what is read does not depend on how often it is
read. While nothing can move but the relaxing of a cell, one step takes as many seconds as were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from simulators.plant.cell import Cell
from simulators.plant.chamber import ChamberPlant
from simulators.plant.presets import PRESETS
from simulators.plant.terminal import THERMOCOUPLE_S, Lagged, Terminal, Totals
from simulators.spec import ChannelSpec, PlaceSpec, SceneSpec, Signal, SignalKind

STEP_S = 1.0
#: A cell this close to its air counts as settled.
SETTLED_CELL_K = 1e-4
_HEALTHY: Mapping[SignalKind, float] = {"door_closed": 1.0, "estop_released": 1.0, "smoke": 1.0, "flame": 1.0}

Part = TypeVar("Part")


class Place:
    """The air of one place, what conditions it, and the cells in it."""

    def __init__(self, plant: Plant, spec: PlaceSpec) -> None:
        self.name = spec.name
        self.chamber = ChamberPlant(plant, spec.start_temperature_c) if spec.chamber is not None else None
        self.terminals: list[Terminal] = []
        self.inputs = dict(_HEALTHY)
        self.air = Lagged(spec.start_temperature_c, THERMOCOUPLE_S)
        self._air_c = spec.start_temperature_c

    def quiet(self) -> bool:
        """Whether only relaxation within the cells is left."""
        air_c = self._air_c if self.chamber is None else self.chamber.end_c
        for terminal in self.terminals:
            cell = terminal.cell
            if not terminal.resting or (cell is not None and abs(cell.temperature_c - air_c) > SETTLED_CELL_K):
                return False
        return self.chamber is None or self.chamber.settled

    def step(self, dt_s: float, *, quiet: bool) -> None:
        """Air first, with the heat of the cells as they are; then the cells in the mean air of the step."""
        chamber = self.chamber
        if chamber is None:
            start_c = end_c = self._air_c
        else:
            if quiet:
                chamber.rest(dt_s)
            else:
                heat_w = 0.0
                for terminal in self.terminals:
                    heat_w += terminal.heat_to_air_w(chamber.end_c)
                chamber.step(dt_s, heat_w)
            start_c, end_c = chamber.start_c, chamber.end_c
            self.air.step(dt_s, start_c, end_c)
        for terminal in self.terminals:
            terminal.step(dt_s, 0.5 * (start_c + end_c))

    def rewind(self) -> None:
        """Undo the last step."""
        if self.chamber is not None:
            self.chamber.rewind()
            self.air.rewind()
        for terminal in self.terminals:
            terminal.rewind()

    def surface_c(self, fraction: float) -> float:
        """A thermocouple on the first cell of this place; without a cell it hangs in the air."""
        for terminal in self.terminals:
            if terminal.cell is not None:
                return terminal.surface.at(fraction)
        return self.air.at(fraction)


class Plant:
    """The physics of one scene. ``advance(t)`` first, then read; commands take effect at the time advanced to.

    The first ``advance`` sets where its time begins. A name that is not in the scene raises ValueError.
    """

    def __init__(self, spec: SceneSpec) -> None:
        self.now_s = 0.0
        self._start_s = self._end_s = 0.0
        self._begun = False
        self._places = {place.name: Place(self, place) for place in spec.places}
        self._in_order = tuple(self._places.values())
        self._terminals: dict[str, Terminal] = {}
        for channel in spec.channels:
            place = _named(self._places, channel.place, "place")
            start_c = next(p.start_temperature_c for p in spec.places if p.name == channel.place)
            self._terminals[channel.name] = terminal = _terminal(self, channel, start_c)
            place.terminals.append(terminal)
        self._readers: Mapping[SignalKind, Callable[[str], float]] = {
            "surface": lambda of: _named(self._places, of, "place").surface_c(self.fraction()),
            "air": lambda of: _named(self._places, of, "place").air.at(self.fraction()),
            "cell_voltage": lambda of: self.terminal(of).cell_voltage_v,
            "feedback": lambda of: 1.0 if self.terminal(of).closed else 0.0,
            "contactor": lambda of: 1.0 if self.terminal(of).closed else 0.0,
            "door_closed": lambda of: _named(self._places, of, "place").inputs["door_closed"],
            "estop_released": lambda of: _named(self._places, of, "place").inputs["estop_released"],
            "smoke": lambda of: _named(self._places, of, "place").inputs["smoke"],
            "flame": lambda of: _named(self._places, of, "place").inputs["flame"],
            "idle": lambda _: 0.0,
        }

    # What the instruments see and do

    def advance(self, t_s: float) -> None:
        """Move to this absolute time. Going back is not moving."""
        if t_s <= self.now_s and self._begun:
            return
        if not self._begun:
            self._begun = True
            self.event()
            self._start_s = self._end_s = t_s
        self.now_s = t_s
        while self._end_s < t_s:
            self._extend()

    def terminal(self, channel: str) -> Terminal:
        """The cycler's side of a channel."""
        return _named(self._terminals, channel, "channel")

    def contactor(self, channel: str, *, closed: bool) -> None:
        """Drive the coil of a channel's contactor."""
        self.terminal(channel).contactor(closed=closed)

    def chamber(self, place: str) -> ChamberPlant:
        """The chamber that conditions a place."""
        chamber = _named(self._places, place, "place").chamber
        if chamber is None:
            raise ValueError(f"place {place!r} has no chamber")
        return chamber

    def signal(self, signal: Signal) -> float:
        """What is wired to a point: degC of a thermocouple, volts of a cell, else 1.0 for a closed contact and 0.0.

        ``smoke`` and ``flame`` are detectors with contacts that open on alarm: 1.0 means clear. ``contactor`` and
        ``feedback`` are the main contacts as they are, stuck or not.
        """
        return self._readers[signal.kind](signal.of)

    def totals(self, channel: str) -> Totals:
        """Truth at the cell's terminals since the plant began."""
        return self.terminal(channel).totals()

    # Faults

    def stick_contactor(self, channel: str, *, closed: bool | None) -> None:
        """Weld a contactor closed, jam it open, or let it go again (None)."""
        self.terminal(channel).stick(closed=closed)

    def set_input(self, place: str, kind: SignalKind, value: float) -> None:
        """Open (0.0) or close (1.0) the contact of a door, E-stop, smoke or flame detector."""
        inputs = _named(self._places, place, "place").inputs
        if kind not in inputs:
            raise ValueError(f"{kind!r} is not a contact of a place; these are: {', '.join(inputs)}")
        inputs[kind] = value

    # Times: what the parts ask

    def event(self) -> None:
        """Make now the beginning of the next step."""
        if self._end_s > self._start_s:
            if self.now_s < self._end_s:
                for place in self._in_order:
                    place.rewind()
                partial_s = self.now_s - self._start_s
                if partial_s > 0.0:
                    for place in self._in_order:
                        place.step(partial_s, quiet=False)
            self._start_s = self._end_s = self.now_s

    def fraction(self) -> float:
        """How far now is into the present step; takes that step if there is none yet."""
        if self._end_s == self._start_s:
            self._extend()
        return (self.now_s - self._start_s) / (self._end_s - self._start_s)

    def _extend(self) -> None:
        """Take the next step: one second, or while all is quiet as many whole ones as lie before now."""
        self._start_s = self._end_s
        quiet = True
        for place in self._in_order:
            if not place.quiet():
                quiet = False
                break
        length_s = STEP_S
        if quiet:
            length_s *= max(int(self.now_s - self._start_s), 1)
        for place in self._in_order:
            place.step(length_s, quiet=quiet)
        self._end_s = self._start_s + length_s


def _terminal(plant: Plant, channel: ChannelSpec, temperature_c: float) -> Terminal:
    """``short_resistance_ohm`` and ``ignites`` of the cell do nothing here: this physics has no short and no fire."""
    spec = channel.cell
    cell = None
    if spec is not None:
        preset = _named(PRESETS, spec.preset, "preset")
        cell = Cell(
            preset,
            mass_kg=spec.mass_kg,
            soc=spec.start_soc,
            temperature_c=temperature_c,
            capacity_factor=spec.capacity_factor,
        )
    return Terminal(plant, cell, lead_ohm=channel.lead_resistance_ohm, reversed_=spec is not None and spec.reversed_)


def _named(parts: Mapping[str, Part], name: str, kind: str) -> Part:
    part = parts.get(name)
    if part is None:
        raise ValueError(f"no {kind} {name!r} here; there are: {', '.join(parts) or 'none'}")
    return part
