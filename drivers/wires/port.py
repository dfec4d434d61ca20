"""The owner of one port: a queue with two lanes and one task that carries exchanges one after another.

Below it, what every wire that has such a port does the same: how it is opened and closed, and how the trouble of an
exchange becomes an error of the device that it was for.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from drivers.errors import DeviceRefused, WireClosed, WireError, WireTimeout
from drivers.wires import Flight
from drivers.wires.health import LineEvent, LineHealth
from drivers.wires.pacing import HeldBackError, Pace
from drivers.wires.url import WireUrl

T = TypeVar("T")
Job = tuple[Callable[[], Awaitable[Any]], "asyncio.Future[Any]"]


class GaveWayError(WireTimeout):
    """Nothing was sent, since a stop waits. It never reaches a caller: the exchange waits again."""


class Port:
    """Runs exchanges one at a time, the stop lane first.

    ``run`` gives the exchange's result or raises its error. Cancelling the caller never cancels the exchange: it
    goes on to its own end (reply or deadline) and its result is dropped. One that still waits, and is not a stop, is
    never sent once its caller is cancelled. The exchange must bound its own duration; ``hurry`` is called when a stop
    begins to wait for it.
    """

    def __init__(self, url: str, hurry: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self._hurry = hurry
        self._stops: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._owner: asyncio.Task[None] | None = None

    @property
    def stop_waits(self) -> bool:
        """Whether something of the stop lane waits for the exchange under way to end."""
        return bool(self._stops)

    def start(self) -> None:
        """Take ownership. Idempotent."""
        if self._owner is None:
            self._owner = asyncio.get_running_loop().create_task(self._own(), name=f"port {self.url}")

    async def run(self, exchange: Callable[[], Awaitable[T]], *, stop: bool = False) -> T:
        if self._owner is None:
            raise WireClosed(self.url, "exchanging", "the port is not open")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._stops if stop else self._jobs).append((exchange, done))
        if stop:
            self._hurry()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        return await done

    async def stop(self) -> None:
        """End after the exchange under way; what still waits fails with WireClosed. Idempotent."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        await owner

    async def _own(self) -> None:
        loop = asyncio.get_running_loop()
        me = asyncio.current_task()
        while self._owner is me:
            if self._stops:
                exchange, done = self._stops.popleft()
            elif self._jobs:
                exchange, done = self._jobs.popleft()
                if done.cancelled():  # given up before it left: it must not overtake a stop that came meanwhile
                    continue
            else:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
                continue
            try:
                result = await exchange()
            except GaveWayError:  # nothing was sent: it goes on after the stop as if it had not begun
                self._jobs.appendleft((exchange, done))
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)
        for _, done in (*self._stops, *self._jobs):
            if not done.done():
                done.set_exception(WireClosed(self.url, "waiting for the wire", "the port was closed"))
        self._stops.clear()
        self._jobs.clear()


class ExchangeError(Exception):
    """What happened to an exchange, before it is known whose exchange it was."""

    def __init__(self, kind: type[WireError], text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    def of(self, device: str, doing: str) -> WireError:
        """The same, as an error of the device that the exchange was for."""
        return self.kind(device, doing, self.text)


class PortWire(ABC):
    """A wire with a port of its own. Satisfies :class:`drivers.wires.Wire`.

    ``health`` counts what happens on it, ``pace`` says when a lost connection may be tried again.
    """

    def __init__(self, parts: WireUrl, flight: Flight) -> None:
        self._parts = parts
        self._flight = flight
        self._port = Port(parts.url, self._hurry)
        self.health = LineHealth(parts.url, parts.path)
        self.pace = Pace(parts)

    def tell(self, event: LineEvent) -> None:
        """Tell this one from now on what becomes of the line (:mod:`drivers.wires.health`)."""
        self.health.tell = event

    @property
    def url(self) -> str:
        return self._parts.url

    async def open(self) -> None:
        """Open the port. Raises WireError, mostly WireClosed. Idempotent while open."""
        self._port.start()
        try:
            await self._port.run(self._open_first)
        except BaseException as trouble:
            await self.close()
            if isinstance(trouble, ExchangeError):
                raise trouble.of(self.url, "opening the wire") from None
            raise
        self.health.opened(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Let the exchange under way end, fail what waits with WireClosed, free the port. Idempotent."""
        await self._port.stop()
        await self._free()

    async def _carried(self, exchange: Callable[[], Awaitable[T]], *, stop: bool) -> T:
        """One exchange in its turn, counted."""
        return await self._port.run(lambda: self._counted(exchange), stop=stop)

    async def _counted(self, exchange: Callable[[], Awaitable[T]]) -> T:
        try:
            result = await exchange()
        except (HeldBackError, GaveWayError):
            raise
        except WireError as error:
            self.health.failed(error, asyncio.get_running_loop().time())
            raise
        except DeviceRefused:
            self._answered()
            raise
        self._answered()
        return result

    def _answered(self) -> None:
        self.health.answered()
        self.pace.proven()

    def _turn_to_connect(self, *, free: bool) -> None:
        """Raises ExchangeError when it is too early to connect again."""
        too_early = self.pace.begin(free=free)
        if too_early is not None:
            raise ExchangeError(HeldBackError, too_early)

    async def _quiet_until(self, at_s: float) -> None:
        """Wait for this loop time, if it is still to come. A stop may have come meanwhile."""
        wait_s = at_s - asyncio.get_running_loop().time()
        if wait_s > 0.0:
            await asyncio.sleep(wait_s)

    def _give_way(self, device: str, doing: str, *, urgent: bool) -> None:
        """Before anything is sent: raises GaveWayError where a stop waits and this is none."""
        if not urgent and self._port.stop_waits:
            raise GaveWayError(device, doing, "it was not sent, a stop goes first")

    def _hurry(self) -> None:
        """A stop waits for the exchange under way; a wire that can, shortens it."""
        return

    @abstractmethod
    async def _open_first(self) -> None:
        """Open what is not open. Raises ExchangeError or WireError."""

    @abstractmethod
    async def _free(self) -> None:
        """Give up what is open."""
