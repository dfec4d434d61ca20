"""What a step works with: the plan, the devices that it may command, and what it leaves its findings in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bench.aftermath import Aftermath
from bench.answers import Answers
from bench.energy import Energy
from bench.notebook import Notebook, TruthProbe
from bench.plan import Plan
from bench.seat import Seat
from bench.stream import Stream
from bench.stroke import StrokeRun
from drivers.capabilities import Chamber, Cycler
from sequences.expressions import Expression

#: What the heat of a stimulus is called while it is on.
HEAT = "heat"


class Hands(Protocol):
    """Who carries the sample on a simulated bench, where no person can."""

    async def carry(self, channel: str, place: str) -> None:
        """Put the cell of a channel into another place."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a step works with. ``stroke`` is None where no place of the run has a rig, ``hands`` on hardware."""

    plan: Plan
    cycler: Cycler
    chamber: Chamber | None
    stream: Stream
    energy: Energy
    notebook: Notebook
    answers: Answers
    truth: TruthProbe | None
    event: Callable[..., Any]
    seat: Seat
    aftermath: Aftermath
    stroke: StrokeRun | None
    hands: Hands | None

    def worth(self, expression: Expression) -> float:
        """An expression's value now. Raises MissingValueError, or ValueError if it comes to no number."""
        value = self.notebook.evaluate(expression)
        if value is None:
            raise ValueError(f"'{expression}' has no value at this step")
        return value

    @property
    def tool_in(self) -> bool:
        """Whether a nail or a platen is in the sample, as far as the host knows."""
        return self.stroke is not None and self.stroke.tool_in

    def needed_stroke(self) -> StrokeRun:
        if self.stroke is None:
            raise ValueError("the sample's place has no rig")
        return self.stroke

    def needed_chamber(self) -> Chamber:
        if self.chamber is None:
            raise ValueError("the sample's place has no chamber")
        return self.chamber

    def no_longer_heating(self) -> None:
        """The chamber is on its way to no setpoint any more."""
        for what in [name for name in self.energy.what if " to " in name]:
            self.energy.end(what)

    async def end_heat(self) -> None:
        """Take the heat of the stimulus away, unless a trip has."""
        heater = self.seat.channel.heater
        if HEAT not in self.energy.what or self.energy.forbidden:
            return
        if heater is not None:
            self.event("heater", device=heater.device, point=heater.point, on=False)
            await self.seat.switch(heater, on=False)
        if self.chamber is not None:
            self.event("setpoint", device=self.chamber.name, what="to ambient: the heat ends")
            await self.chamber.make_safe(fire=bool(self.aftermath.spoke))
        self.energy.end(HEAT)
