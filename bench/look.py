"""One look at some devices of a bench: connected, read once, left as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.config import BenchFile
from bench.station import made_device
from drivers.capabilities import Closes, Device
from drivers.clock import Clock
from drivers.errors import DeviceError, Fault
from drivers.reading import Quality
from drivers.wires import Flight, Wire
from drivers.wires.opening import make_wire
from drivers.wires.url import wire_key


async def look(
    bench: BenchFile, devices: Sequence[str], points: Mapping[str, Sequence[str]], clock: Clock
) -> tuple[dict[str, float | None], list[Fault]]:
    """Every channel of these devices (None where the reading is not good), and what kept any from answering.

    ``points`` are the points to read, by device. Nothing is switched. The wires must be locked by the caller.
    """
    wires: dict[str, Wire] = {}
    made: list[Device] = []
    faults: list[Fault] = []
    seen: dict[str, float | None] = {}
    try:
        for name in devices:
            url = bench.devices[name].url
            key = wire_key(url)
            if key not in wires:
                wires[key] = make_wire(url, flight=Flight(), simulated=bench.far_end == "simulated")
            device = made_device(bench, name, wires[key], clock, tuple(points.get(name, ())))
            made.append(device)
            try:
                await wires[key].open()
                await device.connect()
                for reading in await device.read():
                    good = reading.quality is Quality.GOOD and math.isfinite(reading.value)
                    seen[reading.channel] = reading.value if good else None
            except DeviceError as error:
                faults += [Fault(fault.error, name, fault.fix) for fault in error.faults]
    finally:
        for device in made:
            if isinstance(device, Closes):
                await device.close()
        for wire in wires.values():
            await wire.close()
    return seen, faults
