"""Watches every reading against every limit and rule, and the silence between readings. It may only take energy away.

What passes a limit or a rule does what its tier says: ``warn`` tells, ``stop`` ends the run by the controlled way out,
``trip`` takes energy away at once, before anything else, and once:
- a good reading outside its limit. One is enough unless the limit asks for more (k of n, a delay): the limits that
  binding hands over already stand off from the operating values by the instrument's own error;
- a channel that feeds a limit and has had no good reading for A = 3 P. NaN, open, over- and under-range and implausible
  readings count as none, and never undo what was counted; three implausible ones of five trip by themselves;
- a device of the run that has not been heard at all for 3 P of its own, or that tells twice running that it is not as
  it was armed and set;
- an interlock input that is not ON;
- the sample's contactor, once it was closed, that is not: what the terminal shows then is not the sample;
- a rule (``bench/rules``): rates, cross-check, ceilings, a stuck or detached sensor, runaway and the zone's detectors;
- more time energised than the run can need.

The first cause is the cause ("first out"); what follows from it changes nothing.

From the stimulus on, what happens to the sample is what the test is about: its limits, the fire and gas detectors and
a sensor that burns off trip only if something is energised, and are noted each once; a fire or a runaway puts out the
heat of the whole zone all the same. What was only noted, in a pause of the stimulus, trips as soon as anything is to be
energised again. After a trip the guard goes on listening until the observation is over: a bench
limit, an interlock or a silent device is noted as well.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.binding.shapes import GuardLimit
from bench.cause import Cause, EndKind, is_fire
from bench.energy import Energy
from bench.guard_acts import GuardActs
from bench.rules.checked import Checked, checked
from bench.rules.doubt import Doubts, is_number
from bench.rules.last_heard import LastHeard
from bench.rules.making import made
from bench.rules.shapes import Detector, Found, Rule, RuleSpec
from bench.stream import Batch, Stage, Stream
from drivers.reading import Quality, Reading

#: A reading older than this many poll periods is stale (architecture, "Safety posture": A = 3 P).
STALE_PERIODS = 3.0

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
class _Heard:
    """When a device last said anything."""

    device: str
    heard: LastHeard


class Guard:
    """Hears the stream first and keeps a timer of its own.

    ``take_energy_away(why, fire=..., stop_motion=...)`` starts the safe state (through the wires' stop lane) and
    returns at once; the guard calls it before it returns from the reading that tripped it. Only then does
    ``event("trip", ...)`` put cause and a snapshot of all readings on the log; a RecordError reaches whoever published
    the reading when everything that the batch called for is done (``bench/guard_acts.py``). ``lost(device)`` says what
    is wrong with a device's wire, or None: silence of a device whose wire fails is a device's fault (``device``), any
    other silence is ``staleness``. ``beat`` tells the guardian after every round of checks, at least every ``beat_s``.

    Until :meth:`hold_to` names a channel its readings are only timed: before the contactor closes, the terminal's
    voltage is not the sample's. ``tripped`` resolves to the cause, of a stop too. ``stimulated`` is set with the first
    contact or ampere of a stimulus, ``observed`` when the observation is over: from then on nothing trips any more.
    ``later`` is the first cause in between which is not the sample's doing, the trip's own included.
    ``event("sample_event", ...)``, ``event("bench_event", ...)`` are told once a rule and channel, ``event("warning",
    ...)`` once each time, and to ``warned`` in words. ``heat_off(why)`` puts out the heat of the zone, where nothing is
    energised that a trip would take away.
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
        warned: Callable[[str], Any] = lambda _: None,
        heat_off: Callable[[str], Any] = lambda _: None,
        energised_at_most_s: float = math.inf,
        beat: Callable[[], None] = lambda: None,
        beat_s: float = math.inf,
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        now_s = asyncio.get_running_loop().time()
        self.error = ""
        self._acts = GuardActs(
            stream=stream,
            energy=energy,
            event=event,
            take_energy_away=take_energy_away,
            warned=warned,
            heat_off=heat_off,
            burns=lambda: self.burns,
            soon=soon,
        )
        self._period_s = period_s
        self._lost = lost
        self._stream = stream
        self._energy = energy
        self._beat, self._beat_s = beat, beat_s
        self._all: dict[str, Checked] = {}
        self._armed: dict[str, Checked] = {}
        self._made: dict[RuleSpec, Rule] = {}
        self._rules: dict[str, tuple[Rule, ...]] = {}
        self._detectors: frozenset[str] = frozenset()
        self._heard = {names[0]: _Heard(device, LastHeard(now_s)) for device, names in channels.items() if names}
        self._energised_s = 0.0
        self._energised_since_s: float | None = None
        self._energised_at_most_s = energised_at_most_s
        self._wake: asyncio.Future[None] | None = None
        energy.on_change(self._look_again)
        self._unsubscribe = stream.subscribe(Stage.GUARD, self._deliver)

    @property
    def cause(self) -> Cause | None:
        return self._acts.cause

    @property
    def later(self) -> Cause | None:
        return self._acts.later

    @property
    def tripped(self) -> asyncio.Future[Cause]:
        return self._acts.tripped

    @property
    def stimulated(self) -> bool:
        return self._acts.stimulated

    @stimulated.setter
    def stimulated(self, value: bool) -> None:
        self._acts.stimulated = value

    @property
    def observed(self) -> bool:
        return self._acts.observed

    @observed.setter
    def observed(self, value: bool) -> None:
        self._acts.observed = value

    def hold_to(
        self, limits: Iterable[GuardLimit], *, without: Collection[str] = (), rules: Iterable[RuleSpec] = ()
    ) -> None:
        """These limits and rules and no others from the next reading on, those of the channels ``without`` only once
        they are named no longer. What was held before goes on with what it has seen; the staleness of a channel that
        was not counts from now."""
        now_s = asyncio.get_running_loop().time()
        before, self._all = self._armed, checked(limits, self._all, now_s)
        for channel, check in self._all.items():
            if channel in before:
                check.good = before[channel].good
        self._armed = {channel: check for channel, check in self._all.items() if channel not in without}
        specs = tuple(rules)
        active = [spec for spec in specs if not any(channel in without for channel in spec.channels)]
        self._made = {spec: self._made.get(spec) or made(spec) for spec in active}
        by_channel: dict[str, list[Rule]] = {}
        for spec, rule in self._made.items():
            for channel in spec.channels:
                by_channel.setdefault(channel, []).append(rule)
        self._rules = {channel: tuple(its) for channel, its in by_channel.items()}
        self._detectors = frozenset(spec.channel for spec in specs if isinstance(spec, Detector))
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
            next_s = min(self._trip_if_silent(loop.time()), loop.time() + self._beat_s)
            self._acts.write()
            self._beat()  # after the checks, never instead of them
            self._acts.settle()
            self._wake = loop.create_future()
            timer = loop.call_at(next_s, _wake, self._wake)
            try:
                if not self._over:
                    await self._wake
            finally:
                timer.cancel()

    def deviates(self, device: str, text: str) -> None:
        """A device told twice running that it is not as it was armed and set. Raises RecordError, once it has acted."""
        self._acts.act(Cause(EndKind.DEVICE, f"deviation: {text}", device), device)
        self._acts.settle()

    def distrust_host(self, cause: Cause) -> None:
        """The PC itself was not watching for a while. Raises RecordError, once it has acted."""
        self._acts.act(cause, "host")
        self._acts.settle()

    def burns_beside(self, rule: str, device: str) -> None:
        """Another run of the zone has found fire, gas or runaway by a device that this one may not read. Raises
        RecordError, once it has acted."""
        self._take(Found(rule, "trip", "detector", device))
        self._acts.settle()

    @property
    def _over(self) -> bool:
        return not self._heard or (self.cause is not None and not self.stimulated)

    def _deliver(self, batch: Batch) -> None:
        armed, rules, energy = self._armed, self._rules, self._energy
        for reading in batch:
            channel, value, mono_s, _, quality = reading
            check = armed.get(channel)
            if quality is not Quality.GOOD or not is_number(value):
                if check is not None:
                    self._doubt(check, reading)
                continue
            if check is not None:
                check.good.since_s = mono_s
                if check.watchful or not check.low <= value <= check.high:
                    self._judge(check, reading)
            for rule in rules.get(channel, ()):
                found = rule.look(reading, energy)
                if found is not None:
                    self._take(found)
        if batch and (heard := self._heard.get(batch[0].channel)) is not None:
            heard.heard.since_s = batch[0].mono_s
        if self._acts.owes:
            self._acts.settle()

    def _judge(self, check: Checked, reading: Reading) -> None:
        if check.doubts is not None:
            check.doubts.take(implausible=False)
        for held in check.held:
            bound = held.look(reading.value, reading.mono_s)
            limit = held.limit
            opened = limit.subject == "device" and (self.cause is not None or self._energy.forbidden)
            if bound is not None and not opened:  # else the safe state opened the contactor
                self._take(Found(limit.rule, limit.tier, limit.subject, limit.channel, reading.value, bound))
        check.watchful = check.doubts is not None or any(held.waits for held in check.held)

    def _doubt(self, check: Checked, reading: Reading) -> None:
        """A reading that is none: NaN and what the driver marked only ages the channel, the rest is counted."""
        if reading.quality is not Quality.IMPLAUSIBLE and (
            reading.quality is not Quality.GOOD or math.isnan(reading.value)
        ):
            return
        if check.doubts is None:
            check.doubts, check.watchful = Doubts(), True
        if check.doubts.take(implausible=True):
            subject = "sample" if check.on_sample else "bench"
            kind = EndKind.SAMPLE_EVENT if self.stimulated and subject == "sample" else EndKind.STALENESS
            self._acts.act(Cause(kind, f"implausible: {check.channel}", check.device), check.channel)

    def _take(self, found: Found) -> None:
        device = found.channel.split(".", 1)[0]
        if found.tier == "warn":
            self._acts.warn(found, device)
            return
        of_sample = self.stimulated and found.subject in _SAMPLES
        kind = EndKind.SAMPLE_EVENT if of_sample else _KINDS[found.subject]
        self._acts.act(Cause(kind, found.rule, device, found.value, found.limit), found.channel, found.tier)

    def _trip_if_silent(self, now_s: float) -> float:
        """Trip on the first thing that has been silent too long, else give the instant at which one would be."""
        next_s = self._trip_if_long(now_s)
        for heard in self._heard.values():
            age_s = STALE_PERIODS * self._period_s(heard.device)
            due_s = heard.heard.due_s(age_s, now_s)
            if now_s > due_s:
                cause = self._silence(heard.device, f"{heard.device} is silent", now_s - heard.heard.since_s, age_s)
                self._acts.act(cause, heard.device)
                if not self.stimulated:
                    return now_s
                due_s = now_s + age_s
            next_s = min(next_s, due_s)
        for check in self._armed.values():
            age_s = STALE_PERIODS * self._period_s(check.device)
            due_s = check.good.due_s(age_s, now_s)
            if now_s > due_s:
                rule = f"{check.rule}: no good reading of {check.channel}"
                self._acts.act(self._silence_of(check, rule, now_s - check.good.since_s, age_s), check.channel)
                if not self.stimulated:
                    return now_s
                due_s = now_s + age_s
            next_s = min(next_s, due_s)
        return next_s + 1e-3  # later than the limit, not on it

    def _trip_if_long(self, now_s: float) -> float:
        """Trip on more time energised than the run can need; gives the instant at which it would be."""
        since_s = self._energised_since_s
        if since_s is None:
            return math.inf
        most_s = self._energised_at_most_s
        due_s = since_s + most_s - self._energised_s
        if now_s <= due_s:
            return due_s
        self._energised_at_most_s = math.inf
        spent_s = self._energised_s + now_s - since_s
        self._acts.act(Cause(EndKind.BENCH_LIMIT, "ceiling.time", None, spent_s, most_s), "energised")
        return math.inf

    def _silence_of(self, check: Checked, rule: str, age_s: float, limit_s: float) -> Cause:
        """A sensor on the sample that is heard but shows nothing good has burnt off, if the stimulus has begun."""
        if self.stimulated and check.on_sample and self._lost(check.device) is None:
            return Cause(EndKind.SAMPLE_EVENT, rule, check.device, age_s, limit_s)
        return self._silence(check.device, rule, age_s, limit_s)

    def _silence(self, device: str, rule: str, age_s: float, limit_s: float) -> Cause:
        error = self._lost(device)
        if error is None:
            return Cause(EndKind.STALENESS, rule, device, age_s, limit_s)
        self.error = self.error or error
        return Cause(EndKind.DEVICE, rule, device, age_s, limit_s)

    @property
    def burns(self) -> bool:
        """Whether any detector of fire or gas speaks now, be it the first thing that was seen or not."""
        return self.burns_by(self._stream.latest.values())

    def burns_by(self, readings: Iterable[Reading]) -> bool:
        """Whether any of these readings is a detector's that speaks. Works after ``close``, too."""
        return any(reading.quality is Quality.GOOD and self._speaks(reading) for reading in readings)

    def _speaks(self, reading: Reading) -> bool:
        if reading.channel in self._detectors:
            return reading.value < 0.5
        check = self._all.get(reading.channel)
        return check is not None and is_fire(check.rule) and check.is_outside(reading.value)

    def _look_again(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._energised_since_s is not None:
            self._energised_s += now_s - self._energised_since_s
        self._energised_since_s = now_s if self._energy.energised else None
        if self._energy.energised:  # as the next pulse of a stimulus would
            self._acts.energised()
            self._acts.write()  # whoever asks for energy is told of nothing but that it is forbidden
        _wake(self._wake)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
