"""A short pulse before the first step: does the sample's own voltage answer to this channel's current?

On a bench with several channels the leads of two may be exchanged: each sample's voltage then looks right, and the
current goes to another. OCV proves nothing between two samples of one kind. A pulse does, if it moves the sample's
voltage by at least five steps of the input that reads it. It grows until it does, up to what the sample is allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.binding.shapes import Point
from bench.config.profiles import configured
from bench.energy import Energy
from bench.plan import Plan
from bench.seat import Seat
from drivers.capabilities import Cycler, Setpoints
from drivers.errors import DeviceError
from drivers.models import driver_model
from sequences.language import Phase

#: A change is seen if it is this many of the input's own steps.
STEPS = 5
#: Of the current that the sample is allowed; each is tried if the one before was too small.
PARTS = (0.05, 0.2, 0.5, 1.0)
#: How long the current has flowed when the voltage is looked at: its ohmic part is there at once.
FLOWS_S = 1.0


@dataclass(frozen=True, slots=True)
class WiringProof:
    """Proves one channel's wiring. The sample is connected, its output off, the guard armed."""

    plan: Plan
    cycler: Cycler
    seat: Seat
    energy: Energy
    event: Callable[..., Any]

    async def run(self, ocv_v: float) -> None:
        """Pulse until the sample answers. Raises DeviceError: it did not, or the other way round."""
        channel = self.seat.channel
        step_v = _resolution_v(self.plan, channel.cell_voltage_point)
        wanted_v = STEPS * step_v
        inside = self.plan.reach.windows[Phase.CONDITIONING]
        charging = ocv_v < (inside.low_v + inside.high_v) / 2.0
        allowed_a = inside.charge_a if charging else inside.discharge_a
        allowed_a = min(allowed_a, self.plan.bench.limits.current_a, self.plan.reach.amps.high)
        moved_v = 0.0
        for part in PARTS:
            current_a = part * allowed_a
            moved_v = await self._pulse(
                current_a, charging=charging, limit_v=inside.high_v if charging else inside.low_v
            )
            self.event(
                "wiring_pulse", current_a=current_a if charging else -current_a, moved_v=moved_v, wanted_v=wanted_v
            )
            if moved_v >= wanted_v:
                return
            if moved_v <= -wanted_v:
                break
        raise DeviceError(
            self.cycler.name,
            "proving which sample its current reaches",
            f"{allowed_a:.3g} A moved the sample's own voltage ({channel.cell_voltage}) by {moved_v * 1e3:.2f} mV, at "
            f"least {wanted_v * 1e3:.2f} mV were to be seen",
            "the leads of two channels may be exchanged: follow them by hand. Where no pulse can be seen, prove the "
            f'wiring by lifting one lead, and write wiring_proof = "by hand" into [channels.{channel.name}]',
        )

    async def _pulse(self, current_a: float, *, charging: bool, limit_v: float) -> float:
        """The change of the sample's voltage in the direction of the current, in V. The output is off afterwards."""
        channel, loop = self.seat.channel, asyncio.get_running_loop()
        what = f"{self.cycler.name} output"
        before_v = (await self.seat.fresh(channel.cell_voltage)).value
        power_w = self.plan.max_power_w
        if charging:
            set_to = Setpoints(limit_v, current_a, 0.0, power_w, 0.0)
        else:
            set_to = Setpoints(limit_v, 0.0, current_a, 0.0, power_w)
        self.event("setpoint", device=self.cycler.name, voltage_v=limit_v, pulse_a=current_a)
        await self.cycler.apply(set_to)
        self.energy.begin(what)
        await self.seat.watched()
        self.event("output_on", device=self.cycler.name, why="wiring pulse")
        await self.cycler.output(on=True)
        await self.seat.heard((channel.cell_voltage,), after_s=loop.time() + FLOWS_S)
        during_v = (await self.seat.fresh(channel.cell_voltage)).value
        self.event("output_off", device=self.cycler.name, why="wiring pulse")
        await self.cycler.output(on=False)
        await self.cycler.apply(Setpoints(before_v, 0.0, 0.0, 0.0, 0.0))
        self.energy.end(what)
        return (during_v - before_v) * (1.0 if charging else -1.0)


def needs_pulse(plan: Plan) -> bool:
    """Where several channels could be exchanged, unless somebody proved by hand that they are not."""
    entry = plan.bench.channels[plan.channel.name]
    return len(plan.bench.channels) > 1 and entry.wiring_proof == "pulse"


def _resolution_v(plan: Plan, point: Point) -> float:
    bench = plan.bench
    entry = bench.devices[point.device]
    model = configured(driver_model(entry.model, frozenset(bench.distributions)), bench, point.device)
    return model.spans(entry.rating)["voltage_v"].resolution
