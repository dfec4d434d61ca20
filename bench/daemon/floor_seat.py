"""The station of a run that shares its bench with others: its devices are open already, and some are lent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from bench.daemon.floor import Floor
from bench.daemon.floor_device import FloorDevice
from bench.daemon.leases import Leases
from bench.daemon.lent_devices import LentChamber, LentInputs, LentSwitches, Use
from bench.plan import Plan
from bench.station import Station
from drivers.capabilities import Chamber, Cycler, Device, Rig, Switches
from drivers.errors import DeviceError
from drivers.wires.health import LineEvent


class FloorSeat(Station):
    """A :class:`bench.station.Station` on a floor. Entering it connects what is not connected and raises DeviceError
    with the faults of every device that does not answer; leaving it closes nothing."""

    def __init__(self, floor: Floor, leases: Leases, plan: Plan, run: str) -> None:
        self.plan = plan
        self.clock = floor.clock
        self.identities = {}
        self.wires = {}
        self._keys = dict.fromkeys(plan.devices, "")
        self._floor = floor
        self._leases = leases
        self._use = Use(run, asyncio.get_running_loop().time())
        self._deaf: Callable[[], None] | None = None
        self.devices = {name: self._lent(floor.devices[name]) for name in plan.devices}

    def tell(self, event: LineEvent) -> None:
        """As every station does: of the wires of this run's devices."""
        if self._deaf is not None:
            self._deaf()
        self._deaf = self._floor.hears(self.devices, event)

    async def __aenter__(self) -> FloorSeat:
        failed: list[DeviceError] = []
        for name, device in self.devices.items():
            floor_device = self._floor.devices[name]
            try:
                if floor_device.identity is None or floor_device.lost is not None:
                    await self._floor.reach(name)
                self.identities[name] = await floor_device.connect()
            except DeviceError as error:
                failed.append(error)
            else:
                floor_device.users.add(self._use.run)
                self.devices[name] = device
        if failed:
            await self.close()
            first = failed[0]
            first.faults = tuple(fault for error in failed for fault in error.faults)
            raise first
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave every device to the others. Idempotent."""
        if self._deaf is not None:
            self._deaf()
            self._deaf = None
        for name in self.devices:
            self._floor.devices[name].left_by(self._use.run)

    def _lent(self, device: FloorDevice) -> Device:
        """The driver itself where it is this run's alone, else what stands for it."""
        plan, name, driver = self.plan, device.name, device.driver
        channels = self._floor.channels_of(name, plan.points[name])
        if isinstance(driver, Cycler | Rig) and channels == driver.channels:
            return driver
        poll = plan.polls[name]
        period_s = min(poll.energised_s, poll.rest_s, poll.stimulus_s or poll.energised_s)
        if isinstance(driver, Switches):
            own = self._floor.outputs(name) & set(plan.points[name])
            return LentSwitches(device, self._use, channels, period_s=period_s, own=own)
        if isinstance(driver, Chamber):
            return LentChamber(
                device,
                self._use,
                channels,
                period_s=period_s,
                holds=lambda: self._leases.holders(name),
                take_up=lambda: self._leases.take_up(self._use.run, name),
                lay_down=lambda: self._leases.lay_down(self._use.run, name),
            )
        return LentInputs(device, self._use, channels, period_s=period_s)
