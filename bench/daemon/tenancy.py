"""One run's stay on the floor: asked for, waiting for what it needs, carried out, sealed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from bench.answers import Answers
from bench.daemon.hazards import Ahead, ahead
from bench.daemon.request import fault_views
from bench.daemon.views import FaultView, RunState, RunView, StartRequest, StepView, Words
from bench.house import House
from bench.log import RunLog
from bench.observing import Message, Observation, Progress, StepEnded, StepStarted
from bench.plan import Plan
from bench.results import RunResult
from bench.run import FarEnd, Prepared, carry_out
from bench.run_record import sample_id
from bench.station import Station
from bench.stream import Stream
from drivers.errors import BenchError, ConfigError, PreflightRefused, RecordError
from sequences.language import Phase, Step

#: How the rule ends by which a run is told of a fire that another one has found.
BESIDE = ".fire"


class Landlord(Protocol):
    """What a tenancy needs of the desk. ``granted`` waits for the leases, ``moved_in`` is told once they are there.
    ``sealing`` lets so many runs seal their bundles at once."""

    @property
    def sealing(self) -> asyncio.Semaphore: ...
    async def granted(self, tenancy: Tenancy) -> None: ...
    def moved_in(self, tenancy: Tenancy) -> FarEnd:
        """Where the run's bytes go; the sample of a simulated bench is in its place. Raises BenchError."""
        ...

    def station(self, tenancy: Tenancy, plan: Plan) -> Station: ...
    def answers(self, tenancy: Tenancy) -> Answers: ...
    def streamed(self, tenancy: Tenancy, stream: Stream) -> None: ...
    def told(self, tenancy: Tenancy, kind: str, data: Mapping[str, Any]) -> None:
        """An event of the run's log."""
        ...

    def observed(self, tenancy: Tenancy, observation: Observation) -> None: ...
    def changed(self, tenancy: Tenancy) -> None:
        """Its state is another one."""
        ...


class Tenancy:
    """``run_id`` and ``folder`` are there from the beginning. ``state`` as :class:`bench.daemon.views.RunView` has it;
    ``result`` once the run is sealed, ``faults`` where it came to none."""

    def __init__(
        self,
        request: StartRequest,
        prepared: Prepared,
        landlord: Landlord,
        *,
        run_id: str,
        folder: Path,
        by: str,
        utc_s: Callable[[], float],
    ) -> None:
        self.request = request
        self.run_id = run_id
        self.folder = folder
        self.by = by
        self.prepared = prepared
        self.state: RunState = "waiting"
        self.why: Words | None = None
        self.stop = asyncio.Event()
        self.stopped_by: str | None = None
        self.result: RunResult | None = None
        self.faults: tuple[FaultView, ...] = ()
        self.exit_code: int | None = None
        self.stream: Stream | None = None
        self.log: RunLog | None = None
        self.begun_utc_s: float | None = None
        self.ended_utc_s: float | None = None
        self.pause_by: str | None = None
        self._on_by: str | None = None
        self.passed_preflight = False
        self.place = prepared.plan.channel
        self._landlord = landlord
        self._utc_s = utc_s
        self._go_on = asyncio.Event()
        self._go_on.set()
        self._step: StepStarted | None = None
        self._progress: Progress | None = None
        self._ahead: Ahead | None = None
        self._told_of_fire: Callable[[str, str], None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def plan(self) -> Plan:
        return self.prepared.plan

    @property
    def channel(self) -> str:
        return self.plan.channel.name

    @property
    def over(self) -> bool:
        return self.state in ("closed", "interrupted")

    @property
    def phase(self) -> Phase:
        return Phase.CONDITIONING if self._step is None else Phase(self._step.phase)

    def begin(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._live(), name=f"run {self.run_id}")
        return self._task

    def ask_to_stop(self, by: str) -> None:
        """A person's stop; a run that waits goes away. Idempotent."""
        if self.over:
            return
        first = not self.stop.is_set()
        self.stopped_by = self.stopped_by or by
        self.stop.set()
        self._go_on.set()
        if first and self.log is not None:
            self._landlord.told(self, "stop_asked_by", {"by": by})

    def pause(self, by: str) -> None:
        """No further step begins; the one under way goes on to its end."""
        self.pause_by = by
        self._go_on.clear()

    def go_on(self, by: str) -> None:
        self.pause_by, self._on_by = None, by
        self._go_on.set()

    def burns_beside(self, place: str, device: str) -> None:
        """Another run has found fire, gas or runaway in this one's zone: its guard acts as on a detector of its own."""
        if self._told_of_fire is not None and self.state != "ending":
            with contextlib.suppress(RecordError):  # it has acted; its own record tells what it cannot keep
                self._told_of_fire(f"zone.{place}{BESIDE}", device)

    async def over_with(self) -> None:
        """Wait until it has ended, however that is. Never raises what it ended with."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def view(self) -> RunView:
        plan, result = self.plan, self.result
        return RunView(
            run_id=self.run_id,
            sequence=plan.sequence.id,
            channel=self.channel,
            cell=self.request.cell,
            sample=sample_id(self.prepared),
            operator=self.by,
            mode=self.prepared.mode,
            state=self.state,
            begun_utc_s=self.begun_utc_s,
            ended_utc_s=self.ended_utc_s,
            verdict=None if result is None else result.verdict,
            exit_code=self.exit_code if result is None else result.exit_code,
            ended_by=None if result is None else result.ended_by.kind,
            awaiting=() if result is None else tuple(result.awaiting),
            queue_why=self.why if self.state == "waiting" else None,
            faults=self.faults,
        )

    def step_view(self) -> StepView | None:
        step, progress = self._step, self._progress
        if step is None or self.over:
            return None
        here = progress if progress is not None and progress.path == step.path else None
        phase = Phase(step.phase).value
        hazard = self._ahead
        step_s, remaining_s = (0.0, None) if here is None else (here.step_s, here.remaining_s)
        return StepView(
            index=step.index,
            path=step.path,
            kind=step.kind,
            name=step.name,
            phase=phase,
            ends=step.ends,
            step_s=step_s,
            test_s=0.0 if progress is None else progress.test_s,
            remaining_s=remaining_s,
            next_hazard=None if hazard is None else hazard.what,
            next_hazard_s=None if hazard is None else hazard.in_s(step_s, remaining_s),
        )

    async def _live(self) -> None:
        landlord = self._landlord
        try:
            await self._wait_turn()
            if self.stop.is_set():
                self.exit_code = 3
                return
            self._move("running")
            self.begun_utc_s = self._utc_s()
            house = House(
                run_id=self.run_id,
                folder=self.folder,
                station=lambda plan: landlord.station(self, plan),
                stop=self.stop,
                gate=self._gate,
                recorded=self._recorded,
                streamed=self._streamed,
                guarded=self._guarded,
                sealing=landlord.sealing,
            )
            far = replace(landlord.moved_in(self), house=house)
            self.result = await carry_out(self.prepared, far, landlord.answers(self), self._observe)
            self.faults = tuple(
                FaultView(error=fault.error, where=fault.where, fix=fault.fix) for fault in self.result.faults
            )
        except BenchError as error:
            self.faults = fault_views(error)
            self.exit_code = 2 if isinstance(error, ConfigError) else 3 if isinstance(error, PreflightRefused) else 4
        except asyncio.CancelledError:
            self.exit_code = 3
            raise
        except Exception as error:  # noqa: BLE001 - a slip of the program in one run: the others go on
            self.faults = (
                FaultView(error=f"{type(error).__name__}: {error}", where=self.run_id, fix="tell its makers"),
            )
            self.exit_code = 4
        finally:
            self.ended_utc_s = self._utc_s()
            self.stream = self._progress = self._told_of_fire = None
            self._move("closed")

    async def _wait_turn(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = loop.create_task(self._landlord.granted(self), name=f"leases {self.run_id}")
        stopping = loop.create_task(self.stop.wait(), name=f"stop {self.run_id}")
        try:
            await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waiting, stopping):
                task.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _gate(self, step: Step) -> None:
        if self._go_on.is_set() or step.phase is not Phase.CONDITIONING:
            return
        assert self.log is not None
        self._move("paused")
        self.log.event("paused", by=self.pause_by, before=step.kind)
        await self._go_on.wait()
        if not self.stop.is_set():
            self.log.event("pause_ended", by=self._on_by)
            self._move("running")

    def _recorded(self, log: RunLog) -> None:
        self.log = log
        log.hear = self._heard

    def _heard(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "preflight_passed":
            self.passed_preflight = True
        elif kind == "transferred":
            self.place = self.plan.places.get(str(data.get("to")), self.place)
        elif kind == "observing_on":
            self._move("observing")
        elif kind == "ending":
            self._move("ending")
        self._landlord.told(self, kind, data)

    def _streamed(self, stream: Stream) -> None:
        self.stream = stream
        self._landlord.streamed(self, stream)

    def _guarded(self, told: Callable[[str, str], None]) -> None:
        self._told_of_fire = told

    def _observe(self, observation: Observation) -> None:
        if isinstance(observation, StepStarted):
            self._step, self._progress = observation, None
            self._ahead = ahead(self.plan, observation.path)
        elif isinstance(observation, Progress):
            self._progress = observation
        if isinstance(observation, StepStarted | StepEnded | Message):
            self._landlord.observed(self, observation)

    def _move(self, state: RunState) -> None:
        if state != self.state and not self.over:
            self.state = state
            self._landlord.changed(self)
