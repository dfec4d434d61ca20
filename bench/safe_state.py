"""The safe state: no current, no output, contactors open, chamber to ambient - proven, whatever else has failed.

Order: the steps of ``bench/safe_plan.py``. Every cycler first, beside each other (currents to 0, output off, so that
the contactor opens without current), then every switching module (all outputs to their safe side: off, but an exhaust
on), then each contactor's feedback is read. Chambers and the rest are made safe meanwhile. A rig stops what has not
made contact; a stroke in contact goes on unless the reason is one that stops it (a door, an E-stop, a bench limit, a
person): then the tool stops where it is. Nothing ever pulls it out. A cycler that does not confirm at once does not
hold up the contactor: opening it, even under current, is the way out that is left.

A contactor may close by itself once it has been proven open, while a slower device is still made safe: where that took
longer than a moment, its feedback is read once more at the end.

A fire may show only now. At the end every detector is looked at afresh; if one speaks, the chambers go off after all.

What is not confirmed is not given up: a device that was away for a while is made safe once it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.energy import Energy
from bench.safe_plan import (
    DETECTOR_S,
    FEEDBACK_DEADLINE_S,
    FEEDBACK_EXCHANGE_S,
    OTHER_DEADLINE_S,
    RIG_DEADLINE_S,
    SafeStep,
    steps_for,
)
from drivers.capabilities import Chamber, Cycler, Device, DeviceKind, Rig, Switches
from drivers.errors import DeviceError, RecordError
from drivers.reading import Quality, Reading

#: A stop that was lost on the way is sent again; making safe is idempotent.
TRIES = 3
RETRY_PAUSE_S = 0.1
FEEDBACK_PAUSE_S = 0.05
#: A feedback that was read so lately is not read again at the end.
LATELY_S = 0.2
#: What is not confirmed is tried again at this pace.
AGAIN_S = 5.0
#: Turns of the loop from the decision to stop until a stop lane that is free has written its frame, and some more.
FRAMES_FIRST = 16
#: What a feedback proves.
CONTACTOR_OPEN = "contactor open by feedback"


@dataclass(frozen=True, slots=True)
class MadeSafe:
    """What became of one device, or of the contactor (``what`` says which)."""

    device: str
    what: str
    confirmed: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SafeResult:
    """Everything that was attempted. ``isolated``: every contactor of the sample reads back open."""

    why: str
    parts: tuple[MadeSafe, ...]
    isolated: bool
    took_s: float

    @property
    def confirmed(self) -> bool:
        """Every device and the contactor proved safe."""
        return all(part.confirmed for part in self.parts)

    @property
    def failures(self) -> tuple[MadeSafe, ...]:
        return tuple(part for part in self.parts if not part.confirmed)


class SafeState:
    """Makes the bench safe once, however often and by whomever it is asked.

    ``begin`` starts it in a task of its own and gives that task at once; wait for it with :func:`outlast`, so that
    whoever is cancelled meanwhile still stays until it is confirmed or its deadlines have passed. Nothing that goes
    wrong on one device skips the next. Energy is forbidden from ``begin`` on, for good.

    Events: ``safe_state_begun``, then ``safe_state`` with the result; a device that does not confirm is
    ``safe_state_failed`` at once, a module that no longer waited for a cycler ``safe_state_escalated``. A log that can
    no longer be written does not stop it. :meth:`keep_trying` goes on with what was not confirmed.

    ``steps`` are by default those for the kinds of these devices.

    ``detectors`` are the devices with a detector of fire or gas; ``burns`` judges what they, read afresh, say.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        feedbacks: Sequence[str],
        energy: Energy,
        event: Callable[..., Any],
        detectors: Collection[str] = (),
        burns: Callable[[Sequence[Reading]], bool] = lambda _: False,
        steps: Sequence[SafeStep] | None = None,
    ) -> None:
        self._detectors = tuple(detectors)
        self._burns = burns
        self._devices: Mapping[str, Device] = {device.name: device for device in devices}
        kinds = {device.name: _kind(device) for device in devices}
        self._steps = {step.device: step for step in (steps_for(kinds) if steps is None else steps)}
        self._feedbacks = tuple(feedbacks)
        self._proven_s: dict[str, float] = {}
        self._energy = energy
        self._event = event
        self._task: asyncio.Task[SafeResult] | None = None
        self._stopped = False
        self._fire = False
        #: Told of each result of :meth:`begin`, as soon as it is there.
        self.on_made: Callable[[SafeResult], object] = lambda _: None

    @property
    def begun(self) -> bool:
        return self._task is not None

    def begin(self, why: str, *, fire: bool = False, stop_motion: bool = False) -> asyncio.Task[SafeResult]:
        """Start making safe. What is asked later, for another reason, gets the same task; it changes nothing but that
        ``stop_motion`` still stops a rig that was left to finish."""
        self._energy.forbid()
        self._fire = self._fire or fire
        task = self._task
        if task is None:
            task = self._begin(self._make(why, fire=fire, stop_motion=stop_motion), "safe state")
        elif stop_motion and not self._stopped:
            task = self._begin(self._and_stop(task, why), "stop motion")
        self._stopped = self._stopped or stop_motion
        return task

    def _begin(self, making: Coroutine[Any, Any, SafeResult], name: str) -> asyncio.Task[SafeResult]:
        task = self._task = asyncio.get_running_loop().create_task(making, name=name)
        task.add_done_callback(self._made)
        return task

    def _made(self, making: asyncio.Task[SafeResult]) -> None:
        if not making.cancelled() and making.exception() is None:
            self.on_made(making.result())

    def burnt(self) -> None:
        """Fire or gas has shown: what is still to be made safe is made so as after a fire."""
        self._fire = True

    async def _and_stop(self, first: asyncio.Task[SafeResult], why: str) -> SafeResult:
        """The safe state under way, and every rig stopped meanwhile."""
        rigs = [device for device in self._devices.values() if isinstance(device, Rig)]
        stopping = asyncio.gather(*(self._device(rig, RIG_DEADLINE_S, fire=False, stop=True) for rig in rigs))
        await frames_first()
        self._note("stop_motion", why=why)
        stopped = await stopping
        result = await first
        known = {part.device: part for part in stopped}
        parts = tuple(known.get(part.device, part) for part in result.parts)
        return SafeResult(result.why, parts, result.isolated, result.took_s)

    async def _make(self, why: str, *, fire: bool, stop_motion: bool) -> SafeResult:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        work = loop.create_task(self._all(fire=fire, stop=stop_motion), name="safe state: all")
        await frames_first()  # a disk that is slow to keep the record may not hold a stop up
        self._note("safe_state_begun", why=why, fire=fire)
        parts, isolated = await work
        if not fire and await self._burns_now():
            fire = True
            parts = await self._chambers_off(parts)
        result = SafeResult(why, parts, isolated, loop.time() - begun_s)
        self._note(
            "safe_state",
            confirmed=result.confirmed,
            isolated=isolated,
            fire=fire,
            took_s=round(result.took_s, 3),
            parts=[
                {"device": part.device, "what": part.what, "confirmed": part.confirmed, "error": part.error}
                for part in parts
            ],
        )
        return result

    async def _burns_now(self) -> bool:
        """Whether a detector speaks, each read once more: what was last heard may be from before the smoke."""
        seen: list[Reading] = []

        async def look(device: Device) -> None:
            seen.extend(await device.read())

        for name in self._detectors:
            await _within(DETECTOR_S, look(self._devices[name]), f"safe state: {name} after fire")
        return self._burns(seen)

    async def _chambers_off(self, parts: tuple[MadeSafe, ...]) -> tuple[MadeSafe, ...]:
        """Once more for every chamber, now after fire; gives ``parts`` with what became of them."""
        self._note("fire_in_safe_state")
        chambers = [device for device in self._devices.values() if isinstance(device, Chamber)]
        off = await asyncio.gather(*(self._device(device, OTHER_DEADLINE_S, fire=True) for device in chambers))
        known = {part.device: part for part in off}
        return tuple(known.get(part.device, part) for part in parts)

    async def _all(self, *, fire: bool, stop: bool) -> tuple[tuple[MadeSafe, ...], bool]:
        """Every step of the graph, and the feedbacks once their modules are through."""
        loop = asyncio.get_running_loop()
        done: dict[str, asyncio.Task[MadeSafe]] = {}
        for step in sorted(self._steps.values(), key=lambda it: len(it.after)):
            work = self._step(step, [done[name] for name in step.after], fire=fire, stop=stop)
            done[step.device] = loop.create_task(work, name=f"safe state: {step.device}")
        contactors = [
            loop.create_task(self._contactor(feedback, done), name=f"safe state: {feedback}")
            for feedback in self._feedbacks
        ]
        if done or contactors:
            await asyncio.wait([*done.values(), *contactors])
        proofs = await asyncio.gather(
            *(
                self._still_open(task.result(), feedback)
                for feedback, task in zip(self._feedbacks, contactors, strict=True)
            )
        )
        isolated = bool(proofs) and all(part.confirmed for part in proofs)
        return (*(done[name].result() for name in self._steps), *proofs), isolated

    async def _step(
        self, step: SafeStep, before: Sequence[asyncio.Task[MadeSafe]], *, fire: bool, stop: bool
    ) -> MadeSafe:
        """Make one device safe, once what goes before it is confirmed or may be waited for no longer."""
        if before:
            await asyncio.wait(before, timeout=step.latest_s)
            late = [name for name, task in zip(step.after, before, strict=True) if not _confirmed(task)]
            if late:
                self._note("safe_state_escalated", device=step.device, not_confirmed=late)
        return await self._device(self._devices[step.device], step.deadline_s, fire=fire, stop=stop)

    async def _device(self, device: Device, deadline_s: float, *, fire: bool, stop: bool = False) -> MadeSafe:
        part = await self._attempt(device, deadline_s, fire=fire, stop=stop)
        if not part.confirmed:
            self._note("safe_state_failed", device=device.name, what=part.what, error=part.error)
        return part

    async def _attempt(self, device: Device, deadline_s: float, *, fire: bool, stop: bool = False) -> MadeSafe:
        making = insist(device, fire=fire, stop=stop)
        error = await _within(deadline_s, making, f"safe state: {device.name}")
        return MadeSafe(device.name, self._steps[device.name].what, confirmed=error is None, error=error)

    async def _contactor(self, feedback: str, steps: Mapping[str, asyncio.Task[MadeSafe]]) -> MadeSafe:
        """What a feedback says once the modules are through: which of them drives its contactor it does not tell."""
        modules = [task for device, task in steps.items() if isinstance(self._devices[device], Switches)]
        if modules:
            await asyncio.wait(modules)
        part = await self._proven_open(feedback)
        if not part.confirmed:
            self._note("safe_state_failed", device=part.device, what=CONTACTOR_OPEN, error=part.error)
        return part

    async def _still_open(self, part: MadeSafe, feedback: str) -> MadeSafe:
        """A proof, looked at once more if it is not of just now. Silence takes nothing back: the feedback's readings
        are watched by others."""
        if not part.confirmed or asyncio.get_running_loop().time() - self._proven_s[feedback] <= LATELY_S:
            return part
        seen: list[Reading] = []

        async def look() -> None:
            seen.extend(await self._devices[part.device].read())

        await _within(FEEDBACK_EXCHANGE_S, look(), "safe state: feedback once more")
        if any(it.channel == feedback and it.quality is Quality.GOOD and it.value != 0.0 for it in seen):
            error = "THE CONTACTOR IS CLOSED AGAIN after it was proven open; isolate the sample by hand"
            part = MadeSafe(part.device, CONTACTOR_OPEN, confirmed=False, error=error)
            self._note("safe_state_failed", device=part.device, what=CONTACTOR_OPEN, error=error)
        return part

    async def _proven_open(self, feedback: str) -> MadeSafe:
        name = feedback.split(".", 1)[0]
        look = _open_by(self._devices[name], feedback, asyncio.get_running_loop().time() + FEEDBACK_DEADLINE_S)
        error = await _within(FEEDBACK_DEADLINE_S + FEEDBACK_EXCHANGE_S, look, "safe state: feedback")
        if error is not None:
            error = f"THE CONTACTOR IS NOT PROVEN OPEN: {error}; isolate the sample by hand"
        self._proven_s[feedback] = asyncio.get_running_loop().time()
        return MadeSafe(name, CONTACTOR_OPEN, confirmed=error is None, error=error)

    async def keep_trying(self) -> None:
        """Every AGAIN_S once more what is not confirmed, until all of it is. Cancel it to give up; what is under way
        then is finished all the same. ``begin`` gives what stands at last; each late proof is ``safe_state_late``."""
        while self._task is not None:
            result = await asyncio.shield(self._task)
            if result.confirmed:
                return
            await asyncio.sleep(AGAIN_S)
            self._task = asyncio.get_running_loop().create_task(self._once_more(self._task), name="safe state again")

    async def _once_more(self, before: asyncio.Task[SafeResult]) -> SafeResult:
        """A result with what was not confirmed tried again: devices first, then the feedbacks."""
        result = await before
        of_devices, of_feedbacks = result.parts[: len(self._steps)], result.parts[len(self._steps) :]
        devices = await asyncio.gather(*(self._device_again(part) for part in of_devices))
        proofs = await asyncio.gather(
            *(
                self._late(part, self._proven_open(feedback))
                for part, feedback in zip(of_feedbacks, self._feedbacks, strict=True)
            )
        )
        isolated = bool(proofs) and all(part.confirmed for part in proofs)
        return SafeResult(result.why, (*devices, *proofs), isolated, result.took_s)

    async def _device_again(self, part: MadeSafe) -> MadeSafe:
        if part.confirmed:
            return part
        device, deadline_s = self._devices[part.device], self._steps[part.device].deadline_s
        fire = self._fire or self._burns(())
        return await self._late(part, self._attempt(device, deadline_s, fire=fire, stop=self._stopped))

    async def _late(self, part: MadeSafe, again: Coroutine[Any, Any, MadeSafe]) -> MadeSafe:
        if part.confirmed:
            again.close()
            return part
        tried = await again
        if tried.confirmed:
            self._note("safe_state_late", device=tried.device, what=tried.what)
        return tried

    def _note(self, kind: str, **fields: Any) -> None:
        try:
            self._event(kind, **fields)
        except RecordError:
            return  # the run ends for that already; energy comes first


async def frames_first() -> None:
    """So many turns of the loop that every command which waits for nothing is on its wire."""
    for _ in range(FRAMES_FIRST):
        await asyncio.sleep(0)


def after_frames(act: Callable[[], None], turns: int = FRAMES_FIRST) -> None:
    """Call ``act``, which must not raise, as late as :func:`frames_first` would go on."""
    if turns:
        asyncio.get_running_loop().call_soon(after_frames, act, turns - 1)
    else:
        act()


async def outlast(task: asyncio.Task[Any]) -> bool:
    """Wait until ``task`` is done, through any cancellation. True if one arrived: the caller owes it then."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


async def insist(device: Device, *, fire: bool, stop: bool = False) -> None:
    """Make one device safe, three times if need be, whatever its driver raises. A rig with ``stop`` stops first."""
    for attempt in range(1, TRIES + 1):
        try:
            if stop and isinstance(device, Rig):
                await device.stop()
            await device.make_safe(fire=fire)
        except Exception:  # not even a slip in a driver may leave a device on without a second try
            if attempt == TRIES:
                raise
            await asyncio.sleep(RETRY_PAUSE_S)
        else:
            return


async def _open_by(device: Device, feedback: str, until_s: float) -> None:
    """Read until the feedback says open. A lost reply is no proof of anything: looked again until ``until_s``."""
    while True:
        try:
            readings = await device.read()
        except Exception:  # as above: the next look decides
            if asyncio.get_running_loop().time() >= until_s:
                raise
            readings = ()
        for reading in readings:
            if reading.channel == feedback and reading.quality is Quality.GOOD and reading.value == 0.0:
                return
        await asyncio.sleep(FEEDBACK_PAUSE_S)


async def _within(deadline_s: float, work: Any, name: str) -> str | None:
    """Run ``work`` as a task of its own for at most so long. None if it succeeded, else what is wrong.

    Whatever the driver raised is only looked at, so that not even a programming error in it skips the next device.
    """
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
    await asyncio.wait([task], timeout=deadline_s)
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            return f"no confirmation within {deadline_s:g} s"
    if task.cancelled():
        return "it was cancelled"
    failure = task.exception()
    if failure is None:
        return None
    return failure.faults[0].error if isinstance(failure, DeviceError) else f"{type(failure).__name__}: {failure}"


def _confirmed(task: asyncio.Task[MadeSafe]) -> bool:
    return task.done() and task.result().confirmed


def _kind(device: Device) -> DeviceKind:
    """What a device is, by what it can do: the safe state goes by that alone."""
    for protocol, kind in (
        (Cycler, DeviceKind.CYCLER),
        (Switches, DeviceKind.SWITCHES),
        (Rig, DeviceKind.RIG),
        (Chamber, DeviceKind.CHAMBER),
    ):
        if isinstance(device, protocol):
            return kind
    return DeviceKind.INPUTS
