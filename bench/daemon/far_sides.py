"""Where a floor's bytes go: to simulators in this process, or to the bench's own devices."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.daemon.supervision import Supervision
from bench.daemon.tenancy import Tenancy
from bench.means import Hands
from bench.run import FarEnd, far_end_of
from bench.run_record import sample_id
from bench.simulated import SimulatedBench
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.wires import Flight


@dataclass(slots=True)
class SimulatedSide:
    """A :class:`bench.daemon.runs.FarSide`: a run's sample is put into its channel when the run begins, and stays there
    until another one comes. A sample with a record of its own is the same cell the next time; one without is new."""

    bench: SimulatedBench
    _inside: dict[str, str] = field(default_factory=dict)

    def seat(self, tenancy: Tenancy) -> FarEnd:
        """Raises DeviceError where the last cell cannot be taken out, ConfigError for a cell that has no simulation."""
        plan, channel = tenancy.plan, tenancy.channel
        known = plan.sample is not None and self._inside.get(channel) == plan.sample.id
        if not known:
            try:
                seed = tenancy.prepared.order.seed
                self.bench.hands.insert(channel, plan.cell, mass_kg=plan.cell.mass_kg, seed=seed)
            except ValueError as error:
                doing = f"putting {sample_id(tenancy.prepared)} into channel {channel}"
                raise DeviceError(
                    plan.channel.contactor.device, doing, str(error), "isolate the channel first"
                ) from None
            self._inside[channel] = sample_id(tenancy.prepared)
        return far_end_of(self.bench)


@dataclass(frozen=True, slots=True)
class LiveSide:
    """A :class:`bench.daemon.runs.FarSide` on the bench's own wires. ``hands`` are a standing bench's; on hardware a
    person carries."""

    clock: Clock
    supervision: Supervision
    hands: Hands | None

    def seat(self, tenancy: Tenancy) -> FarEnd:
        link = self.supervision.share(tenancy.run_id)
        return FarEnd(self.clock, {}, Flight(), simulated=False, hands=self.hands, link=link)
