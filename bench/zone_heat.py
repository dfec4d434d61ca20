"""The heat of a zone, put out because of a fire in it while nothing was energised that a trip would take away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from bench.observing import Message
from bench.safe_state import insist
from drivers.capabilities import Chamber, Device
from drivers.errors import DeviceError


class ZoneHeat:
    """``off`` begins and returns at once; ``ended`` waits for it."""

    def __init__(self, devices: Iterable[Device], note: Callable[..., Any], tell: Callable[[Message], None]) -> None:
        self._chambers = tuple(device for device in devices if isinstance(device, Chamber))
        self._note = note
        self._tell = tell
        self._going_off: list[asyncio.Task[None]] = []

    def off(self, why: str) -> None:
        self._note("heat_off", why=why)
        self._tell(Message(f"{why}: the heat of the zone goes off", loud=True))
        loop = asyncio.get_running_loop()
        self._going_off += [loop.create_task(self._off(it), name=f"{it.name} off") for it in self._chambers]

    async def ended(self) -> None:
        await asyncio.gather(*self._going_off, return_exceptions=True)

    async def _off(self, chamber: Chamber) -> None:
        try:
            await insist(chamber, fire=True)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, a person has to know
            text = error.faults[0].error if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
            self._note("heat_off_failed", device=chamber.name, error=text)
            self._tell(Message(f"{chamber.name} IS NOT PROVEN OFF: {text}", loud=True))
