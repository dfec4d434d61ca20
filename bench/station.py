"""The devices of one run, on their wires: opened in bench-file order, closed in reverse."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from bench.plan import Plan
from drivers.capabilities import Chamber, Cycler, Device, DeviceSettings, Identity, Switches
from drivers.clock import Clock
from drivers.errors import DeviceError, Fault
from drivers.models import driver_model
from drivers.wires import Flight, Wire
from drivers.wires.opening import make_wire
from drivers.wires.url import wire_key


class Station:
    """Makes the drivers that a plan uses, and no others. Devices whose urls name one wire share it.

    ``urls`` stands in for the bench file's (a simulated run's devices are elsewhere). Use it as ``async with``:
    inside, every wire is open and every device has answered as the one that the bench file names. Connecting only
    reads; nothing is switched before the engine's preflight.
    """

    def __init__(
        self, plan: Plan, clock: Clock, *, urls: Mapping[str, str], flight: Flight | None = None, simulated: bool
    ) -> None:
        self.plan = plan
        self.clock = clock
        self.devices: dict[str, Device] = {}
        self.identities: dict[str, Identity] = {}
        self.wires: dict[str, Wire] = {}
        self._keys: dict[str, str] = {}
        counted = flight or Flight()
        for name in plan.devices:
            url = urls.get(name, plan.bench.devices[name].url)
            key = wire_key(url)
            if key not in self.wires:
                self.wires[key] = make_wire(url, flight=counted, simulated=simulated)
            self._keys[name] = key
            self.devices[name] = self._made(name, self.wires[key])

    async def __aenter__(self) -> Station:
        """Open and connect. Raises DeviceError that carries the faults of every device that failed."""
        try:
            await self._connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every wire, the last opened first. Idempotent."""
        for wire in reversed(self.wires.values()):
            await wire.close()

    @property
    def cycler(self) -> Cycler:
        device = self.devices[self.plan.channel.cycler_device]
        if not isinstance(device, Cycler):
            raise TypeError(f"{device.name} is no cycler")
        return device

    @property
    def switches(self) -> Switches:
        """The module that drives the sample's contactor."""
        device = self.devices[self.plan.channel.contactor.device]
        if not isinstance(device, Switches):
            raise TypeError(f"{device.name} switches nothing")
        return device

    @property
    def chamber(self) -> Chamber | None:
        name = self.plan.channel.chamber_device
        if name is None:
            return None
        device = self.devices[name]
        if not isinstance(device, Chamber):
            raise TypeError(f"{device.name} is no chamber")
        return device

    def _made(self, name: str, wire: Wire) -> Device:
        entry, bench = self.plan.bench.devices[name], self.plan.bench
        model = driver_model(entry.model, frozenset(bench.distributions))
        return model.create(
            DeviceSettings(
                name=name,
                wire=wire,
                clock=self.clock,
                unit=entry.unit,
                serial=entry.serial,
                points=self.plan.points[name],
                rating=entry.rating,
                mains_hz=bench.mains_hz,
            )
        )

    async def _connect(self) -> None:
        failed: list[DeviceError] = []
        dead: set[str] = set()
        for key, wire in self.wires.items():
            try:
                await wire.open()
            except DeviceError as error:
                dead.add(key)
                error.faults = tuple(
                    Fault(fault.error, name, fault.fix)
                    for fault in error.faults
                    for name, its_key in self._keys.items()
                    if its_key == key
                )
                failed.append(error)
        for name, device in self.devices.items():
            if self._keys[name] in dead:
                continue
            try:
                self.identities[name] = await device.connect()
            except DeviceError as error:
                failed.append(error)
        if failed:
            first = failed[0]
            first.faults = tuple(fault for error in failed for fault in error.faults)
            raise first
