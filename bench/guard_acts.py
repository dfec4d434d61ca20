"""What follows from what the guard finds: a warning, a stop, a trip, a note, the heat of the zone put out.

Acting never hangs on the disk. Whatever a batch of readings calls for is done first; what is to be recorded of it waits
until :meth:`GuardActs.write`, in the order in which it came about: within the same turn of the loop, or, where energy
is being taken away, once the commands have left.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.binding.shapes import Tier
from bench.cause import STOPPED, Cause, EndKind, is_fire, stops_motion
from bench.energy import Energy
from bench.rules.shapes import Found
from bench.stream import Stream
from drivers.errors import RecordError


class GuardActs:
    """Ends a run once, and notes what does not call for it. What it is given does what :class:`bench.guard.Guard` says
    of it; ``burns()`` says whether a detector of fire or gas speaks now. ``soon`` calls what it is given a little
    later: what follows taking energy away is written then; without it, at the end of the batch."""

    def __init__(
        self,
        *,
        stream: Stream,
        energy: Energy,
        event: Callable[..., Any],
        take_energy_away: Callable[..., Any],
        warned: Callable[[str], Any],
        heat_off: Callable[[str], Any],
        burns: Callable[[], bool],
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.cause: Cause | None = None
        self.later: Cause | None = None
        self.tripped: asyncio.Future[Cause] = asyncio.get_running_loop().create_future()
        self.stimulated = False
        self.observed = False
        self._stream = stream
        self._energy = energy
        self._event = event
        self._take_energy_away = take_energy_away
        self._warned = warned
        self._heat_off = heat_off
        self._burns = burns
        self._soon = soon
        self._put_off = False
        self._taken = False
        self._heat_is_off = False
        self._unanswered: Cause | None = None
        self._noted: set[tuple[str | None, str | None]] = set()
        self._unwritten: list[tuple[str, dict[str, Any]]] = []
        self._unkept: RecordError | None = None

    def warn(self, found: Found, device: str) -> None:
        """Tell a person."""
        if self.cause is not None and not self.stimulated:
            return
        value, limit = found.value, found.limit
        seen = "" if value is None or limit is None else f": {value:.4g}, bound {limit:.4g}"
        self._warned(f"warning: {found.rule} of {found.channel}{seen}")
        self._record("warning", rule=found.rule, channel=found.channel, device=device, value=value, limit=limit)

    def act(self, cause: Cause, channel: str, tier: Tier = "trip") -> None:
        """End the run as the tier says, or from the stimulus on note what does not call for it."""
        if not self.stimulated:
            if self._taken and is_fire(cause.rule):  # what was made safe was not yet made safe after a fire
                self._put_out(cause, channel)
            self._end(cause, tier)
            return
        if (cause.rule, channel) in self._noted:
            return
        self._noted.add((cause.rule, channel))
        of_sample = cause.kind is EndKind.SAMPLE_EVENT
        if not of_sample and self.later is None and not self.observed:
            self.later = cause
        self._record("sample_event" if of_sample else "bench_event", channel=channel, **_fields(cause))
        if self.observed or (of_sample and not self._energy.energised):
            if is_fire(cause.rule):
                self._put_out(cause, channel)
            if not self.observed:
                self._unanswered = self._unanswered or cause
            return
        if self.cause is not None and stops_motion(cause):
            self._take_away(f"after a trip: {cause.rule}", fire=self._burns(), stop_motion=True)
        self._end(cause, tier)

    def energised(self) -> None:
        """Something is energised again: what was only noted, in a pause of the stimulus, now trips."""
        if self._unanswered is not None:
            self._end(self._unanswered, "trip")

    @property
    def owes(self) -> bool:
        """Whether :meth:`settle` has anything to do."""
        return bool(self._unwritten) or self._unkept is not None

    def write(self) -> None:
        """Put on the record what has come about since the last time, all of it. Never raises RecordError. Nothing yet
        where commands are just leaving."""
        if not self._put_off:
            self._write()

    def _write(self) -> None:
        self._put_off = False
        while self._unwritten:
            kind, fields = self._unwritten.pop(0)
            try:
                self._event(kind, **fields)
            except RecordError as error:
                self._unkept = self._unkept or error

    def settle(self) -> None:
        """The same. Raises RecordError afterwards, once, of what could not be kept now or before."""
        self.write()
        unkept, self._unkept = self._unkept, None
        if unkept is not None:
            raise unkept

    def _record(self, kind: str, **fields: Any) -> None:
        self._unwritten.append((kind, fields))

    def _put_out(self, cause: Cause, channel: str) -> None:
        if not self._heat_is_off:
            self._heat_is_off = True
            self._heat_off(f"{cause.rule} of {channel}")

    def _end(self, cause: Cause, tier: Tier) -> None:
        """Stop or trip. After a stop a trip still takes energy away, unless the way out has; the first is the cause."""
        if self._taken or (self.cause is not None and (tier == "stop" or self._energy.forbidden)):
            return
        first = self.cause or (replace(cause, rule=f"{cause.rule}{STOPPED}") if tier == "stop" else cause)
        self.cause = first
        self._record("stop" if tier == "stop" else "trip", **_fields(cause), readings=self._snapshot())
        if tier == "trip":
            self._taken = True
            self._energy.forbid()
            fire = is_fire(cause.rule) or self._burns()
            self._take_away(f"trip: {cause.rule}", fire=fire, stop_motion=stops_motion(cause))
        if not self.tripped.done():
            self.tripped.set_result(first)

    def _take_away(self, why: str, *, fire: bool, stop_motion: bool) -> None:
        self._take_energy_away(why, fire=fire, stop_motion=stop_motion)
        if self._soon is not None and not self._put_off:
            self._put_off = True
            self._soon(self._write)

    def _snapshot(self) -> dict[str, float | None]:
        latest = self._stream.latest
        return {name: reading.value if math.isfinite(reading.value) else None for name, reading in latest.items()}


def _fields(cause: Cause) -> dict[str, Any]:
    return {
        "cause": cause.kind.value,
        "rule": cause.rule,
        "device": cause.device,
        "value": cause.value,
        "limit": cause.limit,
    }
