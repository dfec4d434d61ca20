"""An event loop whose clock jumps to the next timer: hours of unchanged product code in seconds.

The one rule: **the clock may jump unless bytes are on their way.** Wires and servers count every byte that they hand
to the kernel and every byte that they read from it (:class:`simulators.spec.Flight`). While the count is above zero
the loop waits in real time for the kernel, at most :data:`BOUND_S`; reaching that bound is a *forced jump*: it is
kept in :attr:`VirtualLoop.forced_jumps` and the count starts again from zero. A job in an executor stops the clock
until it is back, because its duration is real. Signals and ``call_soon_threadsafe`` wake the loop as in any other.

With no timer and nothing on its way the loop blocks in the kernel like every other loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from simulators.spec import Flight

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Longest real wait for bytes on their way, in seconds.
BOUND_S = 1.0
#: So many turns of ready callbacks in a row may pass before the kernel is asked in between.
MOST_UNASKED = 32


class ForcedJump(NamedTuple):
    """The clock went on although ``in_flight`` bytes never arrived."""

    at_s: float
    in_flight: int


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the kernel first; moves the clock only when the kernel has nothing and the rule allows it."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock
        self._unasked = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0 and self._unasked < MOST_UNASKED:
            # Callbacks are ready: they go first, and the kernel is asked before the clock moves. A system call saved
            # on every second turn of the loop.
            self._unasked += 1
            return []
        self._unasked = 0
        events = super().select(0)
        if events or timeout == 0:
            return events
        clock = self._clock
        if clock.away:
            return super().select(None)
        if clock.in_flight:
            events = super().select(BOUND_S)
            if events:
                return events
            if timeout is not None:
                clock.forced.append(ForcedJump(clock.now_s, clock.in_flight))
            clock.in_flight = 0
        if timeout is None:
            return super().select(None)
        if clock.speed is None:
            clock.now_s += timeout
            return events
        began_s = clock.real_s()
        events = super().select(timeout / clock.speed)
        # Woken early (a signal, a thread): the clock has come as far as the sleep did.
        clock.now_s += timeout if not events else min(timeout, (clock.real_s() - began_s) * clock.speed)
        return events


class _Clock:
    """What loop and selector share."""

    __slots__ = ("away", "forced", "in_flight", "now_s", "real_s", "speed")

    def __init__(self, speed: float | None) -> None:
        self.now_s = 0.0
        self.speed = speed
        self.in_flight = 0
        self.away = 0
        self.forced: list[ForcedJump] = []
        self.real_s: Callable[[], float] = lambda: 0.0

    def left(self, count: int) -> None:
        self.in_flight += count

    def arrived(self, count: int) -> None:
        # Never below zero: bytes given up by a forced jump may still come.
        left = self.in_flight - count
        self.in_flight = left if left > 0 else 0


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop in virtual time, starting at 0.0 s.

    ``speed`` None runs as fast as the machine can; a number makes the loop sleep before each jump so that virtual
    time passes that many times faster than real time (1.0: real speed). Hand ``flight`` to every wire and every
    server that runs in this loop. Raises ValueError if ``speed`` is not positive.
    """

    def __init__(self, *, speed: float | None = None) -> None:
        self._clock = _Clock(speed)
        super().__init__(_JumpingSelector(self._clock))
        if speed is not None and not speed > 0:
            self.close()
            raise ValueError(f"speed must be above zero, not {speed}")
        self._clock.real_s = super().time
        # A timer is due within this of now. asyncio's 1 ns vanishes in a float after some months (a timer would then
        # never be due); this holds for years.
        self._clock_resolution = 1e-7
        self.flight = Flight(left=self._clock.left, arrived=self._clock.arrived)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._clock.now_s

    @property
    def in_flight(self) -> int:
        """Bytes on their way now."""
        return self._clock.in_flight

    @property
    def forced_jumps(self) -> tuple[ForcedJump, ...]:
        """Every jump that was made although bytes were on their way; none in a run without a wire fault."""
        return tuple(self._clock.forced)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As in any loop; the clock stands still until the job is back."""
        job = super().run_in_executor(executor, func, *args)
        self._clock.away += 1
        job.add_done_callback(self._back)
        return job

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As in any loop; the clock stands still until the threads have ended."""
        self._clock.away += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._clock.away -= 1

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Within it no virtual time passes, however long it takes: for a person who is asked something."""
        self._clock.away += 1
        try:
            yield
        finally:
            self._clock.away -= 1

    def _back(self, _: asyncio.Future[Any]) -> None:
        self._clock.away -= 1


def run_virtual(main: Coroutine[Any, Any, T], *, speed: float | None = None) -> T:
    """Run ``main`` to its end in a virtual loop of its own; like ``asyncio.run`` otherwise.

    Ctrl-C cancels ``main`` unless it installed its own handler with ``loop.add_signal_handler``.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(speed=speed)) as runner:
        return runner.run(main)


def virtual_loop() -> VirtualLoop:
    """The running loop. Raises TypeError if it does not run in virtual time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("the running loop keeps real time; start it with run_virtual")
    return loop
