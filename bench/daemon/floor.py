"""The floor: every device of a bench, opened once and lent to the runs that use it.

What no run uses is read at rest, for the wall, and so that its host watchdog sees the host. A device that does not
answer is tried again at the same pace; its channels cannot be used meanwhile. Nothing on the floor gives energy: what
is found energised when it opens is made safe, and after that only runs switch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from bench.binding.faults import Findings
from bench.binding.points import Equipment, bind_roles, bound_channel, equip, used_points
from bench.binding.shapes import BoundChannel
from bench.config import BenchFile
from bench.daemon.floor_device import FloorDevice
from bench.energy import Energy
from bench.found_on import AT_REST
from bench.safe_state import SafeResult, SafeState, outlast
from bench.station import made_device
from drivers.capabilities import Chamber, Closes, Cycler, PointKind, TellsOutput
from drivers.clock import Clock
from drivers.errors import ConfigError, DeviceError, Fault
from drivers.models import driver_model
from drivers.wires import Flight, Wire
from drivers.wires.opening import make_wire, prepared
from drivers.wires.url import wire_key

#: What is at rest is read no more often than this: it is shown, and nothing hangs on it.
AT_REST_S = 2.0


class Floor:
    """Use it as ``async with``. ``urls`` stand in for the bench file's. Raises ConfigError for a bench that cannot be:
    every fault of its devices and roles.

    ``found`` is what was found energised at the opening, and what became of it.
    """

    def __init__(
        self,
        bench: BenchFile,
        clock: Clock,
        *,
        urls: Mapping[str, str],
        flight: Flight | None = None,
        simulated: bool,
        lent: Mapping[str, Wire] | None = None,
    ) -> None:
        self.bench = bench
        self.clock = clock
        self.equipment = _equipment(bench)
        self.channels: dict[str, tuple[BoundChannel, ...]] = {
            name: tuple(bound_channel(bench, name, place) for place in (entry.place, *entry.reaches))
            for name, entry in bench.channels.items()
        }
        self.points = used_points(bench, [place for places in self.channels.values() for place in places])
        self.devices: dict[str, FloorDevice] = {}
        self.wires: dict[str, Wire] = {}
        self.found: tuple[Fault, ...] = ()
        self._keys: dict[str, str] = {}
        self._opened: set[str] = set()
        self._hearing: dict[str, list[Callable[..., object]]] = {}
        self._polling: list[asyncio.Task[None]] = []
        counted = flight or Flight()
        for name in self.points:
            url = urls.get(name, bench.devices[name].url)
            key = wire_key(url)
            if key not in self.wires:
                borrowed = (lent or {}).get(key)
                self.wires[key] = borrowed or make_wire(url, flight=counted, simulated=simulated)
                prepared(self.wires[key], event=lambda event, key=key, **facts: self._line_told(key, event, **facts))
            self._keys[name] = key
            driver = made_device(bench, name, self.wires[key], clock, self.points[name])
            self.devices[name] = FloorDevice(driver)
            prepared(self.wires[key], safety=not isinstance(driver, Chamber))

    async def __aenter__(self) -> Floor:
        try:
            await asyncio.gather(*(self.reach(name) for name in self.devices), return_exceptions=True)
            self.found = await self._adopt()
        except BaseException:
            await self.close()
            raise
        loop = asyncio.get_running_loop()
        self._polling = [
            loop.create_task(self._poll(device, at), name=f"rest {device.name}")
            for at, device in enumerate(self.devices.values())
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop reading, close every wire. Idempotent. What is energised is the caller's to have made safe."""
        for task in self._polling:
            task.cancel()
        await asyncio.gather(*self._polling, return_exceptions=True)
        self._polling = []
        for device in self.devices.values():
            if isinstance(device.driver, Closes):
                await device.driver.close()
        for wire in reversed(self.wires.values()):
            await wire.close()

    async def reach(self, name: str) -> None:
        """Open the device's wire if it is not, and hear who answers. Raises DeviceError, and keeps it in ``lost``."""
        device, key = self.devices[name], self._keys[name]
        try:
            if key not in self._opened:
                await self.wires[key].open()
                self._opened.add(key)
            await device.connect()
        except DeviceError as error:
            device.lost = error
            raise

    def hears(self, names: Iterable[str], event: Callable[..., object]) -> Callable[[], None]:
        """Tell ``event`` what becomes of these devices' wires; gives what ends it."""
        keys = {self._keys[name] for name in names}
        for key in keys:
            self._hearing.setdefault(key, []).append(event)

        def end() -> None:
            for key in keys:
                if event in self._hearing[key]:
                    self._hearing[key].remove(event)

        return end

    async def make_all_safe(self, why: str) -> SafeResult:
        """Every device of the floor, whoever uses it. Never raises; what failed is in the result."""
        feedbacks = [name for places in self.channels.values() for place in places for name in _feedbacks(place)]
        detectors = {name for places in self.channels.values() for place in places for name in place.detectors.values()}
        safe = SafeState(
            tuple(device.driver for device in self.devices.values() if device.identity is not None),
            feedbacks=[
                name for name in dict.fromkeys(feedbacks) if self.devices[_device_of(name)].identity is not None
            ],
            energy=Energy(),
            event=lambda _, **__: None,
            detectors={_device_of(name) for name in detectors if self.devices[_device_of(name)].identity is not None},
            burns=lambda seen: any(reading.channel in detectors and not reading.value >= 0.5 for reading in seen),
        )
        making = safe.begin(why)
        cancelled = await outlast(making)
        if cancelled:
            raise asyncio.CancelledError
        return making.result()

    def outputs(self, device: str) -> frozenset[str]:
        """The outputs of a device, by its model."""
        points = self.equipment.models[device].points
        return frozenset(name for name, kind in points.items() if kind is PointKind.OUTPUT)

    def channels_of(self, device: str, points: tuple[str, ...]) -> tuple[str, ...]:
        """The reading channels of these points of a device, as its driver names them."""
        return made_device(self.bench, device, self.wires[self._keys[device]], self.clock, points).channels

    async def _adopt(self) -> tuple[Fault, ...]:
        """Make safe what somebody left on: a crashed host, a person at the front panel."""
        found: dict[str, str] = {}
        for device in self.devices.values():
            if device.identity is None:
                continue
            try:
                await device.read(since_s=asyncio.get_running_loop().time())
                if isinstance(device.driver, Cycler) and await _is_on(device.driver):
                    found[device.name] = f"the output of {device.name} is on"
            except DeviceError as error:
                found[device.name] = f"it cannot be read ({error.faults[0].error})"
        for name, places in self.channels.items():
            for place in places:
                found |= self._left_on(name, place)
        if not found:
            return ()
        result = await self.make_all_safe("found energised")
        failures = {part.device: part.error for part in result.failures}
        faults = [
            Fault(
                f"found_energised: {what}; " + ("NOT confirmed safe" if name in failures else "made safe"),
                name,
                "find out who left it on",
            )
            for name, what in found.items()
        ]
        fix = "isolate the sample by hand before anyone approaches"
        faults += [Fault(f"safe state not confirmed: {what}", name, fix) for name, what in failures.items()]
        return tuple(faults)

    def _left_on(self, channel: str, place: BoundChannel) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in _feedbacks(place):
            reading = self.devices[_device_of(name)].latest.get(name)
            if reading is not None and reading.value != 0.0:
                found[_device_of(name)] = f"a contactor of channel {channel} is closed ({name})"
        cycler = self.devices[place.cycler_device]
        current, rated_a = cycler.latest.get(place.current), self.equipment.span(cycler.name, "current_a")
        if current is not None and rated_a is not None and not abs(current.value) <= AT_REST * rated_a.high:
            found[cycler.name] = f"{cycler.name} carries {current.value:.2f} A"
        return found

    async def _poll(self, device: FloorDevice, at: int) -> None:
        """Read at rest what no run uses; try again what does not answer."""
        loop = asyncio.get_running_loop()
        entry = self.bench.devices[device.name]
        period_s = max(AT_REST_S, entry.poll.rest_s or self.bench.polling.rest_s)
        await asyncio.sleep(at * 0.010)
        while True:
            await asyncio.sleep(period_s)
            if device.users:
                continue
            try:
                if device.identity is None:
                    await self.reach(device.name)
                await device.read(since_s=loop.time())
            except DeviceError:
                continue  # it stands in ``lost``

    def _line_told(self, key: str, event: str, **facts: object) -> None:
        for hear in tuple(self._hearing.get(key, ())):
            hear(event, **facts)


def _equipment(bench: BenchFile) -> Equipment:
    findings = Findings()
    equipment = equip(bench, driver_model, findings)
    bind_roles(equipment, findings)
    if findings.faults:
        raise ConfigError(findings.faults)
    return equipment


async def _is_on(cycler: Cycler) -> bool:
    return isinstance(cycler, TellsOutput) and await cycler.energised()


def _feedbacks(place: BoundChannel) -> tuple[str, ...]:
    both = (place.contactor_feedback, place.short_feedback)
    return tuple(name for name in both if name is not None)


def _device_of(channel: str) -> str:
    return channel.partition(".")[0]
