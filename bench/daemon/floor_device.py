"""One device of the floor: opened once, read by whoever is concerned, each poll of it at most once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from drivers.capabilities import Device, Identity, TellsDeviations
from drivers.errors import DeviceError
from drivers.reading import Reading

T = TypeVar("T")
Batch = tuple[Reading, ...]


class Together(Generic[T]):
    """An exchange that several want: each gets what was begun at or after the instant it names, at most one is under
    way. What the exchange raises reaches all who wait for it."""

    def __init__(self, exchange: Callable[[], Awaitable[T]], name: str) -> None:
        self._exchange = exchange
        self._name = name
        self._begun_s = -math.inf
        self._done: tuple[float, T] | None = None
        self._under_way: asyncio.Task[T] | None = None

    async def since(self, instant_s: float) -> T:
        """What was asked no earlier than this instant of the loop's time."""
        while True:
            if self._done is not None and self._done[0] >= instant_s:
                return self._done[1]
            if self._under_way is None:
                loop = asyncio.get_running_loop()
                self._begun_s = loop.time()
                self._under_way = loop.create_task(self._go(self._begun_s), name=self._name)
                self._under_way.add_done_callback(self._ended)
            elif self._begun_s < instant_s:
                await asyncio.wait([self._under_way])
                continue
            return await asyncio.shield(self._under_way)

    async def _go(self, begun_s: float) -> T:
        value = await self._exchange()
        self._done = (begun_s, value)
        return value

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way = None
        if not task.cancelled():
            task.exception()  # whoever waited has heard it


class FloorDevice:
    """A driver and what was last read through it.

    ``users`` are the runs that have a seat at it. ``lost`` says why it does not answer, None while it does;
    ``identity`` is None until it first answered as itself. ``turn`` is held by whoever sets a shared device.
    """

    def __init__(self, driver: Device) -> None:
        self.driver = driver
        self.name = driver.name
        self.identity: Identity | None = None
        self.lost: DeviceError | None = None
        self.users: set[str] = set()
        self.latest: dict[str, Reading] = {}
        self.turn = asyncio.Lock()
        self._armed: dict[str, float] = {}
        self._reads: Together[Batch] = Together(self._read, f"read {self.name}")
        self._told: Together[tuple[str, ...]] = Together(self._deviations, f"look at {self.name}")

    async def connect(self) -> Identity:
        """Who answers; asked again unless a run is using the device. Raises DeviceError."""
        if self.identity is None or self.lost is not None or not self.users:
            self.identity = await self.driver.connect()
            self.lost = None
        return self.identity

    async def read(self, *, since_s: float) -> Batch:
        """A poll of every channel that was begun no earlier than ``since_s``. Raises DeviceError."""
        return await self._reads.since(since_s)

    async def deviations(self, *, since_s: float) -> tuple[str, ...]:
        """How it differs from how it was set, as :meth:`read`. Raises DeviceError."""
        return await self._told.since(since_s)

    def is_armed(self, timeout_s: float) -> bool:
        """Whether another run has armed its watchdog like this, and it has answered ever since."""
        return self.lost is None and timeout_s in self._armed.values()

    def armed(self, run: str, timeout_s: float) -> None:
        self._armed[run] = timeout_s

    def left_by(self, run: str) -> None:
        """A run has ended. Idempotent."""
        self.users.discard(run)
        self._armed.pop(run, None)

    async def _read(self) -> Batch:
        try:
            batch = await self.driver.read()
        except DeviceError as error:
            self.lost = error
            self._armed.clear()
            raise
        self.lost = None
        self.latest.update((reading.channel, reading) for reading in batch)
        return batch

    async def _deviations(self) -> tuple[str, ...]:
        driver = self.driver
        return await driver.deviations() if isinstance(driver, TellsDeviations) else ()
