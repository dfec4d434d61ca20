"""What is true on the bench, looked at over and over beside the program: by the plant, never by the controller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.simulated import SimulatedBench
from simulators.spec import Signal
from tests.simulation.worlds import CHANNEL, PLACE

#: Between two looks.
LOOK_S = 0.025
#: Less than this is no current.
NOTHING_A = 0.02
#: Three thermocouples on the cell.
SURFACES = tuple(Signal("surface", PLACE, index=at) for at in range(3))
INPUTS = ("door_closed", "estop_released", "smoke", "flame")


@dataclass(frozen=True, slots=True)
class Look:
    """One instant. ``energised``: current flows, or the output is on through a closed contactor."""

    at_s: float
    voltage_v: float
    current_a: float
    surface_c: float
    terminal_v: float
    on: bool
    closed: bool
    energised: bool
    inputs_ok: bool


@dataclass(slots=True)
class Watch:
    """The looks of one run, in order."""

    bench: SimulatedBench
    looks: list[Look] = field(default_factory=list)
    also: Callable[[], object] = lambda: None

    def look(self) -> Look:
        """Look now."""
        plant = self.bench.scene.plant
        now_s = asyncio.get_running_loop().time()
        plant.advance(now_s)
        terminal, place = plant.terminal(CHANNEL), plant.place(PLACE)
        current_a = terminal.current_a
        found = Look(
            at_s=now_s,
            voltage_v=terminal.cell_voltage_v,
            current_a=current_a,
            surface_c=max(plant.signal(signal) for signal in SURFACES),
            terminal_v=terminal.voltage_v,
            on=terminal.setting.on,
            closed=terminal.closed,
            energised=abs(current_a) > NOTHING_A or (terminal.closed and terminal.setting.on and not terminal.resting),
            inputs_ok=all(place.contact(kind) > 0.5 for kind in INPUTS),  # type: ignore[arg-type]
        )
        self.looks.append(found)
        return found

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            self.also()
            await asyncio.sleep(LOOK_S)
