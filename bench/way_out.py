"""The way out of every run: energy away and said at once, insisted on until it is proven, and looked at once more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace

from bench.after_trip import ENDS_WITHIN_S
from bench.cause import Cause, EndKind, is_fire, stops_motion
from bench.causes import said
from bench.guardian.link import Supervised
from bench.observing import Message
from bench.plan import Plan
from bench.safe_state import CONTACTOR_OPEN, MadeSafe, SafeResult, SafeState
from bench.seat import is_good
from bench.stream import Stream
from drivers.capabilities import Cycler

#: Giving remote control back is a courtesy; it may not hold up the end.
RELEASE_S = 2.0
#: A run whose bench is not proven safe does not end before so long was spent on trying.
INSIST_S = 60.0


class WayOut:
    """``tell`` speaks to whoever looks on, ``note`` writes an event and never raises."""

    def __init__(
        self,
        plan: Plan,
        cycler: Cycler,
        safe: SafeState,
        stream: Stream,
        link: Supervised,
        *,
        tell: Callable[[Message], object],
        note: Callable[..., object],
    ) -> None:
        self._plan, self._cycler, self._safe = plan, cycler, safe
        self._stream, self._link = stream, link
        self._say, self._note = tell, note
        self._safe_s = math.inf
        self._told: Cause | None = None
        self._insisting: asyncio.Task[None] | None = None
        safe.on_made = self._made_safe

    def take_energy_away(self, cause: Cause, *, burns: bool) -> None:
        """Energy off first; the rest may wait. ``burns``: a detector of fire or gas has spoken."""
        self._link.ending()
        why = f"{cause.kind.value}: {cause.rule}" if cause.rule else cause.kind.value
        self._safe.begin(why, fire=is_fire(cause.rule) or burns, stop_motion=stops_motion(cause))
        self.tell(cause)

    def tell(self, cause: Cause) -> None:
        """At once, and once: whoever stands there is not to wait for what follows."""
        if cause != self._told:
            self._told = cause
            self._say(Message(said(cause), loud=cause.kind is not EndKind.COMPLETED))

    async def finish(self) -> SafeResult:
        """Wait for the safe state and what it still tries. To be called in a task that nobody cancels."""
        await self._safe.begin("the end")
        await self._insisted()
        return self._still_isolated(await self._safe.begin("the end"))

    async def give_back(self, result: SafeResult) -> None:
        """The last words, and remote control back to whoever stands at the cycler. Never raises."""
        for part in result.failures:
            self._say(Message(f"STILL NOT CONFIRMED SAFE: {part.device}: {part.error}", loud=True))
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._cycler.release()
        except Exception as error:  # noqa: BLE001 - nothing that goes wrong in it may hide how the run ended
            self._note("not_released", device=self._cycler.name, error=str(error))

    def _made_safe(self, result: SafeResult) -> None:
        """The safe state has ended, or a stop of what still moved: say what is not proven, and insist on it."""
        loop = asyncio.get_running_loop()
        self._safe_s = loop.time()
        for part in result.failures:
            self._say(Message(f"SAFE STATE NOT CONFIRMED: {part.device}: {part.error}", loud=True))
        if self._insisting is None or self._insisting.done():
            self._insisting = loop.create_task(self._safe.keep_trying(), name="keep trying")

    async def _insisted(self) -> None:
        """What was not confirmed is tried until INSIST_S have gone by since; then it is left to a person. Without its
        guardian, which owns the contactor's port, a run does what it can once and ends: the watchdogs do the rest."""
        insisting = self._insisting
        if insisting is None or insisting.done():
            return
        until_s = self._safe_s + (0.0 if self._link.lost.done() else INSIST_S)
        left_s = max(0.0, until_s - asyncio.get_running_loop().time())
        self._link.ending(within_s=left_s + ENDS_WITHIN_S)
        await asyncio.wait([insisting], timeout=left_s)
        insisting.cancel()
        await asyncio.gather(insisting, return_exceptions=True)

    def _still_isolated(self, result: SafeResult) -> SafeResult:
        """The safe state's result, less the contactors that were seen closed again since: a trip's minute and an
        observation lie between."""
        latest, since_s = self._stream.latest, self._safe_s
        closed = [
            name
            for name in self._plan.feedbacks
            if name in latest and latest[name].mono_s > since_s and is_good(latest[name]) and latest[name].value != 0.0
        ]
        if not closed:
            return result
        error = f"THE CONTACTOR IS CLOSED AGAIN ({', '.join(closed)}); isolate the sample by hand"
        device = closed[0].split(".", 1)[0]
        self._note("safe_state_failed", device=device, what=CONTACTOR_OPEN, error=error)
        lost = MadeSafe(device, CONTACTOR_OPEN, confirmed=False, error=error)
        return replace(result, parts=(*result.parts, lost), isolated=False)
