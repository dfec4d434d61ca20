"""Everything physical on a simulated bench, pulled along by whoever looks at it.

Time moves on a grid of one second that begins anew at each command, so what is read does not depend on how often it is
read. While nothing can move but the relaxing of a cell, one step takes as many seconds as were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, TypeVar

from simulators.plant.cell import Cell
from simulators.plant.chamber import ChamberPlant
from simulators.plant.hazard import Hazard
from simulators.plant.place import STEP_S, Place
from simulators.plant.presets import PRESETS
from simulators.plant.terminal import Terminal
from simulators.plant.totals import Totals
from simulators.spec import CellSpec, ChannelSpec, SceneSpec, Signal, SignalKind

if TYPE_CHECKING:
    from simulators.plant.press import Press

Part = TypeVar("Part")


class Plant:
    """The physics of one scene. ``advance(t)`` first, then read; commands take effect at the time advanced to.

    The first ``advance`` sets where its time begins. A name that is not in the scene raises ValueError.
    """

    def __init__(self, spec: SceneSpec) -> None:
        self.now_s = 0.0
        self._start_s = self._end_s = 0.0
        self._begun = False
        wired = {(signal.kind, signal.of) for device in spec.devices for signal in device.points.values()}
        self._places: dict[str, Place] = {}
        shared: dict[str, Place] = {}
        for place in spec.places:
            made = shared.get(place.chamber or "")
            if made is None:
                made = Place(self, place, exhaust_on=("exhaust", place.name) not in wired, seed=spec.seed)
                if place.chamber is not None:
                    shared[place.chamber] = made
            self._places[place.name] = made
        self._in_order = tuple(dict.fromkeys(self._places.values()))
        self._terminals: dict[str, Terminal] = {}
        for channel in spec.channels:
            for name in channel.reaches:
                _named(self._places, name, "place")
            its = _named(self._places, channel.place, "place")
            self._terminals[channel.name] = terminal = _terminal(self, channel, its.air_c, spec.seed)
            its.enter(terminal)
        self._readers: Mapping[SignalKind, Callable[[Signal], float]] = {
            "surface": lambda s: self.place(s.of).surface_c(s.of, self.fraction(), s.index),
            "air": lambda s: self.place(s.of).air.at(self.fraction()),
            "pressure": lambda s: self._now_at(s.of).atmosphere.pressure_kpa,
            "cell_voltage": lambda s: self.terminal(s.of).cell_voltage_at(s.at),
            "feedback": lambda s: float(self.terminal(s.of).closed_at(s.at)),
            "contactor": lambda s: float(self.terminal(s.of).closed_at(s.at)),
            "short": lambda s: float(self.terminal(s.of).short_closed_at(s.at)),
            "short_feedback": lambda s: float(self.terminal(s.of).short_closed_at(s.at)),
            "exhaust": lambda s: float(self.place(s.of).atmosphere.exhaust_on),
            "heater": lambda s: float(self.place(s.of).heater_on),
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

    def place(self, name: str) -> Place:
        """The air, contacts and press of a place."""
        return _named(self._places, name, "place")

    def press(self, place: str) -> Press:
        """The press in a place. Raises ValueError if it has none."""
        press = self.place(place).press
        if press is None:
            raise ValueError(f"place {place!r} has no press")
        return press

    def chamber(self, place: str) -> ChamberPlant:
        """The chamber that conditions a place."""
        chamber = self.place(place).chamber
        if chamber is None:
            raise ValueError(f"place {place!r} has no chamber")
        return chamber

    def contactor(self, channel: str, *, closed: bool, at: str = "") -> None:
        """Drive the coil of a channel's contactor at a place; "" is the channel's own."""
        self.terminal(channel).contactor(closed=closed, at=at)

    def short(self, channel: str, *, closed: bool, at: str = "") -> None:
        """Drive the coil of the contactor that shorts the cell at a place."""
        self.terminal(channel).short(closed=closed, at=at)

    def exhaust(self, place: str, *, on: bool) -> None:
        """Drive the fan of a place."""
        atmosphere = self.place(place).atmosphere
        if on != atmosphere.exhaust_on:
            self.event()
            atmosphere.exhaust_on = on

    def heater(self, place: str, *, on: bool) -> None:
        """Drive the heater pad on the cell in a place."""
        found = self.place(place)
        if on != found.heater_on:
            self.event()
            found.heat(on=on)

    def drive(self, signal: Signal, *, on: bool) -> None:
        """What an output does that is wired to this: contactor, short, exhaust or heater. Others drive nothing."""
        if signal.kind == "contactor":
            self.contactor(signal.of, closed=on, at=signal.at)
        elif signal.kind == "short":
            self.short(signal.of, closed=on, at=signal.at)
        elif signal.kind == "exhaust":
            self.exhaust(signal.of, on=on)
        elif signal.kind == "heater":
            self.heater(signal.of, on=on)

    def signal(self, signal: Signal) -> float:
        """What is wired to a point: degC of a thermocouple (NaN once it is lost), volts of a cell, kPa absolute, else
        1.0 for a closed contact or an output that is on, and 0.0.

        ``smoke``, ``flame`` and ``gas`` are detectors with contacts that open on alarm: 1.0 means clear. ``contactor``,
        ``feedback``, ``short`` and ``short_feedback`` are the main contacts as they are, stuck or not.
        """
        reader = self._readers.get(signal.kind)
        if reader is not None:
            return reader(signal)
        return self._now_at(signal.of).contact(signal.kind)

    def gas_lel(self, place: str) -> float:
        """Combustible gas in a place, in per cent of its lower explosive limit."""
        return self._now_at(place).atmosphere.gas_lel

    def totals(self, channel: str) -> Totals:
        """Truth at the cell's terminals since the plant began."""
        return self.terminal(channel).totals()

    def seen(self, channel: str) -> Mapping[str, bool]:
        """What an observer saw of a channel's cell until now: ``fire, explosion, rupture, leak, vent``."""
        self.fraction()
        return self.terminal(channel).seen()

    # What people do

    def carry(self, channel: str, place: str) -> None:
        """Bring a channel's cell to another place that its leads reach. Raises ValueError."""
        goal, terminal = self.place(place), self.terminal(channel)
        terminal.carry(place)
        for found in self._in_order:
            found.leave(terminal)
        goal.enter(terminal)

    def insert(self, channel: str, cell: CellSpec | None, *, seed: int) -> None:
        """Put another cell, as warm as the air there, into a channel's own clamps; None takes the one there out.

        Raises ValueError while a contactor of the channel is closed.
        """
        terminal = self.terminal(channel)
        goal = self.place(terminal.own_place)
        made, hazard = _cell(cell, goal.air_c, channel, seed)
        terminal.refuse_while_closed()
        for found in self._in_order:
            found.leave(terminal)
        terminal.insert(
            made,
            reversed_=cell is not None and cell.reversed_,
            hazard=hazard,
            thickness_mm=0.0 if cell is None else cell.thickness_mm,
        )
        goal.enter(terminal)

    # Faults

    def stick_contactor(self, channel: str, *, closed: bool | None, at: str = "") -> None:
        """Weld a contactor closed, jam it open, or let it go again (None)."""
        self.terminal(channel).stick(closed=closed, at=at)

    def stick_short(self, channel: str, *, closed: bool | None, at: str = "") -> None:
        """Weld a short contactor closed, jam it open, or let it go again (None)."""
        self.terminal(channel).stick_short(closed=closed, at=at)

    def set_input(self, place: str, kind: SignalKind, value: float) -> None:
        """Open (0.0) the contact of a door, lock, E-stop, detector or exhaust flow, or let it show what is true (1.0).

        With its flow open the exhaust does not blow either.
        """
        found = self.place(place)
        if kind == "exhaust_flow":
            self.event()
        found.force(kind, value)

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
                        place.step(self.now_s, partial_s, quiet=False)
            self._start_s = self._end_s = self.now_s

    def fraction(self) -> float:
        """How far now is into the present step; takes that step if there is none yet."""
        if self._end_s == self._start_s:
            self._extend()
        return (self.now_s - self._start_s) / (self._end_s - self._start_s)

    def _now_at(self, place: str) -> Place:
        self.fraction()
        return self.place(place)

    def _extend(self) -> None:
        """Take the next step: as long as the liveliest place allows, or while all is quiet as many whole seconds as
        lie before now."""
        self._start_s = self._end_s
        length_s = inf
        for place in self._in_order:
            pace_s = place.pace_s()
            if pace_s < length_s:
                length_s = pace_s
        quiet = length_s == inf
        if quiet:
            length_s = STEP_S * max(int(self.now_s - self._start_s), 1)
        self._end_s = self._start_s + length_s
        for place in self._in_order:
            place.step(self._end_s, length_s, quiet=quiet)


def _terminal(plant: Plant, channel: ChannelSpec, temperature_c: float, seed: int) -> Terminal:
    spec = channel.cell
    cell, hazard = _cell(spec, temperature_c, channel.name, seed)
    return Terminal(
        plant,
        cell,
        lead_ohm=channel.lead_resistance_ohm,
        reversed_=spec is not None and spec.reversed_,
        places=(channel.place, *channel.reaches),
        short_ohm=channel.short_resistance_ohm,
        hazard=hazard,
        thickness_mm=0.0 if spec is None else spec.thickness_mm,
    )


def _cell(
    spec: CellSpec | None, temperature_c: float, channel: str, seed: int
) -> tuple[Cell, Hazard] | tuple[None, None]:
    if spec is None:
        return None, None
    cell = Cell(
        _named(PRESETS, spec.preset, "preset"),
        mass_kg=spec.mass_kg,
        soc=spec.start_soc,
        temperature_c=temperature_c,
        capacity_factor=spec.capacity_factor,
    )
    return cell, Hazard(cell, spec, channel=channel, seed=seed)


def _named(parts: Mapping[str, Part], name: str, kind: str) -> Part:
    part = parts.get(name)
    if part is None:
        raise ValueError(f"no {kind} {name!r} here; there are: {', '.join(parts) or 'none'}")
    return part
