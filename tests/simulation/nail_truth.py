"""What is true in the enclosure while a nail goes into a cell, looked at over and over beside the program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.simulated import SimulatedBench
from simulators.spec import Signal
from tests.simulation.truth import LOOK_S, NOTHING_A
from tests.simulation.worlds import CHANNEL

RIG = "rig1"
#: What has to be closed before and while anything moves towards a sample.
GUARDED = ("door_closed", "door_locked", "estop_released")
#: Every contact through which current could leave the sample.
CONTACTS = (Signal("feedback", CHANNEL), Signal("feedback", CHANNEL, RIG))
SHORT = Signal("short_feedback", CHANNEL, RIG)
EXHAUST = Signal("exhaust", RIG)


@dataclass(frozen=True, slots=True)
class NailLook:
    """One instant. ``depth_mm`` is how far the tip is in the sample, ``deepest_mm`` how far it has been."""

    at_s: float
    position_mm: float
    velocity_mm_s: float
    depth_mm: float
    deepest_mm: float
    current_a: float
    closed: bool
    shorted: bool
    guarded: bool
    exhaust: bool
    there: bool
    burnt: bool

    @property
    def moving(self) -> bool:
        """Whether it is driven towards the sample."""
        return self.velocity_mm_s > 0.0

    @property
    def energised(self) -> bool:
        return abs(self.current_a) > NOTHING_A


@dataclass(slots=True)
class NailWatch:
    """The looks of one run, in order."""

    bench: SimulatedBench
    looks: list[NailLook] = field(default_factory=list)
    also: Callable[[], object] = lambda: None

    def look(self) -> NailLook:
        """Look now."""
        plant = self.bench.scene.plant
        now_s = asyncio.get_running_loop().time()
        plant.advance(now_s)
        press, place, terminal = plant.press(RIG), plant.place(RIG), plant.terminal(CHANNEL)
        found = NailLook(
            at_s=now_s,
            position_mm=press.position_mm,
            velocity_mm_s=press.velocity_mm_s,
            depth_mm=press.depth_mm,
            deepest_mm=press.deepest_mm,
            current_a=terminal.current_a,
            closed=any(plant.signal(contact) != 0.0 for contact in CONTACTS),
            shorted=plant.signal(SHORT) != 0.0,
            guarded=all(place.contact(kind) > 0.5 for kind in GUARDED),  # type: ignore[arg-type]
            exhaust=plant.signal(EXHAUST) == 1.0,
            there=terminal.place == RIG,
            burnt=any(plant.seen(CHANNEL)[what] for what in ("fire", "explosion")),
        )
        self.looks.append(found)
        return found

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            self.also()
            await asyncio.sleep(LOOK_S)
