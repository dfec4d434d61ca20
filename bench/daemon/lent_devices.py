"""What a run is given in place of a device that it shares with others: the same capabilities, less what is theirs.

A run's own make_safe concerns its own outputs and its own part of a lease; what another run has switched on stays.
From its make_safe on a run believes nothing that was asked before it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from bench.daemon.floor_device import Batch, FloorDevice
from drivers.capabilities import Chamber, Identity, Switches, SwitchesSome
from drivers.errors import DeviceRefused

#: A poll of another run is good enough if it is no older than this part of the asker's own period.
FRESH_PART = 0.5


@dataclass(slots=True)
class Use:
    """One run's use of the floor, from ``since_s`` of the loop's time on: it believes nothing that was asked earlier,
    for its sample may not have been there. ``ending`` is set with its first make_safe."""

    run: str
    since_s: float
    ending: bool = False


class LentInputs:
    """A :class:`drivers.capabilities.Device` of which a run reads some channels. ``period_s`` is the shortest at which
    the run polls it."""

    def __init__(self, device: FloorDevice, use: Use, channels: tuple[str, ...], *, period_s: float) -> None:
        self.name = device.name
        self.channels = channels
        self._device = device
        self._use = use
        self._good_for_s = FRESH_PART * period_s
        self._places: tuple[int, ...] | None = None

    async def connect(self) -> Identity:
        return await self._device.connect()

    async def read(self) -> Batch:
        batch = await self._device.read(since_s=self._since_s())
        if self._places is None:
            places = {reading.channel: at for at, reading in enumerate(batch)}
            self._places = tuple(places[channel] for channel in self.channels)
        return tuple([batch[at] for at in self._places])

    async def make_safe(self, *, fire: bool = False) -> None:  # noqa: ARG002 - inputs switch nothing
        self._use.ending = True

    async def deviations(self) -> tuple[str, ...]:
        return await self._device.deviations(since_s=self._since_s())

    def _since_s(self) -> float:
        now_s = asyncio.get_running_loop().time()
        return now_s if self._use.ending else max(now_s - self._good_for_s, math.nextafter(self._use.since_s, math.inf))


class LentSwitches(LentInputs):
    """A :class:`drivers.capabilities.Switches` of which a run owns the outputs ``own``."""

    def __init__(
        self, device: FloorDevice, use: Use, channels: tuple[str, ...], *, period_s: float, own: Collection[str]
    ) -> None:
        super().__init__(device, use, channels, period_s=period_s)
        self._own = frozenset(own)

    @property
    def _driver(self) -> Switches:
        driver = self._device.driver
        if not isinstance(driver, Switches):
            raise TypeError(f"{self.name} switches nothing")
        return driver

    async def arm_watchdog(self, timeout_s: float) -> None:
        """Armed once: to arm it again would hide a restart from the run that did."""
        if not self._device.is_armed(timeout_s):
            await self._driver.arm_watchdog(timeout_s)
        self._device.armed(self._use.run, timeout_s)
        self._use.ending = False  # what was found on when the run began is over and done with

    async def write(self, point: str, *, on: bool) -> None:
        if point not in self._own:
            raise ValueError(f"{self.name}.{point} is no output of run {self._use.run}")
        await self._driver.write(point, on=on)

    async def make_safe(self, *, fire: bool = False) -> None:
        """Its own outputs; all of them if the module cannot tell them apart."""
        self._use.ending = True
        driver = self._driver
        if not self._own:
            return
        if isinstance(driver, SwitchesSome):
            await driver.make_some_safe(self._own, fire=fire)
        else:
            await driver.make_safe(fire=fire)


class LentChamber(LentInputs):
    """A :class:`drivers.capabilities.Chamber` with one setpoint for all who hold it.

    ``holds`` tells who has it now; ``lay_down`` says that this run needs it no longer and gives whether it was the
    last; ``take_up`` that it needs it again.
    """

    def __init__(
        self,
        device: FloorDevice,
        use: Use,
        channels: tuple[str, ...],
        *,
        period_s: float,
        holds: Callable[[], Collection[str]],
        take_up: Callable[[], object],
        lay_down: Callable[[], bool],
    ) -> None:
        super().__init__(device, use, channels, period_s=period_s)
        self._holds = holds
        self._take_up = take_up
        self._lay_down = lay_down

    @property
    def _driver(self) -> Chamber:
        driver = self._device.driver
        if not isinstance(driver, Chamber):
            raise TypeError(f"{self.name} is no chamber")
        return driver

    async def run_at(self, temperature_c: float) -> None:
        """Raises DeviceRefused for a run that does not hold it."""
        if self._use.run not in self._holds():
            doing = f"going to {temperature_c:g} degC"
            raise DeviceRefused(self.name, doing, "another run holds it", "start the run again; it then waits its turn")
        self._take_up()
        async with self._device.turn:
            await self._driver.run_at(temperature_c)

    async def stop(self) -> None:
        """Leaves it running for another run that holds it too."""
        if self._lay_down():
            async with self._device.turn:
                await self._driver.stop()

    async def make_safe(self, *, fire: bool = False) -> None:
        """After fire off, whoever holds it. Else to ambient, by the last one who needed it."""
        self._use.ending = True
        last = self._lay_down()
        if fire:
            await self._driver.make_safe(fire=True)
        elif last:
            async with self._device.turn:
                if self._lay_down():  # else another run has joined meanwhile
                    await self._driver.make_safe()
