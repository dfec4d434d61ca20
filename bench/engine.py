"""Runs a plan on a station: preflight, the steps, and the safe state on every way out.

Three parties work side by side: the walk (which alone gives energy), the guard (which only takes it away), and this
module, which waits for the first thing that ends the run. Whatever that is - the sequence's own end, a trip, a person,
a device, a crash of a task, the cancelling of the run itself - the same way out follows: energy forbidden, safe state
begun, walk cancelled, safe state finished, readings and record closed, verdict.

From the first contact or ampere of a stimulus on, an end is not the end: energy goes all the same, but readings, guard
and record go on, and the walk takes up the observation that the sequence asks for. What was the cause stays the cause.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from bench.after_trip import AfterTrip, OnTrip, not_latched
from bench.aftermath import Aftermath
from bench.answers import Answers
from bench.cause import Cause, EndKind, NotConfirmedError
from bench.causes import cause_of
from bench.conclusion import conclude
from bench.energy import Energy
from bench.guard import Guard
from bench.guardian.link import NoGuardian, Supervised
from bench.house import House, open_gate
from bench.live import Live, LiveChannels
from bench.log import RunLog
from bench.means import Hands, Means
from bench.notebook import Notebook, TruthProbe
from bench.observe_on import ObserveOn
from bench.observing import Message, Observer, nobody
from bench.outcome import Outcome
from bench.plan import Plan
from bench.poller import Poller
from bench.preflight import Preflight
from bench.recorder import Recorder
from bench.resumption import Resumption
from bench.safe_state import SafeResult, SafeState, after_frames, outlast
from bench.screen import Screen
from bench.seat import Seat
from bench.station import Station
from bench.stream import Stage, Stream
from bench.stroke import StrokeRun
from bench.timekeeping import Timekeeping
from bench.trouble import Trouble
from bench.walk import Walk
from bench.way_out import WayOut
from bench.zone_heat import ZoneHeat
from drivers.errors import BenchError, RecordError
from sequences.language import Phase


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
    hands: Hands | None = None,
    on_trip: OnTrip = not_latched,
    link: Supervised | None = None,
    on_stimulus: Callable[[], object] = lambda: None,
    resumed: Resumption | None = None,
    house: House | None = None,
) -> Outcome:
    """Run the plan to its end, whatever that is, and leave the bench safe.

    ``hands`` carry the sample on a simulated bench. ``on_trip`` is told of a trip, once the safe state has ended.
    ``on_stimulus`` is told when the stimulus reaches the sample. ``resumed``: the run goes on where its record says.
    ``link`` is that to the run's guardian; its loss ends the run. ``house`` may hold the run between two steps.

    ``station`` is connected; ``log`` and ``recorder`` are open and stay so (the caller seals the bundle). ``stop`` is
    a person's: setting it takes energy away and ends the run; setting it again changes nothing. Errors of devices,
    sample, record and program come back in the Outcome. Raises only CancelledError, after the safe state.
    """
    going = _Run(plan, station, log, recorder, answers, truth, stop, observer, hands, on_trip, link, resumed, house)
    going.on_stimulus = on_stimulus
    return await going.go()


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
        hands: Hands | None,
        on_trip: OnTrip,
        link: Supervised | None,
        resumed: Resumption | None,
        house: House | None,
    ) -> None:
        self.on_stimulus: Callable[[], object] = lambda: None
        self._link: Supervised = NoGuardian() if link is None else link
        self._plan, self._station, self._log, self._recorder = plan, station, log, recorder
        self._truth, self._stop = truth, stop
        self._stream, self._energy = Stream(plan.spans), Energy()
        if house is not None:
            house.streamed(self._stream)
        self._live = Live(LiveChannels.of(plan.channel))
        self._notebook = Notebook(plan.values, self._live, plan.sequence.watch)
        self._begun_s = asyncio.get_running_loop().time() - (0.0 if resumed is None else resumed.recorded_s)
        self._screen = Screen(observer, self._note, self._begun_s)
        self._zone_heat = ZoneHeat(station.devices.values(), self._note, self._screen.tell)
        self._pollers = self._made_pollers()
        self._safe = SafeState(
            tuple(station.devices.values()),
            feedbacks=plan.feedbacks,
            energy=self._energy,
            event=log.event,
            detectors=dict.fromkeys(
                name.split(".", 1)[0] for place in plan.places.values() for name in place.detectors.values()
            ),
            burns=lambda seen: self._guard.burns or self._guard.burns_by(seen),
        )
        self._after_trip = AfterTrip(
            stream=self._stream,
            energy=self._energy,
            safe=self._safe,
            log=log,
            link=self._link,
            tell=self._screen.tell,
            on_trip=on_trip,
        )
        self._guard = self._made_guard()
        if house is not None:
            house.guarded(self._guard.burns_beside)
        self._seat = Seat(
            plan,
            devices=station.devices,
            cycler=station.cycler,
            pollers=self._pollers,
            stream=self._stream,
            energy=self._energy,
            guard=self._guard,
            event=log.event,
        )
        self._aftermath = Aftermath(
            self._stream,
            self._notebook,
            place=lambda: self._seat.channel,
            event=log.event,
            on_begin=self._stimulated,
            on_end=self._observed,
        )
        self._stroke = self._made_stroke(answers)
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
            seat=self._seat,
            aftermath=self._aftermath,
            stroke=self._stroke,
            hands=hands,
        )
        self._walk = Walk(means, recorder, self._screen.tell, resumed, house.gate if house else open_gate)
        self._way_out = WayOut(
            plan, station.cycler, self._safe, self._stream, self._link, tell=self._screen.tell, note=self._note
        )
        self._observe_on = ObserveOn(
            walk=self._walk,
            seat=self._seat,
            safe=self._safe,
            guard=self._guard,
            energy=self._energy,
            aftermath=self._aftermath,
            stroke=self._stroke,
            stop=stop,
            tell=self._screen.tell,
            note=self._note,
        )
        self._stream.subscribe(Stage.LIVE, self._live.deliver)
        self._stream.subscribe(Stage.LIVE, self._notebook.look)
        self._stream.subscribe(Stage.RECORDER, recorder.deliver)
        self._stream.subscribe(Stage.OBSERVER, self._screen.shows(self._live, self._walk))
        self._notebook.put("run.calibration_margin", plan.evidence.margin_s(station.clock.utc_s()))
        self._phase: Phase | None = None
        self._trouble: asyncio.Future[Cause] = asyncio.get_running_loop().create_future()
        log.on_trouble = self._troubled
        station.tell(self._line_told)
        self._clocks = Timekeeping(station.clock, log.event)

    async def go(self) -> Outcome:
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._work(), name="walk")
        self._energy.on_forbidden(work.cancel)
        pollers = [loop.create_task(poller.run(), name=f"poll {poller.device.name}") for poller in self._pollers]
        timer = loop.create_task(self._guard.run(), name="guard")
        stopped = loop.create_task(self._stop.wait(), name="stop")
        cancelled = False
        told = (self._guard.tripped, stopped, self._link.lost, self._trouble)
        ends: list[asyncio.Future[Any]] = [work, *pollers, timer, *told]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            cancelled = True
        cause, error = self._why(work, [*pollers, timer], cancelled=cancelled)
        self._phase = self._walk.phase
        self._way_out.take_energy_away(cause, burns=self._guard.burns)
        latching = loop.create_task(self._after_trip.latch(self._guard), name="latch")
        owed = loop.create_task(self._owed(cause), name="is the sample touched")
        cancelled |= await outlast(owed)
        if owed.result():
            if timer.done():  # it ends with a trip before contact; what is observed is watched, and said to be
                timer = loop.create_task(self._guard.run(), name="guard")
            going_on = loop.create_task(self._observe_on.go(cause, work), name="observation")
            cancelled |= await outlast(going_on)
            cause = going_on.result()
        cancelled |= await outlast(loop.create_task(self._after_trip.minute(stopped), name="first out"))
        cancelled |= await outlast(latching)
        cancelled |= await outlast(
            loop.create_task(self._after_trip.latch(self._guard), name="latch")
        )  # what the observation brought
        self._begin_end(cause)
        if error is not None and not isinstance(error, BenchError | NotConfirmedError):
            self._note("crash", trace="".join(traceback.format_exception(error)))
        ending = loop.create_task(self._ended(work), name="way out")
        cancelled |= await outlast(ending)
        latching = loop.create_task(self._after_trip.latch(self._guard, ending.result()), name="latch")
        cancelled |= await outlast(latching)  # what the very end showed
        tasks = [*pollers, timer, stopped]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        outcome = conclude(
            self._plan,
            cause,
            error,
            ending.result(),
            log=self._log,
            recorder=self._recorder,
            live=self._live,
            notebook=self._notebook,
            aftermath=self._aftermath,
            truth=self._truth,
            phase=self._phase,
            guards_error=self._guard.error,
            test_s=loop.time() - self._begun_s,
        )
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
            switches=station.modules,
            pollers=self._pollers,
            stream=self._stream,
            seat=self._seat,
            energy=self._energy,
            event=self._log.event,
        )
        self._screen.tell(Message("preflight: reading the bench and the sample"))
        ocv_v = await preflight.run()
        self._screen.tell(Message(f"preflight passed, OCV {ocv_v:.3f} V"))
        await self._walk.run()

    def _why(
        self, work: asyncio.Task[None], watching: list[asyncio.Task[None]], *, cancelled: bool
    ) -> tuple[Cause, BaseException | None]:
        """The first cause, and the exception behind it where there is one."""
        if self._guard.cause is not None:
            return self._guard.cause, None
        if self._trouble.done():
            return self._trouble.result(), self._log.failed or self._log.suspect
        if self._link.lost.done():
            return Cause(EndKind.HOST, f"guardian lost: {self._link.lost.result()}"), None
        crashed = next((task for task in watching if task.done()), None)
        if crashed is not None:
            error = None if crashed.cancelled() else crashed.exception()
            return cause_of(error or RuntimeError(f"{crashed.get_name()} ended")), error
        if work.done() and not work.cancelled():
            error = work.exception()
            return (Cause(EndKind.COMPLETED), None) if error is None else (cause_of(error), error)
        if self._stop.is_set():
            if self._aftermath.ended_s is not None:  # the test is over: what is left is asked for later
                return Cause(EndKind.COMPLETED, "stopped after the observation"), None
            return Cause(EndKind.PERSON, "stop"), None
        return Cause(EndKind.HOST, "cancelled" if cancelled else "ended without a cause"), None

    def _checked(self) -> None:
        """The guard has looked at everything: so are the clocks, and the guardian hears that somebody watches."""
        slept = self._clocks.look()
        if slept is not None:
            self._guard.distrust_host(slept)
        self._link.beat()

    def _line_told(self, event: str, **facts: Any) -> None:
        """What a line tells of itself. One that another program reads is nothing that limits may hang on."""
        self._log.event(event, **facts)
        if event == "port_shared":
            text = f"another program has its port open: {', '.join(facts['programs'])}"
            device = self._station.device_on(facts["wire"])
            # Not within the exchange that found it, nor before the run has begun.
            asyncio.get_running_loop().call_soon(self._guard.deviates, device, text)

    def _troubled(self, trouble: Trouble) -> None:
        """The disk: the run ends while everything can still be kept."""
        if not self._trouble.done():
            self._trouble.set_result(trouble.cause)

    def _unkept(self, error: RecordError) -> None:
        """What could not be kept: the run ends for it, while the devices are read on."""
        if not self._trouble.done():
            self._trouble.set_result(cause_of(error))

    def _stimulated(self) -> None:
        self._guard.stimulated = True
        self.on_stimulus()
        self._link.stimulated()
        self._energy.watch(closely=True)

    def _observed(self) -> None:
        self._guard.observed = True
        self._link.observed()
        self._observe_on.over.set()

    def _begin_end(self, cause: Cause) -> None:
        self._note(
            "ending", cause=cause.kind, rule=cause.rule, device=cause.device, value=cause.value, limit=cause.limit
        )
        self._guard.close()
        self._link.ending()
        self._way_out.tell(cause)

    async def _owed(self, cause: Cause) -> bool:
        """Whether the sample is owed an observation that can still be recorded."""
        return cause.kind is not EndKind.COMPLETED and self._log.failed is None and await self._observe_on.is_owed()

    async def _ended(self, work: asyncio.Task[None]) -> SafeResult:
        """The safe state and the walk's end, in a task that nobody cancels."""
        result = await self._way_out.finish()
        await asyncio.gather(work, self._zone_heat.ended(), return_exceptions=True)
        await self._way_out.give_back(result)
        return result

    def _heat_off(self, why: str) -> None:
        self._safe.burnt()
        self._zone_heat.off(why)

    def _made_stroke(self, answers: Answers) -> StrokeRun | None:
        rig = self._station.rig
        if rig is None:
            return None
        return StrokeRun(
            rig=rig,
            seat=self._seat,
            stream=self._stream,
            energy=self._energy,
            aftermath=self._aftermath,
            answers=answers,
            event=self._log.event,
        )

    def _made_pollers(self) -> tuple[Poller, ...]:
        places = {name: index for index, name in enumerate(self._plan.bench.devices)}
        return tuple(
            Poller(
                device,
                index=places[name],
                poll=self._plan.polls[name],
                energy=self._energy,
                stream=self._stream,
                event=self._log.event,
                deviates=lambda device, text: self._guard.deviates(device, text),
                unkept=self._unkept,
            )
            for name, device in self._station.devices.items()
        )

    def _made_guard(self) -> Guard:
        by_name = {poller.device.name: poller for poller in self._pollers}

        def lost(device: str) -> str | None:
            error = by_name[device].lost
            return None if error is None else error.faults[0].error

        return Guard(
            channels={name: device.channels for name, device in self._station.devices.items()},
            period_s=lambda device: by_name[device].period_s,
            lost=lost,
            stream=self._stream,
            energy=self._energy,
            event=self._after_trip.event,
            take_energy_away=self._safe.begin,
            warned=lambda text: self._screen.tell(Message(text, loud=True)),
            heat_off=self._heat_off,
            energised_at_most_s=self._plan.energised_at_most_s,
            beat=self._checked,
            beat_s=self._link.every_s,
            soon=after_frames,
        )

    def _note(self, kind: str, **fields: Any) -> None:
        """An event on the way out: a record that can no longer be kept is told by ``log.failed``."""
        try:
            self._log.event(kind, **fields)
        except RecordError:
            return
