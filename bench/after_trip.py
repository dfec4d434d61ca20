"""What follows a trip: the minute of readings around it, and the latch that keeps the bench from the next run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bench.cause import Cause, EndKind, is_fire
from bench.energy import Energy
from bench.first_out import FirstOut
from bench.guard import Guard
from bench.guardian.link import Supervised
from bench.latch import latching
from bench.log import RunLog
from bench.observing import Message
from bench.safe_state import SafeResult, SafeState
from bench.stream import Stream
from drivers.errors import BenchError, RecordError

#: What the end may take once the minute after a trip is over, for the guardian's patience.
ENDS_WITHIN_S = 60.0

OnTrip = Callable[[Cause, SafeResult], object]


def not_latched(_cause: Cause, _safe: SafeResult) -> None:
    """For a bench that is gone with its run."""


class AfterTrip:
    """``event`` is what the guard tells the log through; ``on_trip`` puts the latch, and may raise BenchError."""

    def __init__(
        self,
        *,
        stream: Stream,
        energy: Energy,
        safe: SafeState,
        log: RunLog,
        link: Supervised,
        tell: Callable[[Message], None],
        on_trip: OnTrip,
    ) -> None:
        self._first_out = FirstOut(stream, log.event)
        self._energy = energy
        self._safe = safe
        self._log = log
        self._link = link
        self._tell = tell
        self._on_trip = on_trip
        self._spoke: Cause | None = None
        self._latched = False

    def event(self, kind: str, /, **fields: Any) -> None:
        """On the log. The first trip is what is looked at closely; a detector that speaks later is remembered."""
        if kind in ("trip", "stop"):
            self._first_out.trip()
        elif kind == "sample_event" and self._spoke is None and is_fire(fields.get("rule")):
            self._spoke = Cause(EndKind.SAMPLE_EVENT, fields["rule"], fields.get("device"), fields.get("value"))
        self._log.event(kind, **fields)

    async def latch(self, guard: Guard, ended: SafeResult | None = None) -> None:
        """A trip, a detector that spoke, a bench that is not proven safe: it stays so until a person has looked. Once
        the safe state has ended; called again after the observation, for what that brought, and with how the bench
        was ``ended`` at the very end."""
        safe = ended or await self._safe.begin("latch")
        with suppress(RecordError):  # told by log.failed
            self._first_out.write_before()
        if self._latched:
            return
        of_test = guard.cause is not None and guard.cause.kind is EndKind.SAMPLE_EVENT and guard.stimulated
        cause = latching(guard.cause, guard.later, self._spoke, safe, of_test=of_test)
        if cause is None:
            return
        try:
            self._on_trip(cause, safe)
        except BenchError as error:
            self._note("not_latched", error=str(error.faults[0].error))
            self._tell(Message(f"THE TRIP IS NOT LATCHED: {error.faults[0].error}", loud=True))
        else:
            self._latched = True
            self._note("latched", cause=cause.kind, rule=cause.rule, device=cause.device)

    async def minute(self, stopped: asyncio.Task[Any]) -> None:
        """Go on reading at the full rate for a while, unless a person stops that, or nobody guards this process any
        more; then keep it all."""
        await self._safe.begin("the minute after")  # the trip is on the record by then
        left_s = self._first_out.left_s()
        if left_s > 0.0 and self._log.failed is None and not stopped.done() and not self._link.lost.done():
            self._energy.watch(closely=True)
            self._link.ending(within_s=left_s + ENDS_WITHIN_S)
            self._tell(Message(f"recording the {left_s:.0f} s after the trip; Ctrl-C ends that"))
            await asyncio.wait([stopped], timeout=left_s)
        with suppress(RecordError):  # told by log.failed
            self._first_out.write()

    def _note(self, kind: str, **fields: Any) -> None:
        with suppress(RecordError):  # as above
            self._log.event(kind, **fields)
