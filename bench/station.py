"""The devices of one run, on their wires: opened in bench-file order, closed in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from types import TracebackType

from bench.binding.shapes import BoundChannel
from bench.config import BenchFile
from bench.config.profiles import configured
from bench.energy import Energy
from bench.found_on import found_on
from bench.plan import Plan
from bench.safe_state import SafeState, outlast
from drivers.capabilities import Chamber, Closes, Cycler, Device, DeviceSettings, Identity, Rig, Switches
from drivers.clock import Clock
from drivers.errors import DeviceError, Fault
from drivers.models import driver_model
from drivers.reading import Reading
from drivers.wires import Flight, Wire
from drivers.wires.health import LineEvent
from drivers.wires.opening import make_wire, prepared
from drivers.wires.url import wire_key


class Station:
    """Makes the drivers that a plan uses, and no others. Devices whose urls name one wire share it.

    ``urls`` stands in for the bench file's (a simulated run's devices are elsewhere). Use it as ``async with``:
    inside, every wire is open and every device has answered as the one that the bench file names. Connecting only
    reads; nothing is switched before the engine's preflight - unless a device is missing or the connecting is given up,
    so that there will be none: then the cycler and the contactor's module, where they answered, are made safe if they
    are found energised.
    ``lent`` are wires whose port the guardian owns, by key.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        *,
        urls: Mapping[str, str],
        flight: Flight | None = None,
        simulated: bool,
        lent: Mapping[str, Wire] | None = None,
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
                borrowed = (lent or {}).get(key)
                self.wires[key] = borrowed or make_wire(url, flight=counted, simulated=simulated)
            self._keys[name] = key
            self.devices[name] = made_device(plan.bench, name, self.wires[key], clock, plan.points[name])
            # Limits and interlocks hang on all but the chambers: theirs are the connections that come back first.
            prepared(self.wires[key], safety=not isinstance(self.devices[name], Chamber))

    def tell(self, event: LineEvent) -> None:
        """Tell ``event`` from now on what becomes of the wires (``line_degraded``, ``wrong_unit``, ``port_shared``)."""
        for wire in self.wires.values():
            prepared(wire, event=event)

    def device_on(self, url: str) -> str:
        """The first device on the wire of this url; the url itself where there is none."""
        return next((name for name, key in self._keys.items() if self.wires[key].url == url), url)

    async def __aenter__(self) -> Station:
        """Open and connect. Raises DeviceError with the faults of every device that failed, and what was found on."""
        try:
            await self._connect()
        except asyncio.CancelledError:
            await outlast(asyncio.get_running_loop().create_task(self._leave_safe(), name="leave safe"))
            await self.close()
            raise
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what the devices do by themselves, then close every wire, the last opened first. Idempotent. Whoever is
        cancelled meanwhile stays until every one is closed."""
        closing = asyncio.get_running_loop().create_task(self._close(), name="close the station")
        cancelled = await outlast(closing)
        closing.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _close(self) -> None:
        """Raises the first error, after every one was asked to close."""
        failed: list[Exception] = []
        for part in (*self.devices.values(), *reversed(self.wires.values())):
            if isinstance(part, Closes):
                try:
                    await part.close()
                except Exception as error:  # noqa: BLE001 - whatever it is, no other wire stays open for it
                    failed.append(error)
        if failed:
            raise failed[0]

    @property
    def cycler(self) -> Cycler:
        device = self.devices[self.plan.channel.cycler_device]
        if not isinstance(device, Cycler):
            raise TypeError(f"{device.name} is no cycler")
        return device

    @property
    def modules(self) -> tuple[Switches, ...]:
        """The modules that drive contactors and other outputs."""
        return tuple(device for device in self.devices.values() if isinstance(device, Switches))

    @property
    def rig(self) -> Rig | None:
        """The rig of the place where the stimulus happens, if that has one."""
        return next((device for device in self.devices.values() if isinstance(device, Rig)), None)

    @property
    def chamber(self) -> Chamber | None:
        name = self.plan.channel.chamber_device
        if name is None:
            return None
        device = self.devices[name]
        if not isinstance(device, Chamber):
            raise TypeError(f"{device.name} is no chamber")
        return device

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
            first.faults = (*(fault for error in failed for fault in error.faults), *await self._leave_safe())
            raise first

    async def _leave_safe(self) -> tuple[Fault, ...]:
        """Take the energy from what answered and is found on; gives what was found and what became of it."""
        channel, answered = self.plan.channel, self.identities
        modules = (module for place in self.plan.places.values() for module in _modules(place))
        names = dict.fromkeys((channel.cycler_device, *modules))
        able = {name: self.devices[name] for name in names if name in answered}
        faults: list[Fault] = []
        heard: dict[str, Reading] = {}
        found: dict[str, str] = {}
        for name, device in able.items():
            try:
                heard.update((reading.channel, reading) for reading in await device.read())
            except DeviceError as error:
                found[name] = f"it cannot be read ({error.faults[0].error})"
        try:
            found |= await found_on(self.plan, heard, able.get(channel.cycler_device))
        except DeviceError as error:
            found[channel.cycler_device] = f"its output cannot be asked for ({error.faults[0].error})"
        if not found:
            return ()
        feedbacks = tuple(feedback for feedback in self.plan.feedbacks if _device_of(feedback) in able)
        safe = SafeState(tuple(able.values()), feedbacks=feedbacks, energy=Energy(), event=lambda _, **__: None)
        making = safe.begin("found energised")
        cancelled = await outlast(making)
        result = making.result()
        failures = {part.device: part.error for part in result.failures}
        for name, what in found.items():
            text = f"found_energised: {what}; " + ("NOT confirmed safe" if name in failures else "made safe")
            faults.append(Fault(text, name, "find out who left it on before the next run"))
        for name, failure in failures.items():
            fix = "isolate the sample by hand before anyone approaches"
            faults.append(Fault(f"safe state not confirmed: {failure}", name, fix))
        if cancelled:
            raise asyncio.CancelledError
        return tuple(faults)


def made_device(bench: BenchFile, name: str, wire: Wire, clock: Clock, points: tuple[str, ...]) -> Device:
    """The driver of one device of a bench file, on a wire that is or will be open. Raises ConfigError, KeyError."""
    entry = bench.devices[name]
    model = configured(driver_model(entry.model, frozenset(bench.distributions)), bench, name)
    return model.create(
        DeviceSettings(
            name=name,
            wire=wire,
            clock=clock,
            unit=entry.unit,
            serial=entry.serial,
            points=points,
            rating=entry.rating,
            mains_hz=bench.mains_hz,
        )
    )


def _modules(place: BoundChannel) -> Iterator[str]:
    """The devices that drive or prove a contactor of one place."""
    yield place.contactor.device
    yield _device_of(place.contactor_feedback)
    if place.short is not None:
        yield place.short.device
    if place.short_feedback is not None:
        yield _device_of(place.short_feedback)


def _device_of(channel: str) -> str:
    return channel.partition(".")[0]
