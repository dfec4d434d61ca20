"""A bare plant with one cell in one chamber, driven by hand, for the plant's tests."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from simulators.plant.plant import Plant
from simulators.plant.presets import PRESETS
from simulators.plant.terminal import Terminal
from simulators.plant.totals import Totals
from simulators.spec import CellSpec, ChannelSpec, PlaceSpec, SceneSpec


def scene(cell: CellSpec | None, *, chamber: bool = True, lead_ohm: float = 2e-4) -> SceneSpec:
    """Channel 1 with this cell in place ``here``; an empty channel 2 beside it."""
    return SceneSpec(
        devices=(),
        places=(PlaceSpec("here", "ch1" if chamber else None, 25.0), PlaceSpec("rig")),
        channels=(ChannelSpec("1", "here", cell, lead_ohm), ChannelSpec("2", "rig", None)),
    )


def cell_spec(
    name: str, *, mass_kg: float | None = None, soc: float = 0.3, factor: float = 1.0, reversed_: bool = False
) -> CellSpec:
    """A cell of a preset with its calculated mass."""
    return CellSpec(
        preset=name,
        mass_kg=mass_kg or PRESETS[name].mass_kg(),
        thickness_mm=10.0,
        capacity_factor=factor,
        start_soc=soc,
        reversed_=reversed_,
    )


def energised(cell: CellSpec | None, *, lead_ohm: float = 2e-4) -> tuple[Plant, Terminal]:
    """At time 0: chamber at 25 degC and running, contactor closed, output off."""
    plant = Plant(scene(cell, lead_ohm=lead_ohm))
    plant.advance(0.0)
    chamber = plant.chamber("here")
    chamber.setpoint_c, chamber.running = 25.0, True
    plant.contactor("1", closed=True)
    return plant, plant.terminal("1")


def hold(
    terminal: Terminal,
    voltage_v: float,
    *,
    source_a: float = 0.0,
    sink_a: float = 0.0,
    source_w: float = inf,
    sink_w: float = inf,
) -> None:
    """Output on with these set values."""
    terminal.regulate(on=True, voltage_v=voltage_v, source_a=source_a, sink_a=sink_a, source_w=source_w, sink_w=sink_w)


def off(terminal: Terminal) -> None:
    """Output off, set values zero."""
    terminal.regulate(on=False, voltage_v=0.0, source_a=0.0, sink_a=0.0, source_w=inf, sink_w=inf)


def until(plant: Plant, condition: Callable[[], bool], *, at_most_s: float = 50_000.0) -> float:
    """Second after second until the condition holds; the seconds."""
    begun_s = plant.now_s
    while plant.now_s - begun_s < at_most_s:
        plant.advance(plant.now_s + 1.0)
        if condition():
            return plant.now_s - begun_s
    raise AssertionError(f"not within {at_most_s} s")


def full_then_empty(cell: CellSpec, current_a: float) -> tuple[Totals, Totals]:
    """Charge as the cell files say (I3 to the limit, held to 0.05 I1), rest an hour, discharge: totals at both ends of
    the discharge."""
    preset = PRESETS[cell.preset]
    plant, terminal = energised(cell)
    hold(terminal, preset.v_max, source_a=preset.rated_ah / 3)
    until(plant, lambda: terminal.current_a <= 0.05 * preset.rated_ah)
    off(terminal)
    plant.advance(plant.now_s + 3600.0)
    before = plant.totals("1")
    hold(terminal, preset.v_min, sink_a=current_a)
    until(plant, lambda: -terminal.current_a < 0.98 * current_a)
    return before, plant.totals("1")
