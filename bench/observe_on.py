"""From the first contact or ampere of a stimulus on, an end is not the end: the observation goes on to its own."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from bench.aftermath import Aftermath
from bench.cause import Cause, EndKind
from bench.causes import said
from bench.energy import Energy
from bench.guard import Guard
from bench.observing import Message
from bench.safe_state import SafeState
from bench.seat import Seat
from bench.stroke import StrokeRun
from bench.walk import Walk
from drivers.errors import BenchError, DeviceError, RecordError


class ObserveOn:
    """What a run still owes once its energy is gone. ``over`` is set when the observation has ended; ``note`` writes an
    event and never raises."""

    def __init__(
        self,
        *,
        walk: Walk,
        seat: Seat,
        safe: SafeState,
        guard: Guard,
        energy: Energy,
        aftermath: Aftermath,
        stroke: StrokeRun | None,
        stop: asyncio.Event,
        tell: Callable[[Message], object],
        note: Callable[..., object],
    ) -> None:
        self.over = asyncio.Event()
        self._walk, self._seat, self._safe, self._guard = walk, seat, safe, guard
        self._energy, self._aftermath, self._stroke = energy, aftermath, stroke
        self._stop, self._tell, self._note = stop, tell, note

    async def is_owed(self) -> bool:
        """Whether the stimulus has reached the sample, or nobody can say that it has not."""
        stroke = self._stroke
        if stroke is not None and stroke.pending and not self._aftermath.begun:
            await self._safe.begin("is the sample touched")  # what still moves may make contact until it has stopped
            try:
                touched = stroke.has_touched(await stroke.rig.status())
                what = stroke.touch
            except Exception:  # noqa: BLE001 - not even a slip in a driver may cost the sample its observation
                touched, what = True, f"{stroke.touch} is not excluded: the rig was lost while it moved"
            if touched:
                stroke.tool_in = True
                try:
                    self._aftermath.begin(what, device=stroke.rig.name)
                except RecordError as error:
                    self._note("contact_not_kept", what=what, error=str(error))
        return self._aftermath.begun and self._aftermath.ended_s is None

    async def go(self, cause: Cause, work: asyncio.Task[None]) -> Cause:
        """Keep recording and observing to the end that the sequence asks for. Gives the cause that then counts: a
        sample event gives way to what came after it from the bench or a person."""
        self._seat.taken_away()
        self._note("observing_on", cause=cause.kind, rule=cause.rule, device=cause.device)
        self._tell(Message(f"{said(cause)}; energy is off, the observation goes on", loud=True))
        await self._safe.begin("the stimulus was reached")
        await asyncio.gather(work, return_exceptions=True)
        loop = asyncio.get_running_loop()
        walking = loop.create_task(self._to_the_end(), name="observation to its end")
        asking = loop.create_task(self._when_asked_to_stop(walking), name="asked to stop")
        try:
            await walking
        except asyncio.CancelledError:
            self._note("not_asked", why="stopped after the observation: what is not judged awaits judgement")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong now, the run is closed with what it has
            trace = "" if isinstance(error, BenchError) else "".join(traceback.format_exception(error))
            self._note("observation_broken_off", error=f"{type(error).__name__}: {error}", trace=trace)
            self._tell(Message(f"the observation broke off: {error}", loud=True))
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if cause.kind is not EndKind.SAMPLE_EVENT:
            return cause
        if self._guard.later is not None:
            return self._guard.later
        return Cause(EndKind.PERSON, "stop") if self._stop.is_set() else cause

    async def _to_the_end(self) -> None:
        await self._through_the_disk(self._settle_stroke)
        await self._through_the_disk(self._walk.observe)
        await self._through_the_disk(self._settle_stroke)

    async def _through_the_disk(self, part: Callable[[], Awaitable[None]]) -> None:
        """A record that fails says so once: it goes on in a new file, or is mute. What it broke off is done again."""
        try:
            await part()
        except RecordError as error:
            self._note("record_failed", error=str(error))
            await part()

    async def _when_asked_to_stop(self, walking: asyncio.Task[None]) -> None:
        """A person's stop stops the tool at once, and ends the run after the observation: nobody is asked then."""
        await self._stop.wait()
        if self._aftermath.ended_s is None:
            self._note("stop_asked")
            self._safe.begin("person: stop", stop_motion=True)
        await self.over.wait()
        walking.cancel()

    async def _settle_stroke(self) -> None:
        """What can still be read of a stroke that a trip broke off. Tried again once the observation is over."""
        stroke = self._stroke
        if stroke is None or not stroke.pending:
            return
        try:
            await stroke.settle()
        except DeviceError as error:
            self._note("stroke_unread", device=stroke.rig.name, error=error.faults[0].error)
            self._energy.move(on=False)
            return
        self._walk.take_broken_off(stroke.values)
