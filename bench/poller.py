"""Reads one device over and over and publishes what it says."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bench.binding.shapes import Poll
from bench.energy import Energy
from bench.stream import Stream
from drivers.capabilities import Device, TellsDeviations
from drivers.errors import DeviceError, RecordError

#: Pollers that share a period never share an instant: each is later than the one before by this much.
PHASE_STEP_S = 0.010
#: A device that can tell is asked this often, while something is energised, whether it still is as it was set.
CHECK_S = 5.0
#: After a first deviation it is asked at this many polls running: two that say the same are believed.
LOOKS = 6
#: Instants that were missed are told together, so often at most: a device that is always late would fill the log.
TOLD_S = 5.0


class Poller:
    """One device's readings, on a grid of its own: instants ``index * 10 ms + n * period``.

    The period is ``energised`` while anything on the bench is energised, ``stimulus`` in stimulus and observation, else
    ``rest``; of a rig, ``moving`` while it is armed or moves. A device that is not ``near``, because nothing of the
    place where the sample is hangs on it, is read at its ``rest`` period. A change takes effect at once, not after the
    period under way. A read that outlasts its period costs the instants it covered, never a
    second read at the same time; ``event("readings_missed", device=, gaps=)`` tells of them, each gap from its first
    instant to its last on the loop's clock. A read that fails publishes nothing (the guard hears the silence) and is
    the next instant's to try again: ``event("reading_lost", ...)`` is told once, ``"reading_recovered"`` once.
    ``lost`` is the error while the device does not answer, else None.

    While something is energised a device that can tell how it differs from how it was armed and set is asked every
    ``CHECK_S``, and after a first difference at the polls that follow: the second time that it says the same (whatever
    the numbers), ``deviates(device, text)`` is told, once. A look that fails is the silence that the readings show.
    """

    def __init__(
        self,
        device: Device,
        *,
        index: int,
        poll: Poll,
        energy: Energy,
        stream: Stream,
        event: Callable[..., Any],
        deviates: Callable[[str, str], Any] = lambda _device, _text: None,
        unkept: Callable[[RecordError], Any] | None = None,
    ) -> None:
        self.device = device
        self.lost: DeviceError | None = None
        self.near = True
        self._phase_s = index * PHASE_STEP_S
        self._poll = poll
        self._energy = energy
        self._stream = stream
        self._event = event
        self._deviates = deviates
        self._unkept = unkept
        self._tells = device if isinstance(device, TellsDeviations) else None
        self._looked_s = -math.inf
        self._looks = 0
        self._seen: set[str] = set()
        self._wake: asyncio.Future[None] | None = None
        self._used_s = math.nan  # the period at the last instant
        self._missed: list[tuple[float, float]] = []
        self._told_s = -math.inf
        energy.on_change(self.hurry)

    @property
    def period_s(self) -> float:
        """The period in force now."""
        poll, energy = self._poll, self._energy
        if energy.moving and poll.moving_s is not None:
            return poll.moving_s
        if not self.near:
            return poll.rest_s
        if energy.watchful and poll.stimulus_s is not None:
            return poll.stimulus_s
        return poll.energised_s if energy.energised else poll.rest_s

    def hurry(self) -> None:
        """Look at the period again now instead of at the end of the wait under way."""
        _wake(self._wake)

    async def run(self) -> None:
        """Poll until cancelled. Raises only what a subscriber of the stream raised; of that what the record could not
        keep is told to ``unkept`` instead, where there is one: the device is still to be watched."""
        last_s = next_s = -math.inf
        try:
            while True:
                last_s = await self._next_instant(last_s, next_s)
                try:
                    await self._once()
                    next_s = self._miss(last_s)
                except RecordError as error:
                    if self._unkept is None:
                        raise
                    self._unkept(error)
        finally:
            with suppress(RecordError):
                self._tell_missed()

    def _miss(self, last_s: float) -> float:
        """Note the instants that passed during the read of the one at ``last_s``, tell what is owed, and give the next
        one: it may pass while that is written down."""
        now_s = asyncio.get_running_loop().time()
        next_s = self._due(now_s, last_s)
        if self.period_s == self._used_s:
            self._note_missed(last_s + self._used_s, next_s)
        if self._missed and now_s - self._told_s >= TOLD_S:
            self._told_s = now_s
            self._tell_missed()
        return next_s

    def _note_missed(self, first_s: float, taken_s: float) -> None:
        """The instants from ``first_s`` on that lie before ``taken_s``; those of a lost device are told as lost."""
        if taken_s - first_s > PHASE_STEP_S / 2 and self.lost is None:
            self._missed.append((first_s, taken_s - self._used_s))

    def _tell_missed(self) -> None:
        missed, self._missed = self._missed, []
        if missed:
            self._event("readings_missed", device=self.device.name, gaps=missed)

    async def _once(self) -> None:
        try:
            batch = await self.device.read()
        except DeviceError as error:
            self._lose(error)
            return
        try:
            if self.lost is not None:
                self._recover()
        finally:
            self._stream.publish(batch)
        await self._look()

    async def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._tells is None or not self._may_deviate():
            self._looks, self._seen = 0, set()
            return
        if self._looks == 0 and now_s - self._looked_s < CHECK_S - PHASE_STEP_S:
            return
        self._looked_s = now_s
        try:
            found = await self._tells.deviations()
        except DeviceError:
            return
        self._looks = max(0, self._looks - 1)
        if not self._may_deviate():
            return
        for text in found:
            if _shape(text) in self._seen:
                self._deviates(self.device.name, text)
                return
        if found and not self._seen:
            self._looks = LOOKS
        self._seen.update(_shape(text) for text in found)
        if self._looks == 0:
            self._seen = set()

    def _may_deviate(self) -> bool:
        """At rest and after a stop nothing is held to its set values."""
        return self._energy.energised and not self._energy.forbidden

    async def _next_instant(self, last_s: float, next_s: float) -> float:
        """Wait for the next instant of the grid in force, and give it: ``next_s`` if it is of this grid."""
        loop = asyncio.get_running_loop()
        while True:
            owed = self.period_s == self._used_s and next_s > last_s
            due_s = next_s if owed else self._due(loop.time(), last_s)
            wake = self._wake = loop.create_future()
            timer = loop.call_at(due_s, _wake, wake)
            try:
                await wake
            finally:
                timer.cancel()
            if loop.time() >= due_s - 1e-6:  # else the period changed: look again
                self._used_s = self.period_s
                taken_s = due_s + (loop.time() - due_s + 1e-6) // self._used_s * self._used_s
                self._note_missed(due_s, taken_s)
                return taken_s

    def _due(self, now_s: float, last_s: float) -> float:
        """The first instant of the grid that is not past and not the one that was just used."""
        period_s = self.period_s
        slot = math.ceil((now_s - self._phase_s) / period_s - 1e-9)
        due_s = self._phase_s + slot * period_s
        return due_s if due_s > last_s + 1e-6 else due_s + period_s

    def _lose(self, error: DeviceError) -> None:
        first = self.lost is None
        self.lost = error
        if first:
            self._event("reading_lost", device=self.device.name, error=str(error.faults[0].error))

    def _recover(self) -> None:
        self.lost = None
        self._event("reading_recovered", device=self.device.name)


def _shape(text: str) -> str:
    """A text without its numbers: a value that drifts on is the same deviation."""
    return re.sub(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?", "#", text)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
