"""Runs a plan on a station: preflight, the steps, and the safe state on every way out.

Three parties work side by side: the walk (which alone gives energy), the guard (which only takes it away), and this
module, which waits for the first thing that ends the run. Whatever that is - the sequence's own end, a trip, a person,
a device, a crash of a task, the cancelling of the run itself - the same way out follows: energy forbidden, safe state
begun, walk cancelled, safe state finished, readings and record closed, verdict.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from typing import Any

from bench.answers import Answers
from bench.binding.shapes import GuardLimit
from bench.cause import Cause, EndKind
from bench.energy import Energy, EnergyForbiddenError
from bench.guard import Guard, is_fire
from bench.live import Live, LiveChannels
from bench.log import RunLog
from bench.notebook import Notebook, TruthProbe
from bench.observing import Message, Observation, Observer, Progress, nobody
from bench.outcome import EndedBy, Outcome
from bench.plan import Plan
from bench.poller import Poller
from bench.preflight import Preflight, SampleRefused
from bench.recorder import Recorder
from bench.safe_state import SafeResult, SafeState, outlast
from bench.station import Station
from bench.steps import Means, NotConfirmedError
from bench.stream import Batch, Stage, Stream
from bench.waiting import StepTimeoutError
from bench.walk import Walk
from drivers.clock import real_elapsed_s
from drivers.errors import BenchError, DeviceError, Fault, RecordError
from sequences.language import Phase
from sequences.verdict import judge, overall

#: The screen is told no more often than this, in real time.
PROGRESS_S = 0.1
#: Giving remote control back is a courtesy; it may not hold up the end.
RELEASE_S = 2.0


async def run(
    plan: Plan,
    station: Station,
    log: RunLog,
    recorder: Recorder,
    *,
    answers: Answers,
    truth: TruthProbe | None,
    stop: asyncio.Event,
    observer: Observer = nobody,
) -> Outcome:
    """Run the plan to its end, whatever that is, and leave the bench safe.

    ``station`` is connected; ``log`` and ``recorder`` are open and stay so (the caller seals the bundle). ``stop`` is
    a person's: setting it takes energy away and ends the run; setting it again changes nothing. Errors of devices,
    sample, record and program come back in the Outcome. Raises only CancelledError, after the safe state.
    """
    return await _Run(plan, station, log, recorder, answers, truth, stop, observer).go()


class _Run:
    """The parts of one run, wired together."""

    def __init__(
        self,
        plan: Plan,
        station: Station,
        log: RunLog,
        recorder: Recorder,
        answers: Answers,
        truth: TruthProbe | None,
        stop: asyncio.Event,
        observer: Observer,
    ) -> None:
        self._plan, self._station, self._log, self._recorder = plan, station, log, recorder
        self._truth, self._stop, self._observing = truth, stop, observer
        self._stream, self._energy = Stream(), Energy()
        channel = plan.channel
        self._live = Live(LiveChannels(channel.voltage, channel.current, channel.surface, channel.ambient))
        self._notebook = Notebook(plan.values, self._live, plan.sequence.watch)
        self._pollers = self._made_pollers()
        self._safe = SafeState(
            tuple(station.devices.values()),
            feedback=channel.contactor_feedback,
            energy=self._energy,
            event=log.event,
            detectors={limit.channel.split(".", 1)[0]: None for limit in plan.limits if is_fire(limit.rule)},
            burns=lambda seen: self._guard.burns or self._guard.burns_by(seen),
        )
        self._guard = self._made_guard()
        means = Means(
            plan=plan,
            cycler=station.cycler,
            chamber=station.chamber,
            stream=self._stream,
            energy=self._energy,
            notebook=self._notebook,
            answers=answers,
            truth=truth,
            event=log.event,
        )
        self._walk = Walk(means, recorder, self._observer)
        self._stream.subscribe(Stage.LIVE, self._live.deliver)
        self._stream.subscribe(Stage.RECORDER, recorder.deliver)
        self._stream.subscribe(Stage.OBSERVER, self._show)
        self._notebook.put("run.calibration_margin", plan.evidence.margin_s(station.clock.utc_s()))
        self._shown_s = -math.inf
        self._begun_s = asyncio.get_running_loop().time()

    async def go(self) -> Outcome:
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._work(), name="walk")
        self._energy.on_forbidden(work.cancel)
        pollers = [loop.create_task(poller.run(), name=f"poll {poller.device.name}") for poller in self._pollers]
        timer = loop.create_task(self._guard.run(), name="guard")
        stopped = loop.create_task(self._stop.wait(), name="stop")
        cancelled = False
        ends: list[asyncio.Future[Any]] = [work, *pollers, timer, self._guard.tripped, stopped]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            cancelled = True
        cause, error = self._why(work, [*pollers, timer], cancelled=cancelled)
        self._begin_end(cause)
        if error is not None and not isinstance(error, BenchError | NotConfirmedError):
            self._note("crash", trace="".join(traceback.format_exception(error)))
        ending = loop.create_task(self._way_out(work), name="way out")
        cancelled |= await outlast(ending)
        tasks = [*pollers, timer, stopped]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        outcome = self._outcome(cause, error, ending.result())
        if cancelled:
            raise asyncio.CancelledError
        return outcome

    async def _work(self) -> None:
        plan, station = self._plan, self._station
        self._log.event(
            "devices",
            devices={
                name: {
                    "maker": identity.maker,
                    "model": identity.model,
                    "serial": identity.serial,
                    "firmware": identity.firmware,
                }
                for name, identity in station.identities.items()
            },
        )
        preflight = Preflight(
            plan=plan,
            cycler=station.cycler,
            switches=station.switches,
            pollers=self._pollers,
            stream=self._stream,
            energy=self._energy,
            guard=self._guard,
            event=self._log.event,
        )
        self._observer(Message("preflight: reading the bench and the sample"))
        ocv_v = await preflight.run()
        self._observer(Message(f"preflight passed, OCV {ocv_v:.3f} V"))
        await self._walk.run()

    def _why(
        self, work: asyncio.Task[None], watching: list[asyncio.Task[None]], *, cancelled: bool
    ) -> tuple[Cause, BaseException | None]:
        """The first cause, and the exception behind it where there is one."""
        if self._guard.cause is not None:
            return self._guard.cause, None
        crashed = next((task for task in watching if task.done()), None)
        if crashed is not None:
            error = None if crashed.cancelled() else crashed.exception()
            return _cause_of(error or RuntimeError(f"{crashed.get_name()} ended")), error
        if work.done() and not work.cancelled():
            error = work.exception()
            return (Cause(EndKind.COMPLETED), None) if error is None else (_cause_of(error), error)
        if self._stop.is_set():
            return Cause(EndKind.PERSON, "stop"), None
        return Cause(EndKind.HOST, "cancelled" if cancelled else "ended without a cause"), None

    def _begin_end(self, cause: Cause) -> None:
        """Energy off first; the rest may wait."""
        why = f"{cause.kind.value}: {cause.rule}" if cause.rule else cause.kind.value
        self._safe.begin(why, fire=is_fire(cause.rule) or self._guard.burns)
        self._note(
            "ending", cause=cause.kind, rule=cause.rule, device=cause.device, value=cause.value, limit=cause.limit
        )
        self._guard.close()
        self._observer(Message(_said(cause), loud=cause.kind is not EndKind.COMPLETED))

    async def _way_out(self, work: asyncio.Task[None]) -> SafeResult:
        """Wait for the safe state and for the walk's end, in a task that nobody cancels."""
        result = await self._safe.begin("the end")
        await asyncio.gather(work, return_exceptions=True)
        for part in result.failures:
            self._observer(Message(f"SAFE STATE NOT CONFIRMED: {part.device}: {part.error}", loud=True))
        await self._release()
        return result

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._station.cycler.release()
        except Exception as error:  # noqa: BLE001 - a courtesy; nothing that goes wrong in it may hide how the run ended
            self._note("not_released", device=self._station.cycler.name, error=str(error))

    def _outcome(self, cause: Cause, error: BaseException | None, safe: SafeResult) -> Outcome:
        try:
            self._recorder.finish()
        except RecordError as failed:
            error = error or failed
        if self._log.failed is not None and cause.kind is not EndKind.HOST:
            cause, error = _cause_of(self._log.failed), self._log.failed
        notebook, sequence = self._notebook, self._plan.sequence
        criteria = tuple(judge(criterion, self._live.values) for criterion in sequence.criteria)
        results = {name: notebook.evaluate(expression) for name, expression in sequence.results.items()}
        true = {name: notebook.evaluate_truth(expression) for name, expression in sequence.results.items()}
        phase = self._walk.phase
        # A bench that did not become safe is a device's error, however well the sequence ended.
        if not safe.confirmed and cause.kind is EndKind.COMPLETED:
            cause = Cause(EndKind.DEVICE, f"safe state: {safe.failures[0].what}", safe.failures[0].device)
        ended = cause.kind if safe.confirmed or cause.kind is EndKind.HOST else EndKind.DEVICE
        verdict = overall(criteria, ended.value, phase=phase or Phase.CONDITIONING)
        ended_by = EndedBy(
            None if phase is None else phase.value, cause.kind, cause.rule, cause.device, cause.value, cause.limit
        )
        self._note("verdict", verdict=verdict, phase=ended_by.phase, ended_by=cause.kind, rule=cause.rule)
        return Outcome(
            verdict=verdict,
            ended_by=ended_by,
            criteria=criteria,
            results={name: value for name, value in results.items() if value is not None},
            plant_truth=None if self._truth is None else {name: it for name, it in true.items() if it is not None},
            test_s=asyncio.get_running_loop().time() - self._begun_s,
            safe_state=safe,
            faults=(*_faults(cause, error, self._guard.error), *_unsafe(safe)),
            error=error,
        )

    def _made_pollers(self) -> tuple[Poller, ...]:
        places = {name: index for index, name in enumerate(self._plan.bench.devices)}
        return tuple(
            Poller(
                device,
                index=places[name],
                energised_s=self._plan.polls[name].energised_s,
                rest_s=self._plan.polls[name].rest_s,
                energy=self._energy,
                stream=self._stream,
                event=self._log.event,
            )
            for name, device in self._station.devices.items()
        )

    def _made_guard(self) -> Guard:
        by_name = {poller.device.name: poller for poller in self._pollers}

        def lost(device: str) -> str | None:
            error = by_name[device].lost
            return None if error is None else error.faults[0].error

        feedback = self._plan.channel.contactor_feedback
        return Guard(
            (*self._plan.limits, GuardLimit("contactor closed", feedback, 0.5, None, "device", hard=True)),
            channels={name: device.channels for name, device in self._station.devices.items()},
            period_s=lambda device: by_name[device].period_s,
            lost=lost,
            stream=self._stream,
            energy=self._energy,
            event=self._log.event,
            take_energy_away=self._safe.begin,
        )

    def _observer(self, observation: Observation) -> None:
        """Tell whoever looks on. One who fails (a closed terminal) is told nothing more; the run goes on."""
        try:
            self._observing(observation)
        except Exception as error:  # noqa: BLE001 - the border to whoever looks on: a screen must not end a test
            self._observing = nobody
            self._note("observer_failed", error=f"{type(error).__name__}: {error}")

    def _show(self, _: Batch) -> None:
        if not self._live.saw_terminal:
            return
        real_s = real_elapsed_s()
        if real_s - self._shown_s < PROGRESS_S:
            return
        self._shown_s = real_s
        walk, step = self._walk, self._walk.under_way
        if step is None:
            return
        now_s = asyncio.get_running_loop().time()
        values = self._live.values
        self._observer(
            Progress(
                path=walk.path,
                ends=step.ends,
                voltage_v=_number(values["voltage"]),
                current_a=_number(values["current"]),
                temperature_c=_number(values["temperature"]),
                ambient_c=_number(values["ambient"]),
                step_s=now_s - step.begun_s,
                test_s=now_s - self._begun_s,
                remaining_s=step.remaining_s(now_s, walk.last_took_s()),
            )
        )

    def _note(self, kind: str, **fields: Any) -> None:
        """An event on the way out: a record that can no longer be kept is told by ``log.failed``."""
        try:
            self._log.event(kind, **fields)
        except RecordError:
            return


def _cause_of(error: BaseException) -> Cause:
    match error:
        case SampleRefused():
            return error.cause
        case StepTimeoutError():
            return Cause(EndKind.DEVICE, f"timeout: {error.doing}", error.device)
        case DeviceError():
            return Cause(EndKind.DEVICE, error.doing, error.device)
        case NotConfirmedError():
            return Cause(EndKind.PERSON, "not confirmed")
        case RecordError():
            return Cause(EndKind.HOST, "record")
        case EnergyForbiddenError():
            return Cause(EndKind.HOST, "energy was forbidden")
        case BenchError():
            return Cause(EndKind.HOST, error.faults[0].error)
        case _:
            return Cause(EndKind.HOST, f"{type(error).__name__}: {error}")


def _faults(cause: Cause, error: BaseException | None, guard_error: str) -> tuple[Fault, ...]:
    if isinstance(error, BenchError):
        return error.faults
    if cause.kind is EndKind.COMPLETED:
        return ()
    where = cause.device or "this run"
    if cause.kind is EndKind.PERSON:
        fix = "run it again when the reason is settled"
    elif cause.kind is EndKind.HOST:
        fix = "keep the bundle and report this: it is a fault of the program or its computer"
    else:
        fix = "the report shows the readings up to the trip; settle the cause before the next run"
    text = _said(cause)
    return (Fault(f"{text}: {guard_error}" if guard_error else text, where, fix),)


def _unsafe(safe: SafeResult) -> tuple[Fault, ...]:
    if safe.isolated:
        fix = "the sample's contactor is open, by its feedback; switch this device off at its own panel"
    else:
        fix = "isolate the sample by hand before anyone approaches"
    return tuple(
        Fault(f"safe state not confirmed ({part.what}): {part.error}", part.device, fix) for part in safe.failures
    )


def _said(cause: Cause) -> str:
    if cause.kind is EndKind.COMPLETED:
        return "the sequence has come to its end"
    text = f"ended by {cause.kind.value.replace('_', ' ')}"
    if cause.rule is not None:
        text += f": {cause.rule}"
    if cause.value is not None and cause.limit is not None:
        text += f" ({cause.value:.4g}, limit {cause.limit:.4g})"
    return text


def _number(value: float | tuple[float, ...]) -> float | None:
    return value if isinstance(value, float) and not math.isnan(value) else None
