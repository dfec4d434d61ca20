"""Watches every reading against every limit, and the silence between readings. It may only take energy away.

What trips, at once and once:
- a good reading outside its limit. One is enough: the limits that binding hands over already stand off from the
  operating values by the instrument's own error, so a reading beyond them is not noise (no limit of this version asks
  for more than one reading);
- a channel that feeds a limit and has had no good reading for A = 3 P. NaN, open, over- and under-range readings
  count as none;
- a device of the run that has not been heard at all for 3 P of its own;
- an interlock input that is not ON;
- the sample's contactor, once it was closed, that is not: what the terminal shows then is not the sample.

The first cause is the cause ("first out"); what follows from it changes nothing.

From the stimulus on, what happens to the sample is what the test is about: its limits, the fire and gas detectors and a
sensor that burns off trip only if something is energised, and are noted each once. After a trip the guard goes on
listening until the observation is over: a bench limit, an interlock or a silent device is noted as well.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.binding.shapes import GuardLimit
from bench.cause import Cause, EndKind
from bench.energy import Energy
from bench.stream import Batch, Stage, Stream
from drivers.reading import Quality, Reading

#: A reading older than this many poll periods is stale (architecture, "Safety posture": A = 3 P).
STALE_PERIODS = 3.0

#: Rules that mean fire or gas: a chamber then goes off instead of to ambient.
FIRE_WORDS = ("smoke", "flame", "fire", "gas")

#: What stops a tool that has made contact. Anything else leaves the stroke to the rig, which finishes it and holds: a
#: half-driven nail is the worst sample in the house.
_STOPPING = frozenset({EndKind.BENCH_LIMIT, EndKind.PERSON})
_STOPPING_INTERLOCKS = ("door_closed", "door_locked", "estop_released", "light_curtain_clear")


def stops_motion(cause: Cause) -> bool:
    """Whether a cause stops a tool that is in the sample: see above. An exhaust that failed does not."""
    interlock = (cause.rule or "").removeprefix("interlock.").partition(":")[0]
    return cause.kind in _STOPPING or (cause.kind is EndKind.INTERLOCK and interlock in _STOPPING_INTERLOCKS)


#: What is the sample's own doing once the stimulus has begun.
_SAMPLES = ("sample", "detector")

_KINDS = {
    "sample": EndKind.SAMPLE_EVENT,
    "bench": EndKind.BENCH_LIMIT,
    "interlock": EndKind.INTERLOCK,
    "detector": EndKind.INTERLOCK,
    "device": EndKind.DEVICE,
}


@dataclass(slots=True)
class _Check:
    """Everything that is known of one limited channel. ``low..high`` is the narrowest of its limits."""

    channel: str
    device: str
    limits: tuple[GuardLimit, ...]
    low: float
    high: float
    good_s: float


@dataclass(slots=True)
class _Heard:
    """When a device last said anything."""

    device: str
    heard_s: float


class Guard:
    """Hears the stream first and keeps a timer of its own.

    ``take_energy_away(why, fire=..., stop_motion=...)`` starts the safe state (through the wires' stop lane) and
    returns at once; the guard calls it before it returns from the reading that tripped it, after ``event("trip", ...)``
    has put cause and a snapshot of all readings on the log. ``lost(device)`` says what is wrong with a device's wire,
    or None: silence of a device whose wire fails is a device's fault (``device``), any other silence is ``staleness``.

    Until :meth:`hold_to` names a channel its readings are only timed: before the contactor closes, the terminal's
    voltage is not the sample's. ``tripped`` resolves to the cause. ``stimulated`` is set with the first contact or
    ampere of a stimulus, ``observed`` when the observation is over: from then on nothing trips any more. ``later`` is
    the first cause in between which is not the sample's doing, the trip's own included. ``event("sample_event", ...)``
    and ``event("bench_event", ...)`` are told once a rule and channel.
    """

    def __init__(
        self,
        *,
        channels: Mapping[str, tuple[str, ...]],
        period_s: Callable[[str], float],
        lost: Callable[[str], str | None],
        stream: Stream,
        energy: Energy,
        event: Callable[..., Any],
        take_energy_away: Callable[..., Any],
    ) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self.cause: Cause | None = None
        self.error = ""
        self.tripped: asyncio.Future[Cause] = loop.create_future()
        self._period_s = period_s
        self._lost = lost
        self._stream = stream
        self._energy = energy
        self._event = event
        self._take_energy_away = take_energy_away
        self.stimulated = False
        self.observed = False
        self.later: Cause | None = None
        self._noted: set[tuple[str | None, str | None]] = set()
        self._all: dict[str, _Check] = {}
        self._armed: dict[str, _Check] = {}
        self._heard = {names[0]: _Heard(device, now_s) for device, names in channels.items() if names}
        self._changed_s = now_s
        self._wake: asyncio.Future[None] | None = None
        energy.on_change(self._look_again)
        self._unsubscribe = stream.subscribe(Stage.GUARD, self._deliver)

    def hold_to(self, limits: Iterable[GuardLimit], *, without: Collection[str] = ()) -> None:
        """These limits and no others from the next reading on, those of the channels ``without`` only once they are
        named no longer. The staleness of a channel that was not held before counts from now."""
        now_s = asyncio.get_running_loop().time()
        before, self._all = self._armed, _checks(limits, now_s)
        for channel, check in self._all.items():
            if channel in before:
                check.good_s = before[channel].good_s
        self._armed = {channel: check for channel, check in self._all.items() if channel not in without}
        self._look_again()

    def close(self) -> None:
        """Stop watching: the safe state has begun, and there is nothing left to take away. Idempotent."""
        self._unsubscribe()
        self._armed = {}
        self._heard = {}
        _wake(self._wake)

    async def run(self) -> None:
        """The guard's own timer: trips on silence. Ends after a trip or ``close``."""
        loop = asyncio.get_running_loop()
        while not self._over:
            next_s = self._trip_if_silent(loop.time())
            self._wake = loop.create_future()
            timer = loop.call_at(next_s, _wake, self._wake)
            try:
                if not self._over:
                    await self._wake
            finally:
                timer.cancel()

    @property
    def _over(self) -> bool:
        return not self._heard or (self.cause is not None and not self.stimulated)

    def _deliver(self, batch: Batch) -> None:
        armed = self._armed
        for reading in batch:
            channel, value, mono_s, _, quality = reading
            check = armed.get(channel)
            if check is None or quality is not Quality.GOOD:
                continue
            if math.isnan(value):
                continue
            check.good_s = mono_s
            if not check.low <= value <= check.high:
                self._trip_on(check, reading)
        if batch and (heard := self._heard.get(batch[0].channel)) is not None:
            heard.heard_s = batch[0].mono_s

    def _trip_on(self, check: _Check, reading: Reading) -> None:
        for limit in check.limits:
            if limit.low is not None and reading.value < limit.low:
                self._found(limit, reading, limit.low)
                return
            if limit.high is not None and reading.value > limit.high:
                self._found(limit, reading, limit.high)
                return

    def _found(self, limit: GuardLimit, reading: Reading, bound: float) -> None:
        if limit.subject == "device" and self.cause is not None:
            return  # the safe state opened the contactor
        device = reading.channel.split(".", 1)[0]
        if self.stimulated and limit.subject in _SAMPLES:
            cause = Cause(EndKind.SAMPLE_EVENT, limit.rule, device, reading.value, bound)
        else:
            cause = Cause(_KINDS[limit.subject], limit.rule, device, reading.value, bound)
        self._act(cause, reading.channel)

    def _act(self, cause: Cause, channel: str) -> None:
        """Trip, or from the stimulus on note what does not call for one."""
        if not self.stimulated:
            self._trip(cause)
            return
        if (cause.rule, channel) in self._noted:
            return
        self._noted.add((cause.rule, channel))
        of_sample = cause.kind is EndKind.SAMPLE_EVENT
        if not of_sample and self.later is None and not self.observed:
            self.later = cause
        self._event(
            "sample_event" if of_sample else "bench_event",
            cause=cause.kind.value,
            rule=cause.rule,
            channel=channel,
            device=cause.device,
            value=cause.value,
            limit=cause.limit,
        )
        if self.observed or (of_sample and not self._energy.energised):
            return
        if self.cause is not None and stops_motion(cause):
            self._take_energy_away(f"after a trip: {cause.rule}", fire=self.burns, stop_motion=True)
        self._trip(cause)

    def _trip_if_silent(self, now_s: float) -> float:
        """Trip on the first thing that has been silent too long, else give the instant at which one would be."""
        next_s = math.inf
        for heard in self._heard.values():
            age_s = STALE_PERIODS * self._period_s(heard.device)
            due_s = max(heard.heard_s, self._changed_s) + age_s
            if now_s > due_s:
                cause = self._silence(heard.device, f"{heard.device} is silent", now_s - heard.heard_s, age_s)
                self._act(cause, heard.device)
                if not self.stimulated:
                    return now_s
                due_s = now_s + age_s
            next_s = min(next_s, due_s)
        for check in self._armed.values():
            age_s = STALE_PERIODS * self._period_s(check.device)
            due_s = max(check.good_s, self._changed_s) + age_s
            if now_s > due_s:
                rule = f"{check.limits[0].rule}: no good reading of {check.channel}"
                self._act(self._silence_of(check, rule, now_s - check.good_s, age_s), check.channel)
                if not self.stimulated:
                    return now_s
                due_s = now_s + age_s
            next_s = min(next_s, due_s)
        return next_s + 1e-3  # later than the limit, not on it

    def _silence_of(self, check: _Check, rule: str, age_s: float, limit_s: float) -> Cause:
        """A sensor on the sample that is heard but shows nothing good has burnt off, if the stimulus has begun."""
        on_sample = any(limit.subject == "sample" for limit in check.limits)
        if self.stimulated and on_sample and self._lost(check.device) is None:
            return Cause(EndKind.SAMPLE_EVENT, rule, check.device, age_s, limit_s)
        return self._silence(check.device, rule, age_s, limit_s)

    def _silence(self, device: str, rule: str, age_s: float, limit_s: float) -> Cause:
        error = self._lost(device)
        if error is None:
            return Cause(EndKind.STALENESS, rule, device, age_s, limit_s)
        self.error = self.error or error
        return Cause(EndKind.DEVICE, rule, device, age_s, limit_s)

    def _trip(self, cause: Cause) -> None:
        if self.cause is not None:
            return
        self.cause = cause
        fire = is_fire(cause.rule) or self.burns
        self._energy.forbid()
        try:
            self._event(
                "trip",
                cause=cause.kind.value,
                rule=cause.rule,
                device=cause.device,
                value=cause.value,
                limit=cause.limit,
                readings={
                    name: None if math.isnan(reading.value) else reading.value
                    for name, reading in self._stream.latest.items()
                },
            )
        finally:
            self._take_energy_away(f"trip: {cause.rule}", fire=fire, stop_motion=stops_motion(cause))
            if not self.tripped.done():
                self.tripped.set_result(cause)

    @property
    def burns(self) -> bool:
        """Whether any detector of fire or gas speaks now, be it the first thing that was seen or not."""
        return self.burns_by(self._stream.latest.values())

    def burns_by(self, readings: Iterable[Reading]) -> bool:
        """Whether any of these readings is a detector's that speaks. Works after ``close``, too."""
        return any(
            reading.quality is Quality.GOOD and not check.low <= reading.value <= check.high
            for reading in readings
            if (check := self._all.get(reading.channel)) is not None and is_fire(check.limits[0].rule)
        )

    def _look_again(self) -> None:
        self._changed_s = asyncio.get_running_loop().time()
        _wake(self._wake)


def is_fire(rule: str | None) -> bool:
    """Whether a rule is about smoke, flame or gas."""
    return rule is not None and any(word in rule for word in FIRE_WORDS)


def _checks(limits: Iterable[GuardLimit], now_s: float) -> dict[str, _Check]:
    by_channel: dict[str, list[GuardLimit]] = {}
    for limit in limits:
        by_channel.setdefault(limit.channel, []).append(limit)
    return {
        channel: _Check(
            channel=channel,
            device=channel.split(".", 1)[0],
            limits=tuple(group),
            low=max((limit.low for limit in group if limit.low is not None), default=-math.inf),
            high=min((limit.high for limit in group if limit.high is not None), default=math.inf),
            good_s=now_s,
        )
        for channel, group in by_channel.items()
    }


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
