"""A bench after a crash: everything is read, what is energised is made safe, and nothing else is done."""

from __future__ import annotations

import asyncio

from bench.energy import Energy
from bench.found_on import found_on
from bench.safe_state import SafeState, outlast
from bench.station import Station
from drivers.errors import Fault
from drivers.reading import Reading


async def hold(station: Station) -> tuple[dict[str, Reading], tuple[Fault, ...]]:
    """Read every device, make all of them safe if anything is on (the chamber in any case), read again.

    Gives the readings afterwards, and what was found and what became of it. Raises DeviceError if a device cannot be
    read: the others are made safe all the same.
    """
    plan = station.plan
    try:
        heard = await _read(station)
        found = await found_on(plan, heard, station.cycler)
    except BaseException:
        await _make_safe(station)
        raise
    failures = await _make_safe(station)
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
    return await _read(station), tuple(faults)


async def _read(station: Station) -> dict[str, Reading]:
    heard: dict[str, Reading] = {}
    for device in station.devices.values():
        heard.update((reading.channel, reading) for reading in await device.read())
    return heard


async def _make_safe(station: Station) -> dict[str, str]:
    """What was not confirmed, by device."""
    plan = station.plan
    detectors = {name for place in plan.places.values() for name in place.detectors.values()}
    safe = SafeState(
        tuple(station.devices.values()),
        feedbacks=plan.feedbacks,
        energy=Energy(),
        event=lambda _, **__: None,
        detectors=dict.fromkeys(name.partition(".")[0] for name in detectors),
        burns=lambda seen: any(reading.channel in detectors and not reading.value >= 0.5 for reading in seen),
    )
    making = safe.begin("interrupted run")
    cancelled = await outlast(making)
    result = making.result()
    if cancelled:
        raise asyncio.CancelledError
    return {part.device: part.error or part.what for part in result.failures}
